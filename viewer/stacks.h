/* SPDX-License-Identifier: MIT */
/*
 * Modules, addresses, symbols and stacks of a trace. Filled from definitions, then closed once with
 * stacks_resolve(); after that everything is found by index, and stacks that were never defined can still be
 * asked for (they have no frames). Single-threaded.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "viewer/event.h"
#include "viewer/idmap.h"
#include "viewer/strings.h"

#define MODULE_NONE UINT32_MAX

struct module {
	uint64_t base, start, end, file_offset, load_ns, unload_ns;
	uint32_t proc;
	uint32_t build_id, path; /* strings */
	uint8_t is_runtime; /* C or C++ library, loader, or our tracer: never the interesting frame */
};

/* One function at an address; several where functions were inlined. All strings ids; 0 unknown. */
struct line {
	uint32_t func, system_name, file, line, func_line;
};

/* An address of a process. Lines are innermost inlined first; none when the address is unknown. */
struct location {
	uint64_t addr; /* as in stacks: a return address; the call is at addr - 1 */
	uint32_t proc, module;
	uint32_t first_line, n_lines;
};

#define STACK_FLAG_UNDEFINED 0x100 /* the trace does not define this stack */

/* Frames leaf first: n_frames indices of locations from first_frame in stacks.frames. */
struct stack {
	uint32_t proc, id, flags;
	uint32_t first_frame, n_frames;
	uint32_t site; /* string, see stacks_site(); 0 not yet asked for */
};

/* Indices that stand for no stack, in every process. */
#define STACK_INDEX_NONE 0     /* none was taken */
#define STACK_INDEX_OVERFLOW 1 /* the tracer's table was full */
/* Of the viewer's own making: time that no event has a stack for. */
#define STACK_INDEX_PREEMPTED 2	  /* lost the CPU outside of any call */
#define STACK_INDEX_OFF_CPU 3	  /* waited outside of any call that was recorded */
#define STACK_INDEX_ON_CPU 4	  /* ran, and was not sampled */
#define STACK_INDEX_NOT_IN_CALL 5 /* ran, or was ready to, or waited where nothing was recorded */

struct stacks {
	struct strings *strings; /* borrowed */
	GArray *modules;	 /* struct module */
	GArray *lines;		 /* struct line */
	GArray *locations;	 /* struct location */
	GArray *frames;		 /* uint32_t */
	GArray *stacks;		 /* struct stack */
	struct idmap by_id;	 /* (proc, id) → index in stacks */
	struct idmap by_addr;	 /* (proc, addr) → index in locations */
	GArray *symbols;	 /* struct symbol, until stacks_resolve() */
};

void stacks_init(struct stacks *stacks, struct strings *strings);
void stacks_fini(struct stacks *stacks);

/* One definition each; of an event of kind EVENT_DEF_MODULE, _STACK, _SYMBOL. */
void stacks_add_module(struct stacks *stacks, const struct event *event);
void stacks_add_stack(struct stacks *stacks, const struct event *event);
void stacks_add_symbol(struct stacks *stacks, const struct event *event);

/* Joins symbols and modules to the addresses. Call once, after the last definition. */
void stacks_resolve(struct stacks *stacks);

/* Index of stack `id` of process `proc`; made up as undefined when the trace does not have it. */
uint32_t stacks_find(struct stacks *stacks, uint32_t proc, uint32_t id);

static inline const struct stack *stacks_get(const struct stacks *stacks, uint32_t index)
{
	return &g_array_index(stacks->stacks, struct stack, index);
}

static inline const struct location *stacks_frame(
	const struct stacks *stacks, const struct stack *stack, uint32_t i)
{
	return &g_array_index(stacks->locations, struct location,
		g_array_index(stacks->frames, uint32_t, stack->first_frame + i));
}

/* String that names the place a stack stands for: "function (file:line)" of the innermost frame that is not in
 * a runtime library; "caller > module+0xOFFSET" where its name is missing, with the nearest caller that has
 * one; a bracketed reason without frames. */
uint32_t stacks_site(struct stacks *stacks, uint32_t index);

/*
 * Appends to `out` the function names of line `line` of `location` (0 innermost), "module+0xOFFSET" when it
 * has no name.
 */
void stacks_append_function(
	const struct stacks *stacks, const struct location *location, uint32_t line, GString *out);
