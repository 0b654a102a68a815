/* SPDX-License-Identifier: MIT */
/* Puts the modules of a trace's processes, and the addresses in none, into the address space of a profile. */
#include "viewer/profile_trace.h"

#include <string.h>

#include "viewer/profile_space.h"

struct place {
	uint64_t mapping; /* id; 0 not added yet */
	uint64_t shift;	  /* add to an address of the process, modulo 2^64 */
};

struct profile_trace {
	struct profile *profile;     /* borrowed */
	struct trace *trace;	     /* borrowed */
	struct profile_space *space; /* owned */
	struct place *places;	     /* owned, by module */
	uint64_t *locations;	     /* owned, by location of the trace; 0 not added yet */
};

static const struct module *module_at(const struct profile_trace *places, uint32_t index)
{
	return &g_array_index(places->trace->stacks.modules, struct module, index);
}

static void add_module(struct profile_trace *places, uint32_t index)
{
	const struct module *module = module_at(places, index);
	struct profile_mapping mapping = {
		.start = module->start,
		.limit = module->end,
		.file_offset = module->file_offset,
		.filename = strings_get(places->trace->strings, module->path),
		.build_id = strings_get(places->trace->strings, module->build_id),
	};

	places->places[index].mapping =
		profile_space_map(places->space, &mapping, &places->places[index].shift);
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
	places->space = profile_space_new(profile);
	add_process(places, main_process);
	return places;
}

void profile_trace_free(struct profile_trace *places)
{
	if (!places)
		return;
	g_free(places->places);
	g_free(places->locations);
	profile_space_free(places->space);
	g_free(places);
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
		/* With several processes another one's module may be added there later. */
		address = profile_space_address(places->space,
			places->trace->processes->len > 1 ? location->proc + 1 : 0, address);
	}
	return profile_location(places->profile, mapping, address, lines, location->n_lines);
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
		uint64_t id = profile_space_pseudo(
			places->space, strings_get(places->trace->strings,
					       stacks_site(&places->trace->stacks, index)));
		g_array_append_val(locations, id);
	}
}
