/* SPDX-License-Identifier: MIT */
/*
 * A hash from a pair of 64-bit keys to a u32, for the look-ups made once per event: open addressing in
 * one array, no allocation per entry, 3-5 ns where it is warm. Single-threaded.
 */
#pragma once

#include <stdint.h>

struct idmap_entry {
	uint64_t a, b;
	uint32_t value, used;
};

/* Embedded by its user; zeroed memory is an empty map. */
struct idmap {
	struct idmap_entry *entries; /* owned */
	uint32_t n, size;	     /* size: 0 or a power of two */
};

#define IDMAP_NONE UINT32_MAX

void idmap_fini(struct idmap *map);

/* Value stored under (a, b), or IDMAP_NONE. */
uint32_t idmap_get(const struct idmap *map, uint64_t a, uint64_t b);

/* Stores `value` under (a, b), replacing what was there. */
void idmap_set(struct idmap *map, uint64_t a, uint64_t b, uint32_t value);

/* Removes (a, b); no-op when absent. */
void idmap_remove(struct idmap *map, uint64_t a, uint64_t b);
