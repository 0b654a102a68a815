/* SPDX-License-Identifier: MIT */
/*
 * A batch is resolved module by module, so that at most one binary's tables and debug information are in
 * memory at a time. What outlives a module is interned: names and files once each.
 */
#include "common/symbol.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/symbol_batch.h"
#include "common/symbol_cache_use.h"
#include "common/symbol_debuginfod.h"
#include "common/symbol_demangle.h"
#include "common/symbol_dwarf.h"
#include "common/symbol_file.h"
#include "common/symbol_image.h"
#include "common/symbol_span.h"

#define FRAMES_PER_BLOCK 1024
#define PROGRESS_AFTER_US G_USEC_PER_SEC
#define PROGRESS_EVERY_US (10 * G_USEC_PER_SEC)

struct module {
	struct symbol_module key; /* strings owned */
	GArray *wanted;		  /* owned: u64 runtime addresses not resolved yet, unsorted */
	GArray *resolved; /* owned: struct symbol_query by ascending addr (runtime addresses) */
};

struct symbol_batch {
	struct symbol_options options;
	GPtrArray *modules;	 /* owns struct module */
	GHashTable *strings;	 /* owned: interned texts, each its own key */
	GHashTable *demangled;	 /* interned name → interned text, both borrowed from strings */
	GPtrArray *frame_blocks; /* owned */
	size_t n_in_block;
	struct symbol_debuginfod *debuginfod; /* owned; NULL: never asked */
	char *trouble;			      /* owned */
	gint64 begin_us;		      /* of resolving */
	guint module_now;
	gint64 next_line_us; /* of progress */
	gboolean is_shown;
};

static const struct symbol_frame unknown = { .func = "", .system_name = "", .file = "" };

static void module_free(void *data)
{
	struct module *module = data;

	g_free((void *)(uintptr_t)module->key.path);
	g_free((void *)(uintptr_t)module->key.build_id);
	g_array_unref(module->wanted);
	g_array_unref(module->resolved);
	g_free(module);
}

static bool on_wait(void *user)
{
	struct symbol_batch *batch = user;

	symbol_batch_tick(batch);
	return batch->options.is_hurried && batch->options.is_hurried(batch->options.user);
}

struct symbol_batch *symbol_batch_new(const struct symbol_options *options)
{
	struct symbol_batch *batch = g_new0(struct symbol_batch, 1);

	if (options)
		batch->options = *options;
	batch->debuginfod = symbol_debuginfod_new(batch->options.debuginfod_ns, on_wait, batch);
	batch->modules = g_ptr_array_new_with_free_func(module_free);
	batch->strings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	batch->demangled = g_hash_table_new(NULL, NULL);
	batch->frame_blocks = g_ptr_array_new_with_free_func(g_free);
	return batch;
}

void symbol_batch_free(struct symbol_batch *batch)
{
	if (!batch)
		return;
	g_ptr_array_unref(batch->modules);
	g_hash_table_unref(batch->demangled);
	g_hash_table_unref(batch->strings);
	g_ptr_array_unref(batch->frame_blocks);
	symbol_debuginfod_free(batch->debuginfod);
	g_free(batch->trouble);
	g_free(batch);
}

static gboolean is_same_module(const struct symbol_module *a, const struct symbol_module *b)
{
	return a->base == b->base && a->n_build_id == b->n_build_id &&
	       strcmp(a->path, b->path) == 0 &&
	       (a->n_build_id == 0 || memcmp(a->build_id, b->build_id, a->n_build_id) == 0);
}

uint32_t symbol_batch_add_module(struct symbol_batch *batch, const struct symbol_module *key)
{
	struct module *module;

	for (guint i = 0; i < batch->modules->len; i++) {
		module = g_ptr_array_index(batch->modules, i);
		if (is_same_module(&module->key, key)) {
			if (!module->key.pid)
				module->key.pid = key->pid;
			return i;
		}
	}
	module = g_new0(struct module, 1);
	module->key = *key;
	module->key.path = g_strdup(key->path);
	module->key.build_id = key->n_build_id ? g_memdup2(key->build_id, key->n_build_id) : NULL;
	module->wanted = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	module->resolved = g_array_new(FALSE, FALSE, sizeof(struct symbol_query));
	g_ptr_array_add(batch->modules, module);
	return batch->modules->len - 1;
}

void symbol_batch_add(struct symbol_batch *batch, uint32_t index, uint64_t pc)
{
	struct module *module = g_ptr_array_index(batch->modules, index);

	g_array_append_val(module->wanted, pc);
}

const char *symbol_batch_intern(struct symbol_batch *batch, const char *text)
{
	char *key = g_hash_table_lookup(batch->strings, text), *valid;

	if (key)
		return key;
	valid = symbol_utf8(text);
	key = g_hash_table_lookup(batch->strings, valid);
	if (key) {
		g_free(valid);
		return key;
	}
	g_hash_table_add(batch->strings, valid);
	return valid;
}

const char *symbol_batch_demangle(struct symbol_batch *batch, const char *name)
{
	const char *text = g_hash_table_lookup(batch->demangled, name);
	char *demangled;

	if (text)
		return text;
	demangled = symbol_demangle(name);
	text = demangled ? symbol_batch_intern(batch, demangled) : name;
	g_free(demangled);
	g_hash_table_insert(batch->demangled, (void *)(uintptr_t)name, (void *)(uintptr_t)text);
	return text;
}

struct symbol_frame *symbol_batch_frames(struct symbol_batch *batch, size_t n)
{
	struct symbol_frame *frames;

	if (batch->frame_blocks->len == 0 || batch->n_in_block + n > FRAMES_PER_BLOCK) {
		g_ptr_array_add(
			batch->frame_blocks, g_new(struct symbol_frame, MAX(n, FRAMES_PER_BLOCK)));
		batch->n_in_block = 0;
	}
	frames = g_ptr_array_index(batch->frame_blocks, batch->frame_blocks->len - 1);
	frames += batch->n_in_block;
	batch->n_in_block += n;
	for (size_t i = 0; i < n; i++)
		frames[i] = unknown;
	return frames;
}

/* A line now and then instead of one that is rewritten: the terminal belongs to the traced program as well. */
void symbol_batch_tick(struct symbol_batch *batch)
{
	gint64 now = g_get_monotonic_time();
	struct module *module;

	if (!batch->options.is_progress || now < batch->next_line_us || !isatty(STDERR_FILENO))
		return;
	batch->next_line_us = now + PROGRESS_EVERY_US;
	batch->is_shown = TRUE;
	module = g_ptr_array_index(batch->modules, batch->module_now);
	log_say("Looking up the names of functions, file %u of %u: %s", batch->module_now + 1,
		batch->modules->len, module->key.path);
}

static int addr_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Sorted, without duplicates and without what is known already, moved to the image's addresses. */
static GArray *module_queries(struct module *module)
{
	GArray *queries = g_array_new(FALSE, TRUE, sizeof(struct symbol_query));
	guint old = 0;

	g_array_sort(module->wanted, addr_compare);
	for (guint i = 0; i < module->wanted->len; i++) {
		struct symbol_query query = {
			.addr = g_array_index(module->wanted, uint64_t, i),
		};

		if (i && query.addr == g_array_index(module->wanted, uint64_t, i - 1))
			continue;
		while (old < module->resolved->len &&
			g_array_index(module->resolved, struct symbol_query, old).addr < query.addr)
			old++;
		if (old < module->resolved->len &&
			g_array_index(module->resolved, struct symbol_query, old).addr ==
				query.addr)
			continue;
		query.addr -= module->key.base;
		g_array_append_val(queries, query);
	}
	g_array_set_size(module->wanted, 0);
	return queries;
}

/* The name around each query from the symbol table. Returns the table's size. */
static guint queries_set_symbols(
	GArray *queries, struct symbol_image *image, struct symbol_batch *batch)
{
	const GArray *table = symbol_image_symbols(image);

	for (guint i = 0; i < queries->len; i++) {
		struct symbol_query *query = &g_array_index(queries, struct symbol_query, i);
		const struct symbol_span *span = symbol_span_find(table, query->addr);

		if (!span)
			continue;
		query->symbol = symbol_batch_intern(batch, span->name);
		query->offset = query->addr - span->lo;
	}
	return table->len;
}

/* Frames of what only the symbol table knows. */
static void query_set_symbol_frame(struct symbol_query *query, struct symbol_batch *batch)
{
	if (query->frames || !query->symbol)
		return;
	query->frames = symbol_batch_frames(batch, 1);
	query->n_frames = 1;
	query->frames->system_name = query->symbol;
	query->frames->func = symbol_batch_demangle(batch, query->symbol);
}

static int query_compare(const void *a, const void *b)
{
	const struct symbol_query *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Names for what the cache does not know. Returns 1 when the image has names of any kind. */
static int image_resolve(struct symbol_image *image, struct symbol_batch *batch, GArray *queries)
{
	struct symbol_query *all = (struct symbol_query *)(void *)queries->data;
	int has_names;

	symbol_image_set_debuginfod(image, batch->debuginfod);
	has_names = queries_set_symbols(queries, image, batch) > 0;
	has_names |= symbol_dwarf_resolve(image, batch, all, queries->len);
	for (guint i = 0; i < queries->len; i++) {
		query_set_symbol_frame(&all[i], batch);
		for (uint32_t k = 0; k < all[i].n_frames; k++)
			all[i].frames[k].offset = all[i].offset;
	}
	return has_names;
}

/* Moves queries over to the module's results. */
static void module_add_resolved(struct module *module, const GArray *queries, gboolean is_known)
{
	for (guint i = 0; i < queries->len; i++) {
		struct symbol_query query = g_array_index(queries, struct symbol_query, i);

		if (query.is_known != is_known)
			continue;
		query.addr += module->key.base;
		g_array_append_val(module->resolved, query);
	}
}

static void drop_known(GArray *queries)
{
	struct symbol_query *all = (struct symbol_query *)(void *)queries->data;
	guint n = 0;

	for (guint i = 0; i < queries->len; i++)
		if (!all[i].is_known)
			all[n++] = all[i];
	g_array_set_size(queries, n);
}

/* Returns 1 when names of any kind are there, or nothing was asked. */
static int queries_resolve(struct module *module, GArray *queries, struct symbol_batch *batch)
{
	struct symbol_query *all = (struct symbol_query *)(void *)queries->data;
	struct symbol_cache *cache = batch->options.cache;
	struct symbol_image *image;
	gboolean has_names = FALSE;
	uint32_t number;
	int fd = -1;

	if (!module->key.n_build_id && symbol_file_open(&module->key, &fd) != 0)
		return 0;
	number = symbol_cache_module(cache, &module->key, fd, batch->debuginfod != NULL);
	if (symbol_cache_answer(cache, number, batch, all, queries->len, &has_names)) {
		module_add_resolved(module, queries, TRUE);
		drop_known(queries);
	}
	image = queries->len ? symbol_cache_take_image(cache, number) : NULL;
	if (queries->len && !image && (fd >= 0 || symbol_file_open(&module->key, &fd) == 0)) {
		symbol_image_open(&module->key, fd, &image);
		fd = -1;
	}
	if (fd >= 0)
		close(fd);
	if (image) {
		has_names |= image_resolve(image, batch, queries);
		symbol_cache_learn(cache, number, all, queries->len, has_names);
		symbol_cache_give_image(cache, number, image);
	}
	return has_names;
}

/* Returns 1 when the module has names of any kind. */
static int module_resolve(struct module *module, struct symbol_batch *batch)
{
	GArray *queries = module_queries(module);
	int has_names = 1;

	if (queries->len) {
		/* Addresses below the load bias wrapped around: bring the queries in order again. */
		g_array_sort(queries, query_compare);
		has_names = queries_resolve(module, queries, batch);
		module_add_resolved(module, queries, FALSE);
		g_array_sort(module->resolved, query_compare);
	}
	g_array_unref(queries);
	return has_names;
}

size_t symbol_batch_resolve(struct symbol_batch *batch)
{
	size_t n_without = 0;

	batch->begin_us = g_get_monotonic_time();
	batch->next_line_us = batch->begin_us + PROGRESS_AFTER_US;
	batch->is_shown = FALSE;
	for (guint i = 0; i < batch->modules->len; i++) {
		batch->module_now = i;
		n_without += !module_resolve(g_ptr_array_index(batch->modules, i), batch);
		symbol_batch_tick(batch);
	}
	if (batch->is_shown)
		log_say("Names of functions found after %.1f s",
			(double)(g_get_monotonic_time() - batch->begin_us) / G_USEC_PER_SEC);
	g_free(batch->trouble);
	batch->trouble = symbol_debuginfod_trouble(batch->debuginfod);
	return n_without;
}

const char *symbol_batch_trouble(const struct symbol_batch *batch)
{
	return batch->trouble;
}

const struct symbol_frame *symbol_batch_lookup(
	const struct symbol_batch *batch, uint32_t index, uint64_t pc, size_t *n_out)
{
	const struct module *module = g_ptr_array_index(batch->modules, index);
	const struct symbol_query key = { .addr = pc }, *query;

	query = bsearch(
		&key, module->resolved->data, module->resolved->len, sizeof(key), query_compare);
	if (!query || !query->frames) {
		*n_out = 1;
		return &unknown;
	}
	*n_out = query->n_frames;
	return query->frames;
}
