/* SPDX-License-Identifier: MIT */
/* What happened at a moment, in trace/state: crashes, and what asked for the snapshot. */
#pragma once

#include <stdint.h>

#include <glib.h>

struct state_trace;
struct trace_trigger;

/*
 * Writes the crashes of `processes` (of struct process_state) and the trigger (NULL: none), each at its moment but not after
 * `end_ns`, CLOCK_MONOTONIC, in the order of time.
 */
void state_moments_write(const GPtrArray *processes, const struct trace_trigger *trigger,
	uint64_t end_ns, struct state_trace *trace);
