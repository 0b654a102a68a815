// SPDX-License-Identifier: MIT
// Puts the page together: tabs, keys, links.

import { Model, askJson, element } from './model.js';
import { Timeline } from './timeline.js';
import { Panel } from './panel.js';
import * as tables from './tables.js';

const get = (id) => document.getElementById(id);
const KEYS = [['W S', 'zoom in, out at the pointer'], ['A D', 'earlier, later'], ['↑ ↓', 'scroll'], ['F', 'zoom to what is picked or selected'], ['0', 'the whole trace'], ['Z', 'back to the view before'], ['/', 'search'], ['Esc', 'drop search and selection'], ['drag', 'move; with Shift or in the ruler, select a range'], ['Ctrl drag', 'a second range, to compare'], ['Ctrl wheel', 'zoom'], ['Tab', 'the pages; click a group to fold it']];

async function main() {
	let model;
	try {
		model = await Model.load();
	} catch (error) {
		get('notes').hidden = false;
		get('notes').textContent = `The trace cannot be shown: ${error.message}`;
		return;
	}
	const timeline = new Timeline(model, get('timeline-box'), get('minimap'), get('tip'));
	const panel = new Panel(model, timeline, get('panel'));
	window.traceView = { model, timeline, panel }; // for tests and for the curious
	document.title = `${model.trace.env.command || 'trace'} – trace-view`;
	get('title').textContent = model.trace.env.command || 'trace-view';
	get('title').title = `${model.trace.env.command} on ${model.trace.env.host}`;
	if (model.trace.notes.length) {
		get('notes').hidden = false;
		get('notes').textContent = model.trace.notes.join('\n');
	}
	const pages = {
		timeline: null,
		findings: () => tables.findingsPage(model, timeline, show),
		threads: () => tables.threadsPage(model),
		locks: () => [...tables.locksPage(model), ...tables.listPage('Who made others wait', model.summary.wakers)],
		CPU: () => tables.listPage('CPU time, by samples', model.summary.cpu ? model.summary.cpu.sites : []),
		calls: () => [...tables.callsPage(model), ...tables.listPage('Places they were made from', model.summary.call_sites)],
		allocation: () => tables.listPage('Allocation, by samples', model.summary.allocations.sites),
		tasks: () => [...tables.listPage('Tasks', model.summary.tasks), ...tables.listPage('Regions', model.summary.regions), ...tables.listPage('Counters', model.summary.counters)],
		SQL: () => tables.sqlPage(),
		receipt: () => tables.receiptPage(model),
	};
	let page = 'timeline';

	function show(name, isLink = true) {
		page = name in pages ? name : 'timeline';
		for (const tab of get('tabs').children)
			tab.setAttribute('aria-selected', String(tab.dataset.page === page));
		get('timeline-page').hidden = page !== 'timeline';
		get('table-page').hidden = page === 'timeline';
		if (pages[page])
			get('table-page').replaceChildren(...pages[page]());
		else
			timeline.redraw();
		if (isLink)
			link();
	}

	// The address keeps what is seen, so that it can be sent to somebody.
	let isWaiting = false;
	function link() {
		if (isWaiting)
			return;
		isWaiting = true;
		setTimeout(() => {
			isWaiting = false;
			const state = new URLSearchParams({ from: Math.round(timeline.view.from), to: Math.round(timeline.view.to) });
			if (page !== 'timeline')
				state.set('page', page);
			if (timeline.selection)
				state.set('selection', `${timeline.selection.from}-${timeline.selection.to}`);
			if (timeline.picked && timeline.picked.thread !== undefined)
				state.set('picked', `${timeline.picked.lane.key}@${timeline.picked.time}`);
			if (timeline.search)
				state.set('search', timeline.search);
			history.replaceState(null, '', `#${state}`);
		}, 200);
	}

	function follow() {
		const state = new URLSearchParams(location.hash.slice(1));
		if (state.has('from'))
			timeline.show(Number(state.get('from')), Number(state.get('to')), false);
		if (state.has('search'))
			search(state.get('search'));
		if (state.has('selection')) {
			const [from, to] = state.get('selection').split('-').map(Number);
			timeline.select({ from, to });
		}
		if (state.has('picked')) {
			const [key, time] = state.get('picked').split('@');
			const lane = timeline.lanes.find((candidate) => candidate.key === key);
			if (lane)
				timeline.pick(lane, Number(time));
		}
		show(state.get('page') || 'timeline', false);
	}

	function search(text) {
		get('search').value = text;
		timeline.search = text.trim().toLowerCase();
		timeline.redraw();
		link();
	}

	Object.keys(pages).forEach((name) => get('tabs').append(element('button', { role: 'tab', 'data-page': name, onclick: () => show(name) }, name)));
	timeline.onview = link;
	timeline.onselect = () => { panel.select(); link(); };
	timeline.onpick = (lane, time) => {
		if (lane.key)
			panel.pick(lane, time);
		else
			panel.moments(lane, time);
		link();
	};
	get('search').addEventListener('input', (event) => search(event.target.value));
	get('help').append(element('h2', {}, 'Keys'), element('table', {}, KEYS.map(([key, what]) => element('tr', {}, element('td', {}, element('kbd', {}, key)), element('td', {}, what)))), element('form', { method: 'dialog' }, element('button', {}, 'Close')));
	get('help-button').addEventListener('click', () => get('help').showModal());
	listenKeys(timeline, panel, search);
	listenSplitter(timeline);
	window.addEventListener('hashchange', follow);
	askJson('/api/marks').then((marks) => { timeline.marks = marks; timeline.redraw(); });
	follow();
	timeline.redraw();
	get('timeline-box').focus();
}

function listenKeys(timeline, panel, search) {
	document.addEventListener('keydown', (event) => {
		const isTyping = ['INPUT', 'TEXTAREA', 'SELECT'].includes(document.activeElement.tagName);
		if (event.key === 'Escape') {
			search('');
			document.activeElement.blur();
			timeline.selection = timeline.second = timeline.picked = null;
			timeline.arrows = [];
			panel.empty();
			timeline.redraw();
		}
		if (isTyping || event.ctrlKey || event.metaKey || event.altKey)
			return;
		const pointer = timeline.pointer && timeline.pointer.x > 230 ? timeline.time(timeline.pointer.x) : undefined;
		const picked = timeline.picked && timeline.picked.detail;
		const target = timeline.selection || (picked && { from: picked.start - picked.dur * 0.2, to: picked.start + picked.dur * 1.2 });
		const actions = {
			w: () => timeline.zoom(0.7, pointer), s: () => timeline.zoom(1.4, pointer), a: () => timeline.pan(-0.15), d: () => timeline.pan(0.15),
			ArrowUp: () => timeline.scrollTo(timeline.scroll - 60), ArrowDown: () => timeline.scrollTo(timeline.scroll + 60), ArrowLeft: () => timeline.pan(-0.15), ArrowRight: () => timeline.pan(0.15),
			0: () => timeline.show(0, timeline.model.window), z: () => timeline.undo(), f: () => target && timeline.show(target.from, target.to),
			'/': () => document.getElementById('search').focus(), '?': () => document.getElementById('help').showModal(),
		};
		const action = actions[event.key] || actions[event.key.toLowerCase()];
		if (action) {
			event.preventDefault();
			action();
		}
	});
}

function listenSplitter(timeline) {
	const splitter = document.getElementById('splitter');
	const panel = document.getElementById('panel');
	splitter.addEventListener('pointerdown', (event) => {
		const begin = { y: event.clientY, height: panel.clientHeight };
		splitter.setPointerCapture(event.pointerId);
		splitter.onpointermove = (move) => {
			panel.style.height = `${Math.max(60, begin.height + begin.y - move.clientY)}px`;
			timeline.redraw();
		};
		splitter.onpointerup = () => { splitter.onpointermove = null; };
	});
}

main();
