// SPDX-License-Identifier: MIT
// The pages beside the timelines: tables that sort by a click, and the box for SQL.

import { duration, element } from './model.js';

const bytes = (n) => (n >= 2 ** 30 ? `${(n / 2 ** 30).toFixed(2)} GiB` : n >= 2 ** 20 ? `${(n / 2 ** 20).toFixed(2)} MiB` : n >= 1024 ? `${(n / 1024).toFixed(1)} KiB` : `${n} B`);

// `columns`: [title, value of a row, text of a value]; numbers are aligned and sort downwards first.
export function sortable(rows, columns, limit = 2000) {
	const table = element('table');
	let by = -1;
	let sign = -1;
	const draw = () => {
		const sorted = by < 0 ? rows : [...rows].sort((a, b) => {
			const x = columns[by][1](a);
			const y = columns[by][1](b);
			return (typeof x === 'number' && typeof y === 'number' ? x - y : String(x ?? '').localeCompare(String(y ?? ''))) * sign;
		});
		const isNumber = columns.map((column) => rows.some((row) => typeof column[1](row) === 'number'));
		table.replaceChildren(element('tr', {}, columns.map((column, i) => element('th', { class: isNumber[i] ? 'number' : '', onclick: () => { sign = by === i ? -sign : isNumber[i] ? -1 : 1; by = i; draw(); } }, column[0], by === i ? (sign < 0 ? ' ▾' : ' ▴') : ''))),
			...sorted.slice(0, limit).map((row) => element('tr', {}, columns.map((column, i) => {
				const value = column[1](row);
				const shown = column[2] && value !== null && value !== undefined ? column[2](value, row) : value ?? '';
				return element('td', { class: isNumber[i] ? 'number' : 'place' }, shown);
			}))));
	};
	draw();
	return rows.length ? table : element('p', { class: 'dim' }, 'none');
}


const number = (value) => value.toLocaleString('en');

// Columns do not overlap and sum to `present`: by the kernel's records where they are, else by calls.
export function threadsPage(model) {
	const threads = model.summary.threads;
	const isKnown = threads.some((thread) => thread.run_ns !== undefined && thread.run_ns !== null && thread.sched !== 'unknown');
	const statesOf = (thread) => (isKnown ? thread.blocked || {} : thread.states);
	const names = [...new Set(threads.flatMap((thread) => Object.keys(statesOf(thread))))];
	const sum = (state) => threads.reduce((total, thread) => total + (statesOf(thread)[state] || 0), 0);
	names.sort((a, b) => sum(b) - sum(a));
	const scheduled = isKnown ? [['running', (row) => row.run_ns, duration], ['runnable', (row) => row.runnable_ns, duration]] : [];
	const title = (state) => (isKnown && state === 'running' ? 'blocked, no call' : state);
	const blocked = names.map((state) => [title(state), (row) => statesOf(row)[state] || 0, duration]);
	return [element('h2', {}, 'Threads'), element('p', { class: 'dim' }, `The columns right of “CPU” do not overlap and sum to “present”. ${model.trace.receipt.scheduling || ''}`),
		sortable(threads, [['thread', (row) => row.name], ['tid', (row) => row.tid], ['pid', (row) => row.pid], ['present', (row) => row.present_ns, duration], ['CPU', (row) => row.cpu_ns, duration], ...scheduled, ...blocked])];
}

export function locksPage(model) {
	const locks = model.summary.locks || [];
	const pairs = (lock) => sortable(lock.pairs || [], ['waiter', 'waiter_site', 'site', 'holder', 'holder_site', 'holder_name', 'holder_tid', 'count', 'wait_ns', 'max_ns'].filter((key) => (lock.pairs || []).some((row) => row[key] !== undefined && row[key] !== null)).map((key) => [key.replace(/_ns$/, '').replaceAll('_', ' '), (row) => row[key], key.endsWith('_ns') ? duration : undefined]));
	const open = (lock) => (lock.open ? `, ${lock.open} still waiting for ${duration(lock.open_ns)}` : '');
	return [element('h2', {}, 'Locks'), ...(locks.length ? [] : [element('p', { class: 'dim' }, 'none')]), ...locks.slice(0, 100).flatMap((lock) => [element('h3', {}, `${lock.kind} ${lock.address}`, ' ', element('span', { class: lock.contended ? 'bad' : 'dim' }, `${number(lock.count)} waits, ${duration(lock.wait_ns)}${open(lock)}`)), lock.pairs && lock.pairs.length ? pairs(lock) : ''])];
}

export function callsPage(model) {
	return [element('h2', {}, 'System calls'), element('p', { class: 'dim' }, '“all” are exact totals of the tracer, whether there is an event or not.'),
		sortable(model.summary.calls || [], [['call', (row) => row.call], ['events', (row) => row.events], ['time', (row) => row.ns, duration], ['longest', (row) => row.max_ns, duration], ['bytes', (row) => row.bytes, bytes], ['errors', (row) => row.errors], ['all', (row) => (row.total ? row.total.count : null)], ['time of all', (row) => (row.total ? row.total.ns : null), duration], ['still open', (row) => row.open]])];
}

// Tables of the summary whose rows speak for themselves.
export function listPage(title, rows) {
	const keys = [...new Set((rows || []).flatMap((row) => Object.keys(row)))].filter((key) => (rows || []).some((row) => row[key] !== null && typeof row[key] !== 'object'));
	return [element('h2', {}, title), sortable(rows || [], keys.map((key) => [key.replace(/_ns$/, '').replaceAll('_', ' '), (row) => (typeof row[key] === 'object' ? null : row[key]), key.endsWith('_ns') ? duration : key.includes('bytes') ? bytes : undefined]))];
}

export function receiptPage(model) {
	const table = (object) => element('table', {}, Object.entries(object).map(([key, value]) => element('tr', {}, element('td', { class: 'dim' }, key), element('td', { class: 'place' }, value))));
	return [element('h2', {}, 'Receipt'), element('p', { class: 'dim' }, 'What this trace covers, and what it lacks.'), table(model.trace.receipt), element('h2', {}, 'Notes'), element('ul', {}, model.trace.notes.map((note) => element('li', {}, note))), element('h2', {}, 'Environment'), table(model.trace.env)];
}

const EXAMPLES = [
	['longest lock waits, and who held', 'SELECT w.dur / 1e6 AS ms, t.name, s.site AS waited, h.site AS held\nFROM wait w JOIN thread t ON t.id = w.thread\nLEFT JOIN stack s ON s.id = w.stack LEFT JOIN stack h ON h.id = w.holder_stack\nORDER BY w.dur DESC LIMIT 20'],
	['calls by time', 'SELECT call, count(*) AS n, sum(dur) / 1e6 AS ms, max(dur) / 1e3 AS max_us\nFROM syscall GROUP BY call ORDER BY 3 DESC'],
	['exact totals of calls', 'SELECT call, sum(n) AS n, sum(dur) / 1e6 AS ms, sum(bytes) AS bytes\nFROM call_total GROUP BY call ORDER BY 3 DESC LIMIT 20'],
	['time by thread and state', 'SELECT t.name, s.state, sum(s.dur) / 1e6 AS ms\nFROM slice s JOIN thread t ON t.id = s.thread GROUP BY s.thread, s.state ORDER BY 3 DESC LIMIT 30'],
	['slowest regions', 'SELECT type, dur / 1e6 AS ms, ts, t.name FROM region r JOIN thread t ON t.id = r.thread ORDER BY dur DESC LIMIT 20'],
	['slow calls on files', "SELECT call, path, dur / 1e6 AS ms FROM syscall WHERE path IS NOT NULL AND path <> '' ORDER BY dur DESC LIMIT 20"],
	['allocation by place', 'SELECT s.site, count(*) AS samples, sum(size) AS bytes FROM alloc a JOIN stack s ON s.id = a.stack GROUP BY a.stack ORDER BY 3 DESC LIMIT 20'],
	['who woke whom', 'SELECT w.name AS waker, t.name AS woken, count(*) AS n, sum(k.dur) / 1e6 AS ms\nFROM woken k JOIN thread w ON w.id = k.waker JOIN thread t ON t.id = k.thread GROUP BY 1, 2 ORDER BY 4 DESC'],
	['CPU by function', "SELECT f.function, sum(weight) / 1e6 AS ms FROM sample s JOIN frame f ON f.stack = s.stack AND f.level = 0 GROUP BY 1 ORDER BY 2 DESC LIMIT 20"],
	['errors of calls', 'SELECT call, ret, count(*) AS n FROM syscall WHERE ret < 0 GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20'],
];

export function sqlPage() {
	const text = element('textarea', { spellcheck: 'false', 'aria-label': 'SQL' }, EXAMPLES[0][1]);
	const out = element('div', {});
	const run = async () => {
		out.replaceChildren(element('p', { class: 'dim' }, 'running …'));
		const answer = await (await fetch('/api/sql', { method: 'POST', body: text.value })).json();
		if (answer.error) {
			out.replaceChildren(element('p', { class: 'bad' }, answer.error));
			return;
		}
		out.replaceChildren(element('p', { class: 'dim' }, `${answer.rows.length} rows${answer.is_cut ? ', the first of more' : ''}`), sortable(answer.rows, answer.columns.map((name, i) => [name, (row) => row[i]])));
	};
	text.addEventListener('keydown', (event) => {
		if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
			run();
	});
	return [element('h2', {}, 'SQL'), element('p', { class: 'dim' }, 'SQLite over the trace; times are ns since its begin. The tables: slice, wait, syscall, woken, alloc, free, region, task, log, counter, sample, thread_event, thread, process, stack, frame, module, call_total, receipt, env.'), text, element('div', { class: 'toolbar' }, element('button', { id: 'run-sql', onclick: run }, 'Run (Ctrl+Enter)'), ...EXAMPLES.map(([name, query]) => element('a', { onclick: () => { text.value = query; run(); } }, name))), out];
}

export function findingsPage(model, timeline, show) {
	const findings = model.findings || [];
	return [element('h2', {}, 'Findings'), ...(findings.length ? findings.map((finding) => element('div', { class: `finding ${finding.severity}` }, element('h3', {}, finding.title), element('p', {}, finding.text), finding.time !== undefined && finding.thread !== undefined && finding.thread !== null ? element('a', { onclick: () => { show('timeline'); timeline.jump(finding.thread, finding.time); } }, 'show it') : '')) : [element('p', { class: 'dim' }, 'Nothing stands out.')])];
}

