/* SPDX-License-Identifier: MIT */
/*
 * Time of each thread in each state, within the window: lock waits and libc calls say where it was; the
 * rest of its life it was running or runnable, which a trace without scheduling cannot tell apart.
 */
#pragma once

#include "proto/schema.h"
#include "viewer/trace.h"

struct thread_time {
	uint64_t state_ns[FR_STATE_N]; /* FR_STATE_RUNNING: the rest, running or runnable */
	uint64_t n_events;	       /* waits and calls */
	uint64_t present_ns;	       /* of the window that the thread existed */
	uint64_t open_ns;	       /* of state_ns, not over at the end of the window */
};

struct thread_states;

struct thread_states *thread_states_new(void);
void thread_states_free(struct thread_states *states);
struct trace_pass thread_states_pass(struct thread_states *states);

/* Adds what was still open at the end of the window, and the rest. Call once, after the run. */
void thread_states_finish(struct thread_states *states, struct trace *trace);

/* Times of thread `thread` (an index in trace->threads). Valid until thread_states_free(). */
const struct thread_time *thread_states_get(const struct thread_states *states, uint32_t thread);
