// SPDX-License-Identifier: MIT
// Which lanes there are, top down: counters, CPUs, processes with their threads and regions; what is folded away.

import { KIND } from './model.js';

export const LABEL = 230;
export const RULER = 22;
const HEIGHT = { group: 20, thread: 18, region: 14, cpu: 14, counter: 34, fold: 18, logs: 14, tasks: 14 };
// Threads of one kind of name beyond this are grouped.
const GROUP = 6;

const pattern = (name) => name.replace(/\d+/g, '#');

export class Lanes {
	constructor(model) {
		this.model = model;
		this.folded = new Set();
		this.search = '';
		this.scroll = 0;
		this.foldIdle();
		this.layout();
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

	top(lane) {
		return RULER + lane.y - this.scroll;
	}

	matches(lane) {
		return lane.name.toLowerCase().includes(this.search) || (lane.thread !== undefined && this.model.threadName(lane.thread).toLowerCase().includes(this.search));
	}

	laneAt(y) {
		const at = y - RULER + this.scroll;
		return y < RULER ? null : this.lanes.find((lane) => at >= lane.y && at < lane.y + lane.height) || null;
	}
}
