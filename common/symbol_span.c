/* SPDX-License-Identifier: MIT */
/*
 * Sorted spans. Spans may nest and overlap (aliases, functions with several entries, compile units of
 * discarded sections), so a look-up walks back from the last one that begins at or before the address,
 * no further than some span before still reaches it.
 */
#include "common/symbol_span.h"

#include <string.h>

#define MAX_STEPS_BACK 256

GArray *symbol_span_table(void)
{
	return g_array_new(FALSE, FALSE, sizeof(struct symbol_span));
}

static int span_compare(const void *a, const void *b)
{
	const struct symbol_span *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return g_strcmp0(x->name, y->name);
}

void symbol_span_finish(GArray *spans)
{
	uint64_t max_hi = 0;

	g_array_sort(spans, span_compare);
	for (guint i = 0; i < spans->len; i++) {
		struct symbol_span *span = &g_array_index(spans, struct symbol_span, i);

		max_hi = MAX(max_hi, span->hi);
		span->max_hi = max_hi;
	}
}

const struct symbol_span *symbol_span_find(const GArray *spans, uint64_t addr)
{
	const struct symbol_span *all = (const struct symbol_span *)(const void *)spans->data;
	const struct symbol_span *best = NULL;
	size_t lo = 0, hi = spans->len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (all[mid].lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t i = lo, steps = 0; i > 0 && steps < MAX_STEPS_BACK; i--, steps++) {
		const struct symbol_span *span = &all[i - 1];

		if (span->max_hi <= addr || (best && span->lo != best->lo))
			break;
		/* Equal lo: sorted by rank, so the one found last is the preferred one. */
		if (addr < span->hi)
			best = span;
	}
	return best;
}
