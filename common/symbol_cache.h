/* SPDX-License-Identifier: MIT */
/*
 * What the symbolizer found out, kept between batches: names by build-id and address, and the symbol tables
 * and descriptors of the files. One long-lived object for everything in a process that looks up names.
 *
 * A recorder makes one at its start and hands it to whoever makes batches:
 *
 *	cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
 *	...
 *	struct symbol_options options = { .cache = cache };
 *	batch = symbol_batch_new(&options);
 *
 * and uses the batch as without. A second profile of the same program then costs a hash look-up per address.
 * Files are not looked at again while their names are known by build-id; a module without a build-id is
 * known by device, inode, size and times of the file behind it, which is opened for that each time.
 * A debug file that is installed later is seen when the module has left the cache.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/symbol.h"

#define SYMBOL_CACHE_BYTES ((size_t)64 << 20)

/* All functions but symbol_cache_free() may be called from any thread. */
struct symbol_cache;

/* Half of max_bytes is for names, half for tables of symbols; what is used least recently goes first. */
struct symbol_cache *symbol_cache_new(size_t max_bytes);

/* When no batch uses it any more. NULL is fine. */
void symbol_cache_free(struct symbol_cache *cache);

struct symbol_cache_stats {
	uint64_t n_hits, n_misses; /* addresses looked for since the start */
	size_t answer_bytes, image_bytes;
	unsigned n_images; /* files whose tables are kept */
};

void symbol_cache_stats(struct symbol_cache *cache, struct symbol_cache_stats *stats_out);
