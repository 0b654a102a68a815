// SPDX-License-Identifier: MIT
// What the page knows of the trace: definitions, colours, texts of times, and cells that were fetched.

export const KIND = { THREAD: 1, REGION: 2, CPU: 3 };
export const RUNNABLE = 60;
export const GAP = 62;
const TILE = 256;
const MAX_TILES = 6000;

const COLOURS = {
	running: '#3fa45b', runnable: '#e8b13a', 'running or runnable': '#3fa45b', mutex: '#d64545', rwlock: '#b23a6e',
	spin: '#e0653a', cond: '#8d63c9', sem: '#a577d6', barrier: '#7a4fb5', join: '#6b5bab', once: '#94508f',
	sleep: '#b7bec7', poll: '#c6ccd4', net: '#3f8fd2', file: '#2f9c95', child: '#8f8066', signal: '#a9a18f',
	syscall: '#6a89a8', exited: '#888888',
};
// Regions have as many as they need to be told apart.
const REGION_COLOURS = Array.from({ length: 32 }, (_, i) => `hsl(${(i * 47) % 360} 52% 56%)`);

export async function ask(path, parameters = {}) {
	const query = new URLSearchParams();
	for (const [key, value] of Object.entries(parameters))
		if (value !== undefined && value !== null)
			query.set(key, value);
	const answer = await fetch(`${path}?${query}`);
	if (!answer.ok)
		throw new Error((await answer.text()).trim());
	return answer;
}

export const askJson = async (path, parameters) => (await ask(path, parameters)).json();

export function duration(ns) {
	if (ns === null || ns === undefined)
		return '';
	const size = Math.abs(ns);
	if (size < 1000)
		return `${Math.round(ns)} ns`;
	for (const [limit, unit] of [[1e6, 'µs'], [1e9, 'ms'], [60e9, 's']])
		if (size < limit)
			return `${(ns / (limit === 60e9 ? 1e9 : limit / 1000)).toPrecision(4)} ${unit}`;
	return `${Math.floor(ns / 60e9)} min ${((ns % 60e9) / 1e9).toFixed(1)} s`;
}

export const moment = (ns) => `${(ns / 1e9).toFixed(6)} s`;

// Parses "#rrggbb" or whatever the canvas understands to [r, g, b].
const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
function channels(colour) {
	probe.fillStyle = colour;
	probe.fillRect(0, 0, 1, 1);
	return probe.getImageData(0, 0, 1, 1).data;
}

export class Model {
	constructor(trace, summary) {
		this.trace = trace;
		this.summary = summary;
		this.window = trace.window;
		this.threads = trace.threads;
		this.tiles = new Map();
		this.waiting = new Set();
		this.rows = new Map();
		this.onload = () => {};
		this.isExact = trace.step === 'bpf' || trace.step === 'switch';
		this.palettes = {};
		for (const kind of [KIND.THREAD, KIND.REGION, KIND.CPU])
			this.palettes[kind] = Array.from({ length: 64 }, (_, state) => channels(this.colour(kind, state)));
	}

	static async load() {
		const [trace, summary, findings] = await Promise.all([askJson('/api/trace'), askJson('/api/summary'), askJson('/api/findings')]);
		const model = new Model(trace, summary);
		model.findings = findings;
		return model;
	}

	stateName(state) {
		if (state === GAP)
			return this.isExact ? 'running' : 'running or runnable';
		return this.trace.states[state] || `state ${state}`;
	}

	colour(kind, state) {
		if (kind === KIND.REGION)
			return REGION_COLOURS[state % 32];
		if (kind === KIND.CPU)
			return REGION_COLOURS[state % 32];
		return COLOURS[this.stateName(state)] || '#777777';
	}

	threadName(id) {
		const thread = this.threads[id];
		return thread ? `${thread.name} ${thread.tid}` : 'unknown';
	}

	// Cells of a lane: a Uint8Array of 4 bytes each, or null while they are on their way.
	tile(lane, level, index) {
		const key = `${lane}/${level}/${index}`;
		const tile = this.tiles.get(key);
		if (tile) {
			this.tiles.delete(key);
			this.tiles.set(key, tile);
		}
		return tile || null;
	}

	// Fetches what is missing of `lanes` in tiles [first, last] of `level`, a request per tile.
	want(lanes, level, first, last) {
		for (let index = Math.max(0, first); index <= last; index++) {
			const missing = lanes.filter((lane) => {
				const key = `${lane}/${level}/${index}`;
				return !this.tiles.has(key) && !this.waiting.has(key);
			});
			for (let at = 0; at < missing.length; at += 200)
				this.fetchTiles(missing.slice(at, at + 200), level, index);
		}
	}

	async fetchTiles(lanes, level, index) {
		const keys = lanes.map((lane) => `${lane}/${level}/${index}`);
		keys.forEach((key) => this.waiting.add(key));
		try {
			const answer = await ask('/api/cells', { lanes: lanes.join(','), level, first: index * TILE, n: TILE });
			const bytes = new Uint8Array(await answer.arrayBuffer());
			keys.forEach((key, i) => this.tiles.set(key, bytes.subarray(i * TILE * 4, (i + 1) * TILE * 4)));
			for (const key of this.tiles.keys()) {
				if (this.tiles.size <= MAX_TILES)
					break;
				this.tiles.delete(key);
			}
		} finally {
			keys.forEach((key) => this.waiting.delete(key));
			this.onload();
		}
	}

	// Rows of a lane in a range, or null while they are on their way. The range is widened so that panning needs no fetch.
	rowsOf(lane, from, to) {
		const kept = this.rows.get(lane);
		if (kept && kept.from <= from && kept.to >= to)
			return kept;
		const key = `rows ${lane}`;
		if (!this.waiting.has(key)) {
			this.waiting.add(key);
			const margin = (to - from) / 2;
			const range = { from: Math.max(0, Math.floor(from - margin)), to: Math.ceil(to + margin) };
			askJson('/api/rows', { lane, ...range, max: 3000 }).then((rows) => {
				const n = rows.start.length;
				const end = rows.is_cut ? rows.start[n - 1] + rows.dur[n - 1] : range.to >= this.window ? Infinity : range.to;
				this.rows.set(lane, { ...rows, from: range.from, to: end });
				if (this.rows.size > 300)
					this.rows.delete(this.rows.keys().next().value);
			}).catch(() => {}).finally(() => {
				this.waiting.delete(key);
				this.onload();
			});
		}
		return null;
	}
}

export const TILE_CELLS = TILE;

// An element with attributes and children; texts are texts, never markup.
export function element(tag, attributes = {}, ...children) {
	const made = document.createElement(tag);
	for (const [key, value] of Object.entries(attributes)) {
		if (key.startsWith('on'))
			made.addEventListener(key.slice(2), value);
		else if (key === 'style')
			Object.assign(made.style, value);
		else if (value !== undefined && value !== false)
			made.setAttribute(key, value === true ? '' : value);
	}
	for (const child of children.flat())
		if (child !== null && child !== undefined)
			made.append(child);
	return made;
}
