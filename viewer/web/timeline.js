// SPDX-License-Identifier: MIT
// The timelines: which lanes there are, where they are drawn, and how one moves about in them.

import { KIND, GAP, TILE_CELLS, duration, moment, element } from './model.js';

const LABEL = 230;
const RULER = 22;
const HEIGHT = { group: 20, thread: 18, region: 14, cpu: 14, counter: 34, fold: 18, logs: 14, tasks: 14 };
// With fewer intervals than this in view they are drawn one by one, with their names.
const FEW = 400;
// Threads of one kind of name beyond this are grouped.
const GROUP = 6;

const pattern = (name) => name.replace(/\d+/g, '#');

export class Timeline {
	constructor(model, box, minimap, tip) {
		this.model = model;
		this.box = box;
		this.tip = tip;
		this.canvas = box.querySelector('canvas');
		this.context = this.canvas.getContext('2d');
		this.minimap = minimap;
		this.cells = document.createElement('canvas');
		this.view = { from: 0, to: model.window };
		this.history = [];
		this.scroll = 0;
		this.folded = new Set();
		this.search = '';
		this.selection = null; // {from, to}
		this.second = null;
		this.picked = null; // {lane, thread, time, detail}
		this.arrows = [];
		this.onselect = () => {};
		this.onpick = () => {};
		this.onview = () => {};
		this.frames = [];
		this.marks = { logs: [], tasks: [] };
		this.counters = new Map();
		this.foldIdle();
		this.layout();
		this.listen();
		model.onload = () => this.redraw();
		new ResizeObserver(() => this.redraw()).observe(box);
		matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw());
	}

	// A thread that did nothing but one kind of waiting, or has no rows, is idle.
	foldIdle() {
		this.idle = new Set();
		const bySummary = new Map();
		for (const thread of this.model.summary.threads || [])
			bySummary.set(thread.tid, thread);
		for (const thread of this.model.threads) {
			const summary = bySummary.get(thread.tid);
			const present = summary ? summary.present_ns : 0;
			const waits = summary ? ['cond', 'sleep', 'poll', 'child', 'signal', 'join'].reduce((sum, state) => sum + (summary.states[state] || 0), 0) : 0;
			if (!present || (waits > 0.999 * present && thread.rows < 50 && !thread.regions) || (!thread.rows && thread.cpu === 0))
				this.idle.add(thread.id);
		}
	}

	// The list of lanes, top down: {kind, key, name, y, height}.
	layout() {
		const lanes = [];
		const add = (lane) => lanes.push(lane);
		if (this.model.trace.rows.task)
			add({ kind: 'tasks', name: 'tasks' });
		if (this.model.trace.rows.log)
			add({ kind: 'logs', name: 'logs' });
		for (const counter of this.model.trace.counters)
			add({ kind: 'counter', name: counter.name, counter: counter.id });
		for (const cpu of this.model.trace.cpus)
			add({ kind: 'cpu', key: `${KIND.CPU}.${cpu}.0`, name: `CPU ${cpu}` });
		for (const process of this.model.trace.processes)
			this.layoutProcess(process, add);
		let y = 0;
		for (const lane of lanes) {
			lane.y = y;
			lane.height = HEIGHT[lane.kind];
			y += lane.height + (lane.kind === 'group' ? 0 : 2);
		}
		this.lanes = lanes;
		this.total = y;
	}

	layoutProcess(process, add) {
		const threads = this.model.threads.filter((thread) => thread.process === process.id);
		if (!threads.length)
			return;
		const id = `process ${process.id}`;
		const isFolded = this.folded.has(id);
		add({ kind: 'group', id, name: `${process.name} (pid ${process.pid})`, isFolded, n: threads.length });
		if (isFolded)
			return;
		const groups = new Map();
		for (const thread of threads) {
			if (this.idle.has(thread.id))
				continue;
			const name = pattern(thread.name);
			groups.set(name, [...(groups.get(name) || []), thread]);
		}
		for (const [name, members] of groups) {
			const groupId = `${id} ${name}`;
			const isGroup = members.length > GROUP;
			if (isGroup)
				add({ kind: 'fold', id: groupId, name: `${name} × ${members.length}`, isFolded: this.folded.has(groupId) });
			if (!isGroup || !this.folded.has(groupId))
				members.forEach((thread) => this.layoutThread(thread, add));
		}
		const idle = threads.filter((thread) => this.idle.has(thread.id));
		if (!idle.length)
			return;
		const idleId = `${id} idle`;
		const isOpen = this.folded.has(idleId); // folded unless opened
		add({ kind: 'fold', id: idleId, name: `${idle.length} idle thread${idle.length > 1 ? 's' : ''}`, isFolded: !isOpen });
		if (isOpen)
			idle.forEach((thread) => this.layoutThread(thread, add));
	}

	layoutThread(thread, add) {
		add({ kind: 'thread', key: `${KIND.THREAD}.${thread.id}.0`, name: this.model.threadName(thread.id), thread: thread.id });
		for (let depth = 0; depth < thread.regions; depth++)
			add({ kind: 'region', key: `${KIND.REGION}.${thread.id}.${depth}`, name: '', thread: thread.id });
	}

	toggle(id) {
		if (this.folded.has(id))
			this.folded.delete(id);
		else
			this.folded.add(id);
		this.layout();
		this.redraw();
	}

	get width() {
		return Math.max(50, this.box.clientWidth - LABEL);
	}

	x(time) {
		return LABEL + ((time - this.view.from) / (this.view.to - this.view.from)) * this.width;
	}

	time(x) {
		return this.view.from + ((x - LABEL) / this.width) * (this.view.to - this.view.from);
	}

	// Moves the view; `isStep` can be undone.
	show(from, to, isStep = true) {
		const least = 50;
		let length = Math.min(Math.max(to - from, least), this.model.window);
		from = Math.min(Math.max(0, from), this.model.window - length);
		if (isStep)
			this.history.push({ ...this.view });
		if (this.history.length > 200)
			this.history.shift();
		this.view = { from, to: from + length };
		this.onview();
		this.redraw();
	}

	undo() {
		const view = this.history.pop();
		if (view)
			this.show(view.from, view.to, false);
	}

	zoom(factor, at = (this.view.from + this.view.to) / 2, isStep = true) {
		const length = (this.view.to - this.view.from) * factor;
		const share = (at - this.view.from) / (this.view.to - this.view.from);
		this.show(at - length * share, at + length * (1 - share), isStep);
	}

	pan(share, isStep = true) {
		const by = (this.view.to - this.view.from) * share;
		this.show(this.view.from + by, this.view.to + by, isStep);
	}

	scrollTo(y) {
		const visible = this.box.clientHeight - RULER;
		this.scroll = Math.min(Math.max(0, y), Math.max(0, this.total - visible));
		this.redraw();
	}

	// Brings a thread's lane and a moment into view.
	jump(thread, time) {
		if (this.idle.has(thread)) {
			this.idle.delete(thread);
			this.layout();
		}
		const lane = this.lanes.find((candidate) => candidate.kind === 'thread' && candidate.thread === thread);
		if (lane)
			this.scrollTo(lane.y - 60);
		if (time < this.view.from || time > this.view.to) {
			const length = this.view.to - this.view.from;
			this.show(time - length / 2, time + length / 2);
		}
		if (lane)
			this.pick(lane, Math.max(0, time - 1));
	}

	pick(lane, time) {
		this.picked = { lane, thread: lane.thread, time };
		this.onpick(lane, time);
		this.redraw();
	}

	select(range, isSecond = false) {
		if (isSecond && this.selection)
			this.second = range;
		else {
			this.selection = range;
			this.second = null;
		}
		this.onselect();
		this.redraw();
	}

	redraw() {
		if (this.isQueued)
			return;
		this.isQueued = true;
		requestAnimationFrame(() => {
			this.isQueued = false;
			const begin = performance.now();
			this.draw();
			this.drawMinimap();
			this.frames.push(performance.now() - begin);
			if (this.frames.length > 1000)
				this.frames.shift();
		});
	}

	fit(canvas, width, height) {
		const scale = window.devicePixelRatio || 1;
		if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
			canvas.width = Math.round(width * scale);
			canvas.height = Math.round(height * scale);
		}
		const context = canvas.getContext('2d');
		context.setTransform(scale, 0, 0, scale, 0, 0);
		return context;
	}

	colours() {
		const style = getComputedStyle(document.documentElement);
		const get = (name) => style.getPropertyValue(name).trim();
		return { back: get('--back'), soft: get('--soft'), line: get('--line'), text: get('--text'), dim: get('--dim'), accent: get('--accent'), select: get('--select') };
	}

	// Buckets for the view: 2^level ns each, between one and two pixels wide.
	buckets(view = this.view, width = this.width) {
		const level = Math.max(0, Math.ceil(Math.log2((view.to - view.from) / width)));
		const size = 2 ** level;
		const first = Math.floor(view.from / size);
		return { level, size, first, n: Math.ceil(view.to / size) - first };
	}

	draw() {
		const width = this.box.clientWidth;
		const height = this.box.clientHeight;
		if (!width || !height)
			return;
		const context = this.fit(this.canvas, width, height);
		const colours = this.colours();
		this.context = context;
		context.fillStyle = colours.back;
		context.fillRect(0, 0, width, height);
		context.font = '12px system-ui, sans-serif';
		context.textBaseline = 'middle';
		const visible = this.lanes.filter((lane) => lane.y + lane.height > this.scroll && lane.y < this.scroll + height);
		const buckets = this.buckets();
		const drawn = visible.filter((lane) => lane.key);
		this.model.want(drawn.map((lane) => lane.key), buckets.level, Math.floor(buckets.first / TILE_CELLS), Math.floor((buckets.first + buckets.n) / TILE_CELLS));
		context.save();
		context.beginPath();
		context.rect(0, RULER, width, height - RULER);
		context.clip();
		this.drawCells(context, drawn, buckets);
		for (const lane of visible)
			this.drawLane(context, lane, colours, width);
		this.drawSelection(context, colours, height);
		this.drawArrows(context, colours);
		context.restore();
		this.drawRuler(context, colours, width);
	}

	top(lane) {
		return RULER + lane.y - this.scroll;
	}

	// All cells of all lanes in one image, a row each, which is then stretched to their places.
	drawCells(context, lanes, buckets) {
		if (!lanes.length)
			return;
		const image = new ImageData(buckets.n, lanes.length);
		const pixels = image.data;
		lanes.forEach((lane, row) => this.fillRow(pixels, row, lane, buckets));
		this.cells.width = buckets.n;
		this.cells.height = lanes.length;
		this.cells.getContext('2d').putImageData(image, 0, 0);
		context.imageSmoothingEnabled = false;
		const x = this.x(buckets.first * buckets.size);
		const wide = (buckets.n * buckets.size * this.width) / (this.view.to - this.view.from);
		context.save();
		context.beginPath();
		context.rect(LABEL, 0, this.width, context.canvas.height);
		context.clip();
		lanes.forEach((lane, row) => {
			if (!lane.isFew)
				context.drawImage(this.cells, 0, row, buckets.n, 1, x, this.top(lane), wide, lane.height);
		});
		lanes.forEach((lane) => {
			if (lane.isFew)
				this.drawRows(context, lane);
		});
		context.restore();
	}

	fillRow(pixels, row, lane, buckets) {
		const kind = Number(lane.key.split('.')[0]);
		const palette = this.model.palettes[kind];
		const thread = this.model.threads[lane.thread];
		const running = palette[GAP];
		let begin = 0;
		let end = buckets.n;
		let at = row * buckets.n * 4;
		let count = 0;
		let isWhole = true;
		if (thread) {
			begin = thread.start === null ? 0 : Math.max(0, Math.ceil(thread.start / buckets.size) - buckets.first);
			end = thread.end === null ? Math.min(buckets.n, Math.ceil(this.model.window / buckets.size) - buckets.first) : Math.min(buckets.n, Math.ceil(thread.end / buckets.size) - buckets.first);
		}
		const isDim = this.search && !this.matches(lane);
		for (let i = 0; i < buckets.n; ) {
			const bucket = buckets.first + i;
			const tile = this.model.tile(lane.key, buckets.level, Math.floor(bucket / TILE_CELLS));
			const stop = Math.min(buckets.n, i + TILE_CELLS - (bucket % TILE_CELLS));
			isWhole = isWhole && tile !== null;
			for (let cell = (bucket % TILE_CELLS) * 4; i < stop; i++, cell += 4, at += 4) {
				const share = tile ? tile[cell + 1] : 0;
				const number = tile ? tile[cell + 2] | (tile[cell + 3] << 8) : 0;
				count += number;
				const isAlive = kind === 1 && i >= begin && i < end;
				if (!number && !isAlive)
					continue;
				const colour = number ? palette[tile[cell]] : running;
				const isGap = number && tile[cell] === GAP && kind !== 1;
				pixels[at] = colour[0];
				pixels[at + 1] = colour[1];
				pixels[at + 2] = colour[2];
				pixels[at + 3] = isGap ? 70 : !tile ? 60 : isDim ? 50 : number ? Math.max(110, share) : 255;
			}
		}
		lane.isFew = isWhole && count < FEW;
	}

	// Few enough intervals to draw each, with its name where there is room.
	drawRows(context, lane) {
		const kind = Number(lane.key.split('.')[0]);
		const rows = this.model.rowsOf(lane.key, this.view.from, this.view.to);
		const top = this.top(lane);
		const thread = this.model.threads[lane.thread];
		const isDim = this.search && !this.matches(lane);
		if (kind === KIND.THREAD && thread) {
			const from = Math.max(LABEL, thread.start === null ? LABEL : this.x(thread.start));
			const to = Math.min(LABEL + this.width, this.x(thread.end === null ? this.model.window : thread.end));
			context.globalAlpha = isDim ? 0.2 : 1;
			context.fillStyle = this.model.colour(kind, GAP);
			context.fillRect(from, top, Math.max(0, to - from), lane.height);
		}
		if (!rows)
			return;
		for (let i = 0; i < rows.start.length; i++) {
			const from = Math.max(LABEL, this.x(rows.start[i]));
			const to = Math.min(LABEL + this.width, this.x(rows.start[i] + rows.dur[i]));
			if (to < LABEL || from > LABEL + this.width)
				continue;
			const isMatch = !this.search || this.matches(lane) || rows.label[i].toLowerCase().includes(this.search);
			context.globalAlpha = isMatch ? 1 : 0.2;
			context.fillStyle = this.model.colour(kind, rows.state[i]);
			context.fillRect(from, top, Math.max(1, to - from), lane.height);
			if (to - from > 34 && rows.label[i]) {
				context.fillStyle = '#ffffff';
				this.text(context, rows.label[i], from + 4, top + lane.height / 2, to - from - 8);
			}
		}
		context.globalAlpha = 1;
	}

	text(context, text, x, y, room) {
		const characters = Math.floor(room / 6.2);
		if (characters < 2)
			return;
		context.fillText(text.length > characters ? `${text.slice(0, characters - 1)}…` : text, x, y);
	}

	matches(lane) {
		return lane.name.toLowerCase().includes(this.search) || (lane.thread !== undefined && this.model.threadName(lane.thread).toLowerCase().includes(this.search));
	}

	drawLane(context, lane, colours, width) {
		const top = this.top(lane);
		if (lane.kind === 'group' || lane.kind === 'fold') {
			context.fillStyle = colours.soft;
			context.fillRect(0, top, width, lane.height);
		}
		if (lane.kind === 'counter')
			this.drawCounter(context, lane, colours);
		if (lane.kind === 'logs')
			this.drawLogs(context, lane, colours);
		if (lane.kind === 'tasks')
			this.drawTasks(context, lane);
		context.fillStyle = colours.back;
		if (lane.kind !== 'group' && lane.kind !== 'fold')
			context.fillRect(0, top, LABEL, lane.height);
		context.fillStyle = lane.kind === 'thread' || lane.kind === 'group' ? colours.text : colours.dim;
		if (this.picked && this.picked.lane.key === lane.key && lane.key)
			context.fillStyle = colours.accent;
		const sign = lane.isFolded === undefined ? '' : lane.isFolded ? '▸ ' : '▾ ';
		this.text(context, sign + lane.name, 8 + (lane.kind === 'group' ? 0 : 12), top + lane.height / 2, LABEL - 24);
	}

	drawCounter(context, lane, colours) {
		let values = this.counters.get(lane.counter);
		if (!values) {
			this.counters.set(lane.counter, { times: [], values: [] });
			import('./model.js').then(({ askJson }) => askJson('/api/counter', { name: lane.counter })).then((answer) => {
				this.counters.set(lane.counter, answer);
				this.redraw();
			});
			return;
		}
		const most = Math.max(1, ...values.values);
		const least = Math.min(0, ...values.values);
		const bottom = this.top(lane) + lane.height;
		context.fillStyle = colours.accent;
		context.globalAlpha = 0.5;
		values.times.forEach((time, i) => {
			const from = Math.max(LABEL, this.x(time));
			const to = Math.min(LABEL + this.width, this.x(i + 1 < values.times.length ? values.times[i + 1] : this.model.window));
			const high = ((values.values[i] - least) / (most - least)) * (lane.height - 4);
			if (to > from)
				context.fillRect(from, bottom - high, Math.max(1, to - from), high);
		});
		context.globalAlpha = 1;
	}

	drawLogs(context, lane, colours) {
		context.fillStyle = colours.accent;
		for (const log of this.marks.logs) {
			const x = this.x(log.time);
			if (x >= LABEL && x <= LABEL + this.width)
				context.fillRect(x, this.top(lane) + 2, 2, lane.height - 4);
		}
	}

	drawTasks(context, lane) {
		context.globalAlpha = 0.6;
		for (const task of this.marks.tasks) {
			const from = Math.max(LABEL, this.x(task.start));
			const to = Math.min(LABEL + this.width, this.x(task.start + task.dur));
			if (to < LABEL || from > LABEL + this.width)
				continue;
			context.fillStyle = this.model.colour(KIND.REGION, task.type.length * 5);
			context.fillRect(from, this.top(lane) + 1, Math.max(1, to - from), lane.height - 2);
		}
		context.globalAlpha = 1;
	}

	drawSelection(context, colours, height) {
		for (const range of [this.selection, this.second]) {
			if (!range)
				continue;
			const from = Math.max(LABEL, this.x(range.from));
			const to = Math.min(LABEL + this.width, this.x(range.to));
			context.fillStyle = range === this.second ? 'rgba(200, 90, 20, 0.16)' : colours.select;
			if (to > from)
				context.fillRect(from, RULER, to - from, height);
		}
		if (this.picked && this.picked.detail) {
			const detail = this.picked.detail;
			context.strokeStyle = colours.text;
			context.lineWidth = 2;
			const from = Math.max(LABEL, this.x(detail.start));
			const to = Math.min(LABEL + this.width, this.x(detail.start + detail.dur));
			if (to >= LABEL)
				context.strokeRect(from, this.top(this.picked.lane) + 1, Math.max(2, to - from), this.picked.lane.height - 2);
		}
	}

	// From who woke to who was woken.
	drawArrows(context, colours) {
		context.strokeStyle = colours.text;
		context.fillStyle = colours.text;
		context.lineWidth = 1.5;
		for (const arrow of this.arrows) {
			const from = this.lanes.find((lane) => lane.kind === 'thread' && lane.thread === arrow.from);
			const to = this.lanes.find((lane) => lane.kind === 'thread' && lane.thread === arrow.to);
			if (!from || !to)
				continue;
			const x1 = this.x(arrow.sent);
			const x2 = this.x(arrow.time);
			const y1 = this.top(from) + from.height / 2;
			const y2 = this.top(to) + (from.y < to.y ? 0 : to.height);
			context.beginPath();
			context.moveTo(x1, y1);
			context.lineTo(x2, y2);
			context.stroke();
			context.beginPath();
			context.arc(x2, y2, 3.5, 0, 7);
			context.fill();
		}
	}

	drawRuler(context, colours, width) {
		context.fillStyle = colours.soft;
		context.fillRect(0, 0, width, RULER);
		const span = this.view.to - this.view.from;
		let step = 10 ** Math.floor(Math.log10(span / 5));
		for (const factor of [1, 2, 5, 10])
			if ((span / (step * factor)) * 110 < this.width) {
				step *= factor;
				break;
			}
		context.fillStyle = colours.dim;
		for (let time = Math.ceil(this.view.from / step) * step; time <= this.view.to; time += step) {
			const x = this.x(time);
			context.fillRect(x, 0, 1, RULER);
			context.fillText(step >= 1e6 ? `${(time / 1e9).toFixed(Math.max(0, 9 - Math.floor(Math.log10(step))))} s` : `${(time / 1e3).toFixed(step >= 1000 ? 0 : 3)} µs`, x + 4, RULER / 2);
		}
		context.fillStyle = colours.text;
		this.text(context, `window ${duration(span)}`, 8, RULER / 2, LABEL - 10);
		if (this.selection) {
			context.fillStyle = colours.accent;
			const x = Math.max(LABEL, this.x(this.selection.from));
			context.fillRect(x, 0, Math.max(2, this.x(this.selection.to) - x), 3);
		}
	}

	// Density of all lanes over the whole trace, and where we are.
	drawMinimap() {
		const width = this.minimap.clientWidth;
		const height = this.minimap.clientHeight;
		if (!width)
			return;
		const context = this.fit(this.minimap, width, height);
		const colours = this.colours();
		const whole = { from: 0, to: this.model.window };
		const buckets = this.buckets(whole, Math.min(400, width));
		const lanes = this.model.threads.filter((thread) => thread.rows).slice(0, 200).map((thread) => `${KIND.THREAD}.${thread.id}.0`);
		this.model.want(lanes, buckets.level, 0, Math.floor(buckets.n / TILE_CELLS));
		const counts = new Float64Array(buckets.n);
		for (const lane of lanes)
			for (let i = 0; i < buckets.n; i++) {
				const tile = this.model.tile(lane, buckets.level, Math.floor(i / TILE_CELLS));
				if (tile)
					counts[i] += Math.log2(1 + (tile[(i % TILE_CELLS) * 4 + 2] | (tile[(i % TILE_CELLS) * 4 + 3] << 8)));
			}
		const most = Math.max(1, ...counts);
		context.fillStyle = colours.back;
		context.fillRect(0, 0, width, height);
		context.fillStyle = colours.dim;
		const wide = (buckets.size * width) / this.model.window;
		counts.forEach((count, i) => context.fillRect(i * wide, height - (count / most) * (height - 4), Math.ceil(wide), (count / most) * (height - 4)));
		context.fillStyle = colours.select;
		const from = (this.view.from / this.model.window) * width;
		const to = (this.view.to / this.model.window) * width;
		context.fillRect(from, 0, Math.max(3, to - from), height);
		context.strokeStyle = colours.accent;
		context.strokeRect(from + 0.5, 0.5, Math.max(3, to - from) - 1, height - 1);
	}

	laneAt(y) {
		const at = y - RULER + this.scroll;
		return y < RULER ? null : this.lanes.find((lane) => at >= lane.y && at < lane.y + lane.height) || null;
	}

	listen() {
		let drag = null;
		this.box.addEventListener('pointerdown', (event) => {
			if (event.button !== 0)
				return;
			const box = this.box.getBoundingClientRect();
			const x = event.clientX - box.left;
			const y = event.clientY - box.top;
			const isRange = event.shiftKey || event.ctrlKey || y < RULER;
			drag = { x, y, isRange, isSecond: event.ctrlKey, view: { ...this.view }, scroll: this.scroll, isMoved: false };
			this.box.setPointerCapture(event.pointerId);
		});
		this.box.addEventListener('pointermove', (event) => {
			const box = this.box.getBoundingClientRect();
			const x = event.clientX - box.left;
			const y = event.clientY - box.top;
			this.pointer = { x, y };
			if (!drag) {
				this.showTip(x, y);
				return;
			}
			if (Math.abs(x - drag.x) + Math.abs(y - drag.y) > 3 && !drag.isMoved) {
				drag.isMoved = true;
				if (!drag.isRange)
					this.history.push({ ...this.view });
			}
			if (!drag.isMoved)
				return;
			if (drag.isRange) {
				const range = [this.time(Math.max(LABEL, drag.x)), this.time(Math.max(LABEL, x))].sort((a, b) => a - b);
				const made = { from: Math.round(Math.max(0, range[0])), to: Math.round(Math.min(this.model.window, range[1])) };
				if (drag.isSecond && this.selection)
					this.second = made;
				else
					this.selection = made;
				this.redraw();
			} else {
				const by = ((drag.x - x) * (drag.view.to - drag.view.from)) / this.width;
				this.show(drag.view.from + by, drag.view.to + by, false);
				this.scrollTo(drag.scroll + drag.y - y);
			}
		});
		this.box.addEventListener('pointerup', () => {
			const done = drag;
			drag = null;
			if (!done)
				return;
			if (done.isMoved && done.isRange)
				this.onselect();
			else if (!done.isMoved)
				this.click(done.x, done.y);
		});
		this.box.addEventListener('pointerleave', () => { this.tip.hidden = true; });
		this.box.addEventListener('dblclick', (event) => this.zoom(0.3, this.time(event.clientX - this.box.getBoundingClientRect().left)));
		this.box.addEventListener('wheel', (event) => {
			event.preventDefault();
			const x = event.clientX - this.box.getBoundingClientRect().left;
			if (event.ctrlKey || event.metaKey)
				this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.time(x), false);
			else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
				this.pan((event.deltaX || event.deltaY) / this.width, false);
			else
				this.scrollTo(this.scroll + event.deltaY);
		}, { passive: false });
		this.minimap.addEventListener('pointerdown', (event) => {
			const move = (at) => {
				const time = ((at.clientX - this.minimap.getBoundingClientRect().left) / this.minimap.clientWidth) * this.model.window;
				const length = this.view.to - this.view.from;
				this.show(time - length / 2, time + length / 2, false);
			};
			this.history.push({ ...this.view });
			move(event);
			this.minimap.setPointerCapture(event.pointerId);
			this.minimap.onpointermove = move;
			this.minimap.onpointerup = () => { this.minimap.onpointermove = null; };
		});
	}

	click(x, y) {
		const lane = this.laneAt(y);
		if (!lane)
			return;
		if (lane.id)
			this.toggle(lane.id);
		else if (lane.kind === 'logs' || lane.kind === 'tasks')
			this.onpick(lane, this.time(x));
		else if (lane.key && x >= LABEL)
			this.pick(lane, Math.floor(this.time(x)));
	}

	showTip(x, y) {
		const lane = this.laneAt(y);
		if (!lane || x < LABEL || lane.id) {
			this.tip.hidden = true;
			return;
		}
		const time = this.time(x);
		this.tip.replaceChildren(element('div', {}, lane.kind === 'region' ? this.model.threadName(lane.thread) : lane.name), element('div', { class: 'dim' }, moment(time), this.selection ? ` · selected ${duration(this.selection.to - this.selection.from)}` : ''));
		const rows = lane.isFew ? this.model.rows.get(lane.key) : null;
		const at = rows ? rows.start.findIndex((start, i) => start <= time && start + rows.dur[i] > time) : -1;
		if (at >= 0)
			this.tip.append(element('div', {}, `${rows.label[at] || this.model.stateName(rows.state[at])} ${duration(rows.dur[at])}`));
		if (lane.kind === 'logs') {
			const near = this.marks.logs.filter((log) => Math.abs(this.x(log.time) - x) < 5).slice(0, 5);
			near.forEach((log) => this.tip.append(element('div', {}, `[${log.category}] ${log.message}`)));
		}
		this.tip.style.left = `${Math.min(x + 14, this.box.clientWidth - 260)}px`;
		this.tip.style.top = `${Math.min(y + 14, this.box.clientHeight - 70)}px`;
		this.tip.hidden = false;
	}
}
