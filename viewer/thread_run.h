/* SPDX-License-Identifier: MIT */
/*
 * What the scheduler did to each thread. The kernel's records say when a thread left a CPU and came back; the wait or call that
 * is over later, and encloses them, says why and where. Without records a wait or call counts whole as
 * time off the CPU. Single-threaded.
 */
#pragma once

#include "viewer/trace.h"

/* CPUs told apart per thread; migrations are counted on any. */
#define RUN_MAX_CPUS 1024

/*
 * Time off the CPU. First it was blocked, then ready to run; where several stays were joined to bound memory, or what is
 * nested took its share, both are sums and less than the length.
 */
struct run_off {
	uint64_t begin_ns, end_ns;
	uint64_t blocked_ns, runnable_ns;
	uint32_t n_blocked, n_runnable;
	uint8_t is_guessed; /* the record of its beginning is missing */
	uint8_t is_moved; /* runnable_ns were reported as blocked before, and have to be taken off there */
};

/* What a wait or call that is over explains. */
struct run_stay {
	uint32_t state;	     /* enum fr_state */
	uint64_t untaken_ns; /* its length within the window, without what was nested in it */
	const struct run_off *offs; /* borrowed until the next call */
	size_t n_offs;
	int is_whole; /* nothing is known but the length: all untaken_ns are blocked */
};

/* Counts from records, outside the window too. */
struct run_counts {
	uint64_t n_in, n_voluntary, n_involuntary, n_migrations;
	uint64_t n_wakeups;
	uint64_t n_missing; /* records that must have been there */
	uint32_t n_cpus;
};

struct runs;

struct runs *runs_new(void);
void runs_free(struct runs *runs);

/*
 * Takes an event, also one outside the window (a pass with is_unclipped). Returns 1 and fills *stay_out when it is a wait or call
 * within the window, or says more about the last one; else 0.
 */
int runs_event(struct runs *runs, struct trace *trace, const struct trace_event *at,
	struct run_stay *stay_out);

/*
 * After the run, in this order for each thread: what the wait or call explains that was not over at the end, if there was one;
 * and all that nothing explained (state FR_STATE_RUNNING). The same results as above.
 */
int runs_open(struct runs *runs, struct trace *trace, uint32_t thread, struct run_stay *stay_out);
int runs_rest(struct runs *runs, struct trace *trace, uint32_t thread, struct run_stay *stay_out);

/* Whether the kernel's records were seen. */
int runs_are_exact(const struct runs *runs);
struct run_counts runs_counts(const struct runs *runs, uint32_t thread);

/* When thread `thread` was there, within the window. */
void runs_presence(
	const struct trace *trace, uint32_t thread, uint64_t *begin_out, uint64_t *end_out);

/* Parts of a stay within [begin, end). Durations are added to (taken off where is_moved) both. */
void run_off_add(const struct run_off *off, uint64_t begin, uint64_t end, int64_t *blocked,
	int64_t *runnable);
