/* SPDX-License-Identifier: MIT */
/*
 * Time of each thread in each state, within the window. Two partitions of its presence, each without overlap: by the lock waits
 * and libc calls it was in (state_ns), and by what the scheduler did to it (run, runnable, blocked by kind).
 */
#pragma once

#include "proto/schema.h"
#include "viewer/thread_run.h"
#include "viewer/trace.h"

/* What run_ns, runnable_ns and blocked_ns rest on. */
enum thread_sched {
	THREAD_SCHED_UNKNOWN, /* nothing: run_ns is also runnable, and what was in no call */
	THREAD_SCHED_TOTALS, /* totals of the kernel; the kinds of blocking by share of the calls */
	THREAD_SCHED_EXACT,  /* records of every switch */
};

struct thread_time {
	uint64_t state_ns[FR_STATE_N];	 /* FR_STATE_RUNNING: the rest, in no wait and no call */
	uint64_t blocked_ns[FR_STATE_N]; /* off the CPU, not ready; FR_STATE_RUNNING: in no call */
	uint64_t run_ns, runnable_ns;	 /* with all blocked_ns they sum to present_ns */
	uint64_t n_events;		 /* waits and calls */
	uint64_t present_ns;		 /* of the window that the thread existed */
	uint64_t open_ns;		 /* of state_ns, not over at the end of the window */
	struct run_counts counts;	 /* by records; all 0 without */
	enum thread_sched sched;
};

struct thread_states;

struct thread_states *thread_states_new(void);
void thread_states_free(struct thread_states *states);
struct trace_pass thread_states_pass(struct thread_states *states);

/* Adds what was still open at the end of the window, and the rest. Call once, after the run. */
void thread_states_finish(struct thread_states *states, struct trace *trace);

/* Times of thread `thread` (an index in trace->threads). Valid until thread_states_free(). */
const struct thread_time *thread_states_get(const struct thread_states *states, uint32_t thread);
