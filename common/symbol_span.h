/* SPDX-License-Identifier: MIT */
/* Address ranges with a name or number, sorted, for look-ups of the innermost range around an address. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

/* [lo, hi). `name` is borrowed from whoever filled the table; `value` is free for its use. */
struct symbol_span {
	uint64_t lo, hi;
	uint64_t max_hi; /* largest hi of this span and all before it: ends a walk back */
	const char *name;
	uint64_t value;
	uint32_t rank; /* smaller is preferred among spans that begin at the same address */
};

/* A GArray of struct symbol_span; free with g_array_unref(). */
GArray *symbol_span_table(void);

/* Sorts by (lo, rank, name) and prepares look-ups. Call once, after the last append. */
void symbol_span_finish(GArray *spans);

/*
 * The span that contains `addr` and begins last, the preferred one among those that begin there; NULL
 * when there is none. At most 256 spans that begin before `addr` are looked at.
 */
const struct symbol_span *symbol_span_find(const GArray *spans, uint64_t addr);
