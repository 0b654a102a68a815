// SPDX-License-Identifier: MIT
// How one moves about in the timelines: view, undo, selection, pointer.

import { duration, moment, element } from './model.js';
import { LABEL, RULER } from './lanes.js';
import { Drawing } from './draw.js';

export class Timeline extends Drawing {
	constructor(model, box, minimap, tip) {
		super(model, box, minimap);
		this.tip = tip;
		this.history = [];
		this.onselect = () => {};
		this.onpick = () => {};
		this.onview = () => {};
		this.listen();
		model.onload = () => this.redraw();
		new ResizeObserver(() => this.redraw()).observe(box);
		matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw());
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
