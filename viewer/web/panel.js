// SPDX-License-Identifier: MIT
// What is known of a picked interval, and of a selected range.

import { KIND, GAP, askJson, duration, moment, element } from './model.js';
import { flame } from './flame.js';

export function stackList(frames) {
	if (!frames || !frames.length)
		return element('p', { class: 'dim' }, 'no stack');
	return element('ol', { class: 'stack' }, frames.map((frame) => element('li', {}, frame.function, ' ', element('span', { class: 'where' }, frame.file ? `${frame.file}:${frame.line}` : frame.module.split('/').pop()))));
}

const pairs = (list) => element('table', {}, list.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([key, value]) => element('tr', {}, element('td', { class: 'dim' }, key), element('td', {}, value))));

export class Panel {
	constructor(model, timeline, box) {
		this.model = model;
		this.timeline = timeline;
		this.box = box;
		this.type = 'offcpu';
		this.empty();
	}

	empty() {
		const receipt = this.model.trace.receipt;
		this.box.replaceChildren(element('p', {}, 'Click an interval to see why it waited. Drag with Shift (or in the ruler) to select a range; with Ctrl, a second one to compare. ', element('kbd', {}, '?'), ' shows the keys.'),
			pairs([['recorded', this.model.trace.env.command], ['window', duration(this.model.window)], ['mode', receipt.mode], ['died', receipt.death], ['triggered', receipt.trigger], ['scheduling', receipt.scheduling], ['lost', receipt['lost.events'] !== '0' ? `${receipt['lost.events']} events` : '']]));
	}

	thread(id, time) {
		if (id === null || id === undefined || id < 0)
			return element('span', { class: 'dim' }, 'not known');
		return element('a', { onclick: () => this.timeline.jump(id, time) }, this.model.threadName(id));
	}

	async pick(lane, time) {
		let detail;
		try {
			detail = await askJson('/api/at', { lane: lane.key, time });
		} catch (error) {
			this.timeline.arrows = [];
			this.running(lane, time);
			return;
		}
		if (this.timeline.picked)
			this.timeline.picked.detail = detail;
		this.timeline.arrows = [];
		const kind = Number(lane.key.split('.')[0]);
		const row = detail.row || {};
		const end = detail.start + detail.dur;
		const swatch = element('span', { class: 'swatch', style: { background: this.model.colour(kind, detail.state) } });
		const title = element('h2', {}, swatch, kind === KIND.REGION ? `region ${detail.label}` : `${detail.label || this.model.stateName(detail.state)} ${row.path || ''}`, ' ', element('span', { class: 'dim' }, duration(detail.dur)));
		const left = [title, pairs([
			['thread', this.thread(lane.thread, time)], ['from', moment(detail.start)], ['to', moment(end)],
			['lock', row.obj && row.table === 'wait' ? `${row.kind} ${row.obj}` : null], ['result', row.ret ? String(row.ret) : null],
			['fd', row.fd !== undefined && row.fd >= 0 ? String(row.fd) : null], ['task', row.task && row.task !== '0x0' ? row.task : null],
		]), this.zoomButton(detail)];
		const waited = element('div', {}, element('h3', {}, kind === KIND.REGION ? 'began at' : 'waited at'), stackList(detail.frames.length ? detail.frames : row.stack));
		const columns = [element('div', {}, left), waited];
		if (row.table === 'wait')
			columns.push(this.waker(row.is_open ? 'held by' : 'let in by', row.holder, row.holder_stack, end, row.wake, lane));
		if (detail.woken)
			columns.push(this.waker('woken by', detail.woken.waker, detail.woken.waker_stack, end, detail.woken.wake, lane));
		this.box.replaceChildren(element('div', { class: 'columns' }, columns));
		this.timeline.redraw();
	}

	waker(what, thread, stack, end, wake, lane) {
		if (thread !== null && thread !== undefined)
			this.timeline.arrows.push({ from: thread, to: lane.thread, sent: end - (wake || 0), time: end });
		return element('div', {}, element('h3', {}, what, ' ', this.thread(thread, end - (wake || 0))), wake ? element('p', { class: 'dim' }, `${duration(wake)} before this ended`) : null, stackList(stack));
	}

	running(lane, time) {
		const thread = this.model.threads[lane.thread];
		if (!thread)
			return;
		if (this.timeline.picked)
			this.timeline.picked.detail = null;
		this.box.replaceChildren(element('h2', {}, this.model.stateName(GAP)), pairs([['thread', this.model.threadName(lane.thread)], ['at', moment(time)], ['labels', thread.labels], ['CPU time', thread.cpu >= 0 ? duration(thread.cpu) : null]]));
	}

	zoomButton(detail) {
		return element('p', {}, element('button', { onclick: () => this.timeline.show(detail.start - detail.dur * 0.5, detail.start + detail.dur * 1.5) }, 'Zoom to it'));
	}

	moments(lane, time) {
		const near = lane.kind === 'logs' ? this.timeline.marks.logs : this.timeline.marks.tasks;
		const span = (this.timeline.view.to - this.timeline.view.from) / 100;
		const rows = near.filter((mark) => lane.kind === 'logs' ? Math.abs(mark.time - time) < span : mark.start <= time + span && mark.start + mark.dur >= time - span).slice(0, 200);
		this.box.replaceChildren(element('h2', {}, lane.kind), element('table', {}, rows.map((mark) => element('tr', {}, element('td', { class: 'number' }, moment(mark.time === undefined ? mark.start : mark.time)), element('td', {}, mark.category === undefined ? `${mark.type} ${duration(mark.dur)}${mark.is_open ? ' (open)' : ''}` : `[${mark.category}] ${mark.message}`), element('td', {}, this.thread(mark.thread, mark.time === undefined ? mark.start : mark.time))))));
	}

	async select() {
		const range = this.timeline.selection;
		if (!range || range.to <= range.from)
			return this.empty();
		const second = this.timeline.second;
		const title = element('h2', {}, `${duration(range.to - range.from)} from ${moment(range.from)}`, second ? ` against ${duration(second.to - second.from)} from ${moment(second.from)}` : '');
		const types = [['offcpu', 'off-CPU'], ['cpu', 'on-CPU'], ['wait', 'lock waits'], ['holder', 'who held locks'], ['waker', 'who woke'], ['syscall', 'system calls'], ['alloc', 'allocation']];
		const choose = element('select', { 'aria-label': 'Flame graph of', onchange: (event) => { this.type = event.target.value; this.select(); } }, types.map(([value, name]) => element('option', { value, selected: value === this.type }, name)));
		const zoom = element('button', { onclick: () => this.timeline.show(range.from, range.to) }, 'Zoom to it');
		const download = element('a', { href: `/pprof?${new URLSearchParams({ type: this.type === 'wait' ? 'sync' : this.type === 'holder' ? 'mutex' : this.type, from: range.from, to: range.to })}` }, 'as pprof profile');
		const states = element('div', {});
		const graph = element('div', {});
		const histogram = element('div', {});
		this.box.replaceChildren(title, element('div', { class: 'toolbar' }, choose, zoom, download), graph, element('div', { class: 'columns' }, states, histogram));
		const [tree, base, rows] = await Promise.all([askJson('/api/flame', { type: this.type, from: range.from, to: range.to }), second ? askJson('/api/flame', { type: this.type, from: second.from, to: second.to }) : null, askJson('/api/states', { from: range.from, to: range.to })]);
		const unit = this.type === 'alloc' ? (bytes) => `${(bytes / 1024).toFixed(1)} KiB sampled` : duration;
		graph.replaceChildren(second ? flame(base, { unit, base: tree }) : flame(tree, { unit }));
		states.replaceChildren(element('h3', {}, 'Threads by state'), this.stateTable(rows));
		histogram.replaceChildren(...this.histogram(range, 'syscall'));
	}

	stateTable(rows) {
		const shown = rows.map((row) => ({ ...row, busy: row.total - Math.max(0, ...[5, 9, 10].map((state) => row.states[state] || 0)) })).sort((a, b) => b.busy - a.busy).slice(0, 40);
		return element('table', {}, shown.map((row) => element('tr', {}, element('td', {}, this.thread(row.thread, this.timeline.selection.from)), element('td', {}, element('div', { class: 'bar' }, Object.entries(row.states).sort((a, b) => b[1] - a[1]).map(([state, ns]) => element('div', { title: `${this.model.stateName(Number(state))} ${duration(ns)}`, style: { width: `${(100 * ns) / row.total}%`, background: this.model.colour(KIND.THREAD, Number(state)) } })))), element('td', { class: 'dim' }, Object.entries(row.states).sort((a, b) => b[1] - a[1]).slice(0, 2).map(([state, ns]) => `${this.model.stateName(Number(state))} ${((100 * ns) / row.total).toFixed(0)} %`).join(', ')))));
	}

	// Lengths of one kind of interval; a bar lists what is in it.
	histogram(range, initial) {
		const bars = element('div', { class: 'histogram' });
		const list = element('div', {});
		const kinds = ['syscall', 'wait', ...new Set((this.model.summary.calls || []).slice(0, 12).map((call) => `syscall:${call.call}`)), ...new Set((this.model.summary.regions || []).map((region) => `region:${region.type}`)), ...new Set((this.model.summary.tasks || []).map((task) => `task:${task.type}`))];
		const show = async (what, bar = -1) => {
			const limits = bar < 0 ? {} : { min: Math.round(10 ** (bar / 5)), max: Math.round(10 ** ((bar + 1) / 5)) };
			const answer = await askJson('/api/histogram', { what, from: range.from, to: range.to, ...limits });
			const most = Math.max(1, ...answer.bars);
			const first = answer.bars.findIndex((count) => count > 0);
			const last = answer.bars.length - 1 - [...answer.bars].reverse().findIndex((count) => count > 0);
			bars.replaceChildren(...(first < 0 ? [] : answer.bars.slice(first, last + 1).map((count, i) => element('div', { class: first + i === bar ? 'on' : '', title: `${duration(10 ** ((first + i) / 5))}: ${count}`, style: { height: `${count ? Math.max(3, (100 * Math.log(1 + count)) / Math.log(1 + most)) : 0}%` }, onclick: () => show(what, first + i) }))));
			list.replaceChildren(element('p', { class: 'dim' }, `${answer.n} intervals, ${duration(answer.sum)} in all${first < 0 ? '' : `; from ${duration(10 ** (first / 5))} to ${duration(10 ** ((last + 1) / 5))}`}`), bar < 0 ? '' : element('table', {}, answer.rows.slice(0, 30).map((row) => element('tr', {}, element('td', { class: 'number' }, element('a', { onclick: () => this.timeline.jump(row.thread, row.start + 1) }, moment(row.start))), element('td', { class: 'number' }, duration(row.dur)), element('td', {}, this.model.threadName(row.thread))))));
		};
		show(initial);
		return [element('h3', {}, 'Latencies of ', element('select', { 'aria-label': 'Latencies of', onchange: (event) => show(event.target.value) }, kinds.map((kind) => element('option', { value: kind }, kind)))), bars, list];
	}
}

