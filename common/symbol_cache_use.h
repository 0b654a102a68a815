/* SPDX-License-Identifier: MIT */
/* How a batch uses the cache. Not for others. Everything takes NULL for `cache`, and does nothing then. */
#pragma once

#include <glib.h>

#include "common/symbol_batch.h"
#include "common/symbol_cache.h"

struct symbol_image;

/*
 * The number of a module in the cache, or 0: cannot be told from other files. `fd` is the module's file, or -1
 * for one with a build-id. What was found without asking the network is not used by who may ask it.
 */
uint32_t symbol_cache_module(struct symbol_cache *cache, const struct symbol_module *module, int fd,
	gboolean is_network);

/* Sets is_known and the frames of the queries that have an answer. Returns how many; *has_names: the module has some. */
size_t symbol_cache_answer(struct symbol_cache *cache, uint32_t module, struct symbol_batch *batch,
	struct symbol_query *queries, size_t n, gboolean *has_names);

void symbol_cache_learn(struct symbol_cache *cache, uint32_t module,
	const struct symbol_query *queries, size_t n, gboolean has_names);

/* Takes a kept image out, for exclusive use; NULL: none. */
struct symbol_image *symbol_cache_take_image(struct symbol_cache *cache, uint32_t module);

/* Puts it back or in; it belongs to the cache (which frees it when it is NULL or full). */
void symbol_cache_give_image(
	struct symbol_cache *cache, uint32_t module, struct symbol_image *image);
