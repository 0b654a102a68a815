/* SPDX-License-Identifier: MIT */
/* Bounded: the oldest intervals are joined, which only matters where something encloses more than NESTING_RECENT. */
#include "viewer/nesting.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t nesting_take(struct nesting *nesting, uint64_t begin, uint64_t end)
{
	uint64_t taken = 0;

	while (nesting->n > 0) {
		struct nesting_interval *last = &nesting->recent[nesting->n - 1];
		if (last->end_ns <= begin)
			break;
		if (last->begin_ns < begin) {
			/* Overlaps partly: never seen, but must not count twice. */
			begin = least(last->end_ns, end);
			break;
		}
		taken += last->taken_ns;
		nesting->n--;
	}
	uint64_t length = end > begin ? end - begin : 0;
	taken = least(taken, length);
	if (nesting->n == NESTING_RECENT) {
		struct nesting_interval *a = &nesting->recent[0];
		a->end_ns = a[1].end_ns;
		a->taken_ns += a[1].taken_ns;
		for (uint32_t i = 1; i + 1 < NESTING_RECENT; i++)
			nesting->recent[i] = nesting->recent[i + 1];
		nesting->n--;
	}
	nesting->recent[nesting->n++] = (struct nesting_interval){ begin, end, length };
	return length - taken;
}
