/* SPDX-License-Identifier: MIT */
/*
 * Addresses are looked up relative to where their module was loaded, so that processes that map the same file, and
 * later runs of the same program, share one look-up.
 *
 * A stack carries no time. When two different files were mapped over the same address in the process's life (a
 * plugin unloaded, another loaded in its place), nothing says which one a frame belongs to: such addresses
 * stay unknown rather than wrong.
 */
#include "recorder/profile_symbols.h"

#include <string.h>

#include "common/symbol_span.h"
#include "proto/schema.h"
#include "viewer/profile_space.h"

#define DELETED " (deleted)"
#define OWN_LIBRARY "libflightrec.so"

/* Where a module of a process went. */
struct place {
	uint64_t mapping; /* id; 0 not added yet */
	uint64_t shift;	  /* add to an address of the process, modulo 2^64 */
	uint32_t batch;	  /* module of the batch */
	bool is_own;	  /* the tracer */
};

struct space {
	const struct profile_process *process; /* borrowed */
	GArray *modules;		       /* owned: struct fr_module */
	struct place *places;		       /* owned, by module */
	GArray *spans, *ambiguous; /* owned: struct symbol_span; value is the module's index */
	GHashTable *stacks;	   /* id + 1 → index in `frames` of a length, addresses follow */
	GArray *frames;		   /* owned: uint64_t */
	GHashTable *wanted;	   /* owned: addresses that the batch was asked for, uint64_t * */
	GHashTable *locations;	   /* owned: address, uint64_t * → id of its location */
};

struct profile_symbols {
	struct profile *profile;     /* borrowed */
	struct profile_space *space; /* owned */
	struct symbol_batch *batch;  /* owned */
	GHashTable *spaces;	     /* process id → struct space, owned */
	GArray *lines;		     /* struct profile_line, scratch */
	uint64_t offset;	     /* of the address of `lines` in its function */
	bool is_shared, is_own_hidden;
};

static void space_free(void *data)
{
	struct space *space = data;

	g_array_unref(space->modules);
	g_array_unref(space->spans);
	g_array_unref(space->ambiguous);
	g_array_unref(space->frames);
	g_hash_table_unref(space->stacks);
	g_hash_table_unref(space->wanted);
	g_hash_table_unref(space->locations);
	g_free(space->places);
	g_free(space);
}

struct profile_symbols *profile_symbols_new(
	struct profile *profile, struct symbol_cache *cache, bool is_shared)
{
	struct symbol_options options = { .cache = cache };
	struct profile_symbols *symbols = g_new0(struct profile_symbols, 1);

	symbols->profile = profile;
	symbols->space = profile_space_new(profile);
	symbols->batch = symbol_batch_new(&options);
	symbols->spaces = g_hash_table_new_full(NULL, NULL, NULL, space_free);
	symbols->lines = g_array_new(FALSE, FALSE, sizeof(struct profile_line));
	symbols->is_shared = is_shared;
	return symbols;
}

void profile_symbols_hide_own(struct profile_symbols *symbols)
{
	symbols->is_own_hidden = true;
}

void profile_symbols_free(struct profile_symbols *symbols)
{
	if (!symbols)
		return;
	g_hash_table_unref(symbols->spaces);
	profile_space_free(symbols->space);
	symbol_batch_free(symbols->batch);
	g_array_unref(symbols->lines);
	g_free(symbols);
}

static const struct fr_module *module_at(const struct space *space, size_t i)
{
	return &g_array_index(space->modules, struct fr_module, i);
}

static void add_mapping(struct profile_symbols *symbols, struct space *space, guint i)
{
	const struct fr_module *module = module_at(space, i);
	char build_id[2 * sizeof(module->build_id) + 1] = "";
	g_autofree char *path = g_strdup(module->path);
	struct profile_mapping mapping = {
		.start = module->start,
		.limit = module->end,
		.file_offset = module->file_offset,
		.filename = path,
		.build_id = build_id,
	};

	if (g_str_has_suffix(path, DELETED))
		path[strlen(path) - strlen(DELETED)] = '\0';
	for (uint32_t k = 0; k < module->n_build_id; k++)
		g_snprintf(build_id + (size_t)2 * k, 3, "%02x", module->build_id[k]);
	space->places[i].mapping =
		profile_space_map(symbols->space, &mapping, &space->places[i].shift);
}

static int is_same_file(const struct fr_module *a, const struct fr_module *b)
{
	return a->base == b->base && a->n_build_id == b->n_build_id &&
	       memcmp(a->build_id, b->build_id, a->n_build_id) == 0 &&
	       strcmp(a->path, b->path) == 0;
}

/* Only what was unloaded can overlap something else. */
static void find_ambiguous(struct space *space)
{
	for (guint i = 0; i < space->modules->len; i++) {
		const struct fr_module *gone = module_at(space, i);

		for (guint k = 0; gone->unload_ns && k < space->modules->len; k++) {
			const struct fr_module *other = module_at(space, k);
			struct symbol_span both = {
				.lo = MAX(gone->start, other->start),
				.hi = MIN(gone->end, other->end),
			};

			if (k != i && both.lo < both.hi && !is_same_file(gone, other))
				g_array_append_val(space->ambiguous, both);
		}
	}
}

static bool is_tracer(const char *path)
{
	const char *slash = strrchr(path, '/');

	return g_str_has_prefix(slash ? slash + 1 : path, OWN_LIBRARY);
}

void profile_symbols_add_process(
	struct profile_symbols *symbols, const struct profile_process *process)
{
	struct space *space;

	if (g_hash_table_contains(symbols->spaces, GUINT_TO_POINTER(process->id)))
		return;
	space = g_new0(struct space, 1);
	space->process = process;
	space->modules = profile_process_modules(process);
	space->places = g_new0(struct place, space->modules->len + 1);
	space->spans = symbol_span_table();
	space->ambiguous = symbol_span_table();
	space->stacks = g_hash_table_new(NULL, NULL);
	space->frames = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	space->wanted = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	space->locations = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	for (guint i = 0; i < space->modules->len; i++) {
		const struct fr_module *module = module_at(space, i);
		struct symbol_span span = {
			.lo = module->start,
			.hi = module->end,
			.value = i,
			.rank = module->unload_ns != 0,
		};
		/* Base 0: addresses are made relative before they are asked for. */
		struct symbol_module key = {
			.path = module->path,
			.build_id = module->n_build_id ? module->build_id : NULL,
			.n_build_id = module->n_build_id,
			.pid = process->is_alive ? process->pid : 0,
		};

		g_array_append_val(space->spans, span);
		space->places[i].batch = symbol_batch_add_module(symbols->batch, &key);
		space->places[i].is_own = is_tracer(module->path);
		/* What was unloaded comes in when a stack needs it. */
		if (!module->unload_ns)
			add_mapping(symbols, space, i);
	}
	find_ambiguous(space);
	symbol_span_finish(space->spans);
	symbol_span_finish(space->ambiguous);
	g_hash_table_insert(symbols->spaces, GUINT_TO_POINTER(process->id), space);
}

static struct space *space_of(
	const struct profile_symbols *symbols, const struct profile_process *process)
{
	return g_hash_table_lookup(symbols->spaces, GUINT_TO_POINTER(process->id));
}

/* The module around `pc`; NULL: none, or nobody knows which. */
static const struct symbol_span *span_of(const struct space *space, uint64_t pc)
{
	return symbol_span_find(space->ambiguous, pc) ? NULL : symbol_span_find(space->spans, pc);
}

static void want_address(struct profile_symbols *symbols, struct space *space, uint64_t pc)
{
	const struct symbol_span *span;

	if (g_hash_table_contains(space->wanted, &pc))
		return;
	g_hash_table_add(space->wanted, g_memdup2(&pc, sizeof(pc)));
	span = span_of(space, pc);
	if (span)
		symbol_batch_add(symbols->batch, space->places[span->value].batch,
			pc - module_at(space, span->value)->base);
}

void profile_symbols_want(
	struct profile_symbols *symbols, const struct profile_process *process, uint32_t stack)
{
	struct space *space = space_of(symbols, process);
	void *key = (void *)((uintptr_t)stack + 1);
	uint64_t frames[FR_STACK_MAX_FRAMES], n;

	if (!space || g_hash_table_contains(space->stacks, key))
		return;
	n = profile_process_stack(process, stack, frames);
	g_hash_table_insert(space->stacks, key, GUINT_TO_POINTER(space->frames->len));
	g_array_append_val(space->frames, n);
	g_array_append_vals(space->frames, frames, (guint)n);
	for (uint64_t i = 0; i < n; i++)
		want_address(symbols, space, frames[i] - 1);
}

void profile_symbols_want_entry(
	struct profile_symbols *symbols, const struct profile_process *process, uint64_t address)
{
	struct space *space = space_of(symbols, process);

	if (space)
		want_address(symbols, space, address);
}

void profile_symbols_resolve(struct profile_symbols *symbols)
{
	symbol_batch_resolve(symbols->batch);
}

/* Names at `pc` into symbols->lines; empty when there are none. */
static void find_lines(struct profile_symbols *symbols, const struct space *space,
	const struct symbol_span *span, uint64_t pc)
{
	const struct symbol_frame *frames;
	size_t n = 0;

	g_array_set_size(symbols->lines, 0);
	frames = symbol_batch_lookup(symbols->batch, space->places[span->value].batch,
		pc - module_at(space, span->value)->base, &n);
	symbols->offset = frames[0].offset;
	for (size_t i = 0; i < n; i++) {
		struct profile_line line = { frames[i].func, frames[i].system_name, frames[i].file,
			frames[i].line, frames[i].func_line };

		if (*frames[i].func)
			g_array_append_val(symbols->lines, line);
	}
}

static uint64_t location_of(struct profile_symbols *symbols, struct space *space, uint64_t pc)
{
	void *found = g_hash_table_lookup(space->locations, &pc);
	const struct symbol_span *span;
	uint64_t id;

	if (found)
		return (uintptr_t)found;
	span = span_of(space, pc);
	if (span) {
		struct place *place = &space->places[span->value];

		if (!place->mapping)
			add_mapping(symbols, space, (guint)span->value);
		find_lines(symbols, space, span, pc);
		id = profile_location(symbols->profile, place->mapping, pc + place->shift,
			(const struct profile_line *)(const void *)symbols->lines->data,
			symbols->lines->len);
		profile_set_offset(symbols->profile, id, symbols->offset);
	} else {
		id = profile_location(symbols->profile, 0,
			profile_space_address(
				symbols->space, symbols->is_shared ? space->process->id : 0, pc),
			NULL, 0);
	}
	g_hash_table_insert(space->locations, g_memdup2(&pc, sizeof(pc)), (void *)(uintptr_t)id);
	return id;
}

static bool is_own(const struct space *space, uint64_t pc)
{
	const struct symbol_span *span = span_of(space, pc);

	return span && space->places[span->value].is_own;
}

static const char *missing_stack(const struct profile_process *process, uint32_t stack)
{
	if (process->blackbox && stack == FR_STACK_OVERFLOW)
		return "[stack table full]";
	return "[unknown]";
}

void profile_symbols_stack(struct profile_symbols *symbols, const struct profile_process *process,
	uint32_t stack, GArray *locations_out)
{
	struct space *space = space_of(symbols, process);
	void *key = (void *)((uintptr_t)stack + 1), *at;
	uint64_t id;

	g_array_set_size(locations_out, 0);
	if (space && g_hash_table_lookup_extended(space->stacks, key, NULL, &at)) {
		guint first = GPOINTER_TO_UINT(at);

		uint64_t n = g_array_index(space->frames, uint64_t, first);

		for (uint64_t i = 1; i <= n; i++) {
			uint64_t pc = g_array_index(space->frames, uint64_t, first + i) - 1;

			if (symbols->is_own_hidden && is_own(space, pc))
				continue;
			id = location_of(symbols, space, pc);
			g_array_append_val(locations_out, id);
		}
	}
	if (locations_out->len == 0) {
		id = profile_symbols_pseudo(symbols, missing_stack(process, stack));
		g_array_append_val(locations_out, id);
	}
}

uint64_t profile_symbols_entry(
	struct profile_symbols *symbols, const struct profile_process *process, uint64_t address)
{
	struct space *space = space_of(symbols, process);

	return space ? location_of(symbols, space, address)
		     : profile_symbols_pseudo(symbols, "[unknown]");
}

uint64_t profile_symbols_pseudo(struct profile_symbols *symbols, const char *name)
{
	return profile_space_pseudo(symbols->space, name);
}
