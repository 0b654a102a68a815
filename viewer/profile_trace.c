/* SPDX-License-Identifier: MIT */
/*
 * A trace may hold several processes, a profile has one address space, and some readers tell stacks apart by
 * addresses alone. So the same file mapped by several processes becomes one mapping, where the first of them
 * had it; another file whose range is taken moves to a range above all user addresses; and an address in
 * no file keeps its number only while it is free.
 */
#include "viewer/profile_trace.h"

#include <string.h>

#define MOVED_MAPPINGS UINT64_C(0x0100000000000000)
#define MOVED_ADDRESSES UINT64_C(0x0200000000000000)
#define PSEUDO_ADDRESSES UINT64_C(0x0300000000000000)
#define PAGE UINT64_C(0x1000)

struct place {
	uint64_t mapping; /* id; 0 not added yet */
	uint64_t shift;	  /* add to an address of the process, modulo 2^64 */
};

struct range {
	uint64_t start, limit;
};

struct profile_trace {
	struct profile *profile; /* borrowed */
	struct trace *trace;	 /* borrowed */
	struct place *places;	 /* owned, by module */
	uint64_t *locations;	 /* owned, by location of the trace; 0 not added yet */
	GArray *ranges;		 /* struct range: those of the mappings */
	GHashTable *by_file;	 /* owned key → module + 1 */
	GHashTable *taken;	 /* uint64_t * (owned): addresses outside mappings */
	uint64_t next_mapping, next_address;
};

static const struct module *module_at(const struct profile_trace *places, uint32_t index)
{
	return &g_array_index(places->trace->stacks.modules, struct module, index);
}

static int is_taken(const struct profile_trace *places, uint64_t start, uint64_t limit)
{
	for (guint i = 0; i < places->ranges->len; i++) {
		const struct range *range = &g_array_index(places->ranges, struct range, i);
		if (start < range->limit && range->start < limit)
			return 1;
	}
	return 0;
}

static void add_module(struct profile_trace *places, uint32_t index)
{
	const struct module *module = module_at(places, index);
	uint64_t size = module->end - module->start;
	char *key = g_strdup_printf("%u:%u:%" G_GINT64_MODIFIER "x:%" G_GINT64_MODIFIER "x",
		module->path, module->build_id, module->file_offset, size);
	guint same = GPOINTER_TO_UINT(g_hash_table_lookup(places->by_file, key));
	struct place *place = &places->places[index];
	struct range range = { module->start, module->end };

	if (same) {
		const struct place *first = &places->places[same - 1];
		place->mapping = first->mapping;
		place->shift = module_at(places, same - 1)->start + first->shift - module->start;
		g_free(key);
		return;
	}
	if (is_taken(places, range.start, range.limit)) {
		range.start = places->next_mapping;
		range.limit = range.start + size;
		places->next_mapping += ((size + PAGE - 1) & ~(PAGE - 1)) + PAGE;
	}
	place->shift = range.start - module->start;
	place->mapping = profile_add_mapping(places->profile,
		&(struct profile_mapping){
			.start = range.start,
			.limit = range.limit,
			.file_offset = module->file_offset,
			.filename = strings_get(places->trace->strings, module->path),
			.build_id = strings_get(places->trace->strings, module->build_id),
		});
	g_array_append_val(places->ranges, range);
	g_hash_table_insert(places->by_file, key, GUINT_TO_POINTER(index + 1));
}

/* Adds the modules of a process, its program first. */
static void add_process(struct profile_trace *places, uint32_t process)
{
	const struct process *of = trace_process(places->trace, process);
	GArray *modules = places->trace->stacks.modules;

	for (int is_program = 1; is_program >= 0; is_program--)
		for (guint i = 0; i < modules->len; i++) {
			const struct module *module = module_at(places, i);
			/* What was unloaded overlaps what came after; it is added when a stack needs it. */
			if (module->proc == of->proc && !module->unload_ns &&
				(module->path == of->exe) == is_program &&
				!places->places[i].mapping)
				add_module(places, i);
		}
}

struct profile_trace *profile_trace_new(
	struct profile *profile, struct trace *trace, uint32_t main_process)
{
	struct profile_trace *places = g_new0(struct profile_trace, 1);

	places->profile = profile;
	places->trace = trace;
	places->places = g_new0(struct place, trace->stacks.modules->len + 1);
	places->locations = g_new0(uint64_t, trace->stacks.locations->len + 1);
	places->ranges = g_array_new(FALSE, FALSE, sizeof(struct range));
	places->by_file = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	places->taken = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	places->next_mapping = MOVED_MAPPINGS;
	places->next_address = MOVED_ADDRESSES;
	add_process(places, main_process);
	return places;
}

void profile_trace_free(struct profile_trace *places)
{
	if (!places)
		return;
	g_free(places->places);
	g_free(places->locations);
	g_array_free(places->ranges, TRUE);
	g_hash_table_destroy(places->by_file);
	g_hash_table_destroy(places->taken);
	g_free(places);
}

/*
 * An address for something in no mapping: its own when nothing else can have it. With several processes
 * another one's module may be added there later.
 */
static uint64_t free_address(struct profile_trace *places, uint64_t address)
{
	if (address == 0 || places->trace->processes->len > 1 ||
		is_taken(places, address, address + 1) ||
		g_hash_table_contains(places->taken, &address))
		address = places->next_address++;
	g_hash_table_add(places->taken, g_memdup2(&address, sizeof(address)));
	return address;
}

static uint64_t add_location(struct profile_trace *places, const struct location *location)
{
	const struct trace *trace = places->trace;
	g_autofree struct profile_line *lines = g_new0(struct profile_line, location->n_lines + 1);
	uint64_t mapping = 0, address = location->addr - 1; /* inside the call instruction */

	for (uint32_t i = 0; i < location->n_lines; i++) {
		const struct line *line =
			&g_array_index(trace->stacks.lines, struct line, location->first_line + i);
		lines[i] = (struct profile_line){ strings_get(trace->strings, line->func),
			strings_get(trace->strings, line->system_name),
			strings_get(trace->strings, line->file), line->line, line->func_line };
	}
	if (location->module != MODULE_NONE) {
		if (!places->places[location->module].mapping)
			add_module(places, location->module);
		mapping = places->places[location->module].mapping;
		address += places->places[location->module].shift;
	} else {
		address = free_address(places, address);
	}
	return profile_location(places->profile, mapping, address, lines, location->n_lines);
}

static uint64_t add_pseudo(struct profile_trace *places, uint32_t stack)
{
	const char *name =
		strings_get(places->trace->strings, stacks_site(&places->trace->stacks, stack));
	struct profile_line line = { .name = name, .system_name = name, .filename = "" };

	return profile_location(places->profile, 0, PSEUDO_ADDRESSES + stack, &line, 1);
}

void profile_trace_stack(struct profile_trace *places, uint32_t index, GArray *locations)
{
	const struct stacks *stacks = &places->trace->stacks;
	const struct stack *stack = stacks_get(stacks, index);

	g_array_set_size(locations, 0);
	for (uint32_t i = 0; i < stack->n_frames; i++) {
		uint32_t at = g_array_index(stacks->frames, uint32_t, stack->first_frame + i);
		if (!places->locations[at])
			places->locations[at] = add_location(
				places, &g_array_index(stacks->locations, struct location, at));
		g_array_append_val(locations, places->locations[at]);
	}
	if (stack->n_frames == 0) {
		uint64_t id = add_pseudo(places, index);
		g_array_append_val(locations, id);
	}
}
