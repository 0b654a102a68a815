/* SPDX-License-Identifier: MIT */
/* What one traced process was, had and did at the end of a window: taken at once, written later. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "proto/blackbox.h"
#include "recorder/process_end.h"

struct blackbox;
struct cpu_times;
struct state_trace;

struct process_state {
	struct blackbox *blackbox; /* owned; the stacks are read from it when they are written */
	uint16_t proc;
	int is_alive;
	GArray *slots;	 /* owned: struct fr_slot, threads without one of the tracer's added */
	GArray *times;	 /* owned: struct thread_times for each slot, since its beginning */
	GArray *modules; /* owned: struct fr_module, mappings that the blackbox misses added */
	GArray *live;	 /* owned: struct fr_live */
	GPtrArray *fds;	 /* owned: "N target" strings */
	char *command;	 /* owned */
	struct process_end end; /* what the recorder knows of its end */
	struct fr_crash *crash; /* owned: the signal that it is dying of, or has; NULL none */
	struct fr_counters counters;
	struct fr_call_total calls[FR_BB_MAX_CALLS];
	unsigned n_torn; /* slots that were caught in the middle of a change */
};

/* The window that a trace covers, CLOCK_MONOTONIC ns. */
struct process_window {
	uint64_t begin_ns; /* what ended before it is left out */
	uint64_t end_ns;
	uint16_t death_proc; /* a process that is known to have died of … */
	uint32_t death_signal;
	bool is_death_oom;
	const struct cpu_times *cpu_begin; /* borrowed; NULL: the beginning was not seen */
	const struct cpu_times
		*cpu_last;    /* borrowed: what was seen last of threads that are gone; or NULL */
	GHashTable *switches; /* borrowed: tid → struct sched_switches within the window; or NULL */
};

/*
 * Reads everything that changes: slots, counters, threads, descriptors, modules. Takes over `blackbox`. Free
 * with process_state_free().
 */
struct process_state *process_state_take(struct blackbox *blackbox);
void process_state_free(struct process_state *state);

/* Whether the process had a part in the window. */
int process_state_is_inside(const struct process_state *state, const struct process_window *window);

/* Writes process and module events. */
void process_state_write_definitions(const struct process_state *state,
	const struct process_window *window, struct state_trace *trace);

/* Writes thread, counter, call_total, live and fd events: the state at the end. */
void process_state_write_end(const struct process_state *state, const struct process_window *window,
	struct state_trace *trace);
