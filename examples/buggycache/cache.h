/* SPDX-License-Identifier: MIT */
/* A string cache on two shelves, each a hash table under its own lock. All calls are thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum cache_shelf {
	CACHE_HOT,
	CACHE_COLD,
	CACHE_N_SHELVES,
};

/* Opens the journal of moves, an unlinked temporary file. Returns 0 or -errno. */
int cache_init(void);

/* Puts a copy of `value` on the hot shelf, replacing an older one. False: out of memory. */
bool cache_put(const char *key, const char *value);

/* Returns a copy of the value, to be freed by the caller; NULL when the key is on no shelf. */
char *cache_get(const char *key);

/* Moves a key between two different shelves. False: it is not on `from`. */
bool cache_transfer(const char *key, enum cache_shelf from, enum cache_shelf to);

/* The shelf that is called `name`, or CACHE_N_SHELVES. */
enum cache_shelf cache_shelf_by_name(const char *name);

/* Entries and bytes of values on both shelves. */
void cache_size(size_t *n_entries_out, size_t *n_bytes_out);
