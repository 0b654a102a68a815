// SPDX-License-Identifier: MIT
// How lanes are drawn: cells from afar, intervals with their names from near; ruler, minimap, selection and arrows.

import { KIND, GAP, TILE_CELLS, askJson, duration } from './model.js';
import { Lanes, LABEL, RULER } from './lanes.js';

// With fewer intervals than this in view they are drawn one by one, with their names.
const FEW = 400;

export class Drawing extends Lanes {
	constructor(model, box, minimap) {
		super(model);
		this.box = box;
		this.canvas = box.querySelector('canvas');
		this.minimap = minimap;
		this.cells = document.createElement('canvas');
		this.view = { from: 0, to: model.window };
		this.selection = null; // {from, to}
		this.second = null;
		this.picked = null; // {lane, thread, time, detail}
		this.arrows = [];
		this.frames = [];
		this.marks = { logs: [], tasks: [] };
		this.counters = new Map();
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
			askJson('/api/counter', { name: lane.counter }).then((answer) => {
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
}
