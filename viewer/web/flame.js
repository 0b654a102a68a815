// SPDX-License-Identifier: MIT
// A flame graph on a canvas: roots at the top, click to zoom, hover for numbers; of two trees, their difference.

import { duration, element } from './model.js';

const ROW = 18;

// Adds to each node of `tree` its value in `base`, as shares of the whole: what grew is red, what shrank blue.
function compare(tree, base, total, baseTotal) {
	tree.share = tree.v / total;
	tree.base = base ? base.v / baseTotal : 0;
	const others = new Map((base && base.k ? base.k : []).map((child) => [child.n, child]));
	for (const child of tree.k || [])
		compare(child, others.get(child.n), total, baseTotal);
}

function hue(name) {
	let hash = 0;
	for (let i = 0; i < name.length; i++)
		hash = (hash * 31 + name.charCodeAt(i)) | 0;
	return Math.abs(hash);
}

export function flame(tree, { unit = duration, base = null } = {}) {
	if (!tree.v)
		return element('p', { class: 'dim' }, 'Nothing of this kind is recorded here.');
	if (base)
		compare(tree, base, tree.v, Math.max(1, base.v));
	const canvas = element('canvas', { class: 'flame' });
	const info = element('div', { class: 'dim' }, ' ');
	const box = element('div', {}, info, canvas);
	let root = tree;
	let boxes = [];

	const depth = (node) => 1 + Math.max(0, ...(node.k || []).map(depth));
	const path = (node, target, way = []) => (node === target ? [...way, node] : (node.k || []).reduce((found, child) => found || path(child, target, [...way, node]), null));

	function colour(node) {
		if (base) {
			const change = node.share - node.base;
			const strength = Math.min(1, Math.abs(change) / Math.max(0.02, node.base + node.share) * 2);
			return change > 0 ? `hsl(4 70% ${88 - strength * 38}%)` : `hsl(214 70% ${88 - strength * 38}%)`;
		}
		const number = hue(node.n);
		return `hsl(${18 + (number % 40)} ${60 + (number % 20)}% ${58 + ((number >> 6) % 12)}%)`;
	}

	function draw() {
		const width = canvas.clientWidth || 900;
		const ancestors = path(tree, root) || [tree];
		const height = (depth(root) + ancestors.length - 1) * ROW;
		const scale = window.devicePixelRatio || 1;
		canvas.width = width * scale;
		canvas.height = height * scale;
		canvas.style.height = `${height}px`;
		const context = canvas.getContext('2d');
		context.scale(scale, scale);
		context.font = '11px system-ui, sans-serif';
		context.textBaseline = 'middle';
		boxes = [];
		const put = (node, x, y, wide, isAncestor) => {
			context.globalAlpha = isAncestor ? 0.5 : 1;
			context.fillStyle = colour(node);
			context.fillRect(x, y, Math.max(0.5, wide - 0.6), ROW - 1);
			boxes.push({ node, x, y, wide });
			if (wide > 26) {
				context.fillStyle = '#1b1f24';
				const room = Math.floor((wide - 6) / 5.8);
				context.fillText(node.n.length > room ? `${node.n.slice(0, Math.max(1, room - 1))}…` : node.n, x + 3, y + ROW / 2);
			}
			context.globalAlpha = 1;
		};
		ancestors.slice(0, -1).forEach((node, i) => put(node, 0, i * ROW, width, true));
		const walk = (node, x, y, wide) => {
			if (wide < 0.4)
				return;
			put(node, x, y, wide, false);
			let at = x;
			for (const child of node.k || []) {
				const part = (child.v / node.v) * wide;
				walk(child, at, y + ROW, part);
				at += part;
			}
		};
		walk(root, 0, (ancestors.length - 1) * ROW, width);
	}

	const find = (event) => {
		const area = canvas.getBoundingClientRect();
		const x = event.clientX - area.left;
		const y = event.clientY - area.top;
		return boxes.find((candidate) => x >= candidate.x && x < candidate.x + candidate.wide && y >= candidate.y && y < candidate.y + ROW);
	};
	canvas.addEventListener('pointermove', (event) => {
		const hit = find(event);
		const difference = hit && base ? `; was ${(hit.node.base * 100).toFixed(1)} %` : '';
		info.textContent = hit ? `${hit.node.n}: ${unit(hit.node.v)}, ${((hit.node.v / tree.v) * 100).toFixed(1)} %${difference}, ${hit.node.c} times` : ' ';
	});
	canvas.addEventListener('click', (event) => {
		const hit = find(event);
		root = hit && hit.node !== root ? hit.node : tree;
		draw();
	});
	new ResizeObserver(draw).observe(canvas.parentElement);
	requestAnimationFrame(draw);
	return box;
}
