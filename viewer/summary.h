/* SPDX-License-Identifier: MIT */
/*
 * What a trace says at a glance: every analysis that `trace-view summary` shows, run in one pass, and ranked.
 *
 * Keys of the JSON form (all times raw ns, all sizes raw bytes, counts numbers; lists are cut at --top):
 *   schema 1
 *   trace     command, host, kernel, mode, end_reason, scheduling, begin_wall_ns (since 1970), asked_ns,
 *             window_ns, events, outside (of the window, left out), streams, env {key: value}, receipt {key: value}
 *   scheduling {step, sentence, exact (records of switches were there), lost, slices, records, missing
 *             (slices - records), unfollowed {threads, run_ns} (threads that the tracer does not follow: its own,
 *             those of raw clone(); in no list)}; null: unknown
 *   death     {reason, signal} or null; crashes [pid, tid, name, time_ns (before the end), signal, code, address, pc,
 *             sp, stack_overflow, sender_pid, sender_uid, registers, code_bytes, stack_bytes, stack [functions]]
 *   triggers  {reason, moments [kind, reason, pid, tid, name, time_ns (before the end), value, limit, stack]}
 *   processes [proc, pid, ppid, exe, command, defined (false: only events name it), start_ns and end_ns (from
 *             the beginning of the window; end null: alive), threads, exit_kind, exit_code, signal, oom]
 *   threads   [tid, pid, name, present_ns, cpu_ns (null: unknown), open_state, open_ns, states {name: ns}
 *             (what it was in; states.running is the rest), sched (exact, totals or unknown: what the
 *             following rest on), run_ns, runnable_ns, blocked {name: ns; "other": in no call}, delay_ns,
 *             slices, voluntary, involuntary (null: unknown), cpus, migrations]
 *   wakers    [pid, tid (null: several or unknown), name, kinds, count, wait_ns, max_ns, site, stack [functions]]
 *   cpu       {hz, samples, ns, lost, sites [site, samples, ns]}
 *   locks     [kind, address, pid, contended (mutex, rwlock, spin), count, wait_ns, max_ns, errors,
 *             open, open_ns, pairs [waiter, holder, holder_tid, holder_name, count, wait_ns, max_ns]]
 *   calls     [call, events, ns, max_ns, bytes, errors, open, open_ns, total {count, ns, bytes,
 *             without_event, without_event_ns} or null: counted by the tracer, also where it wrote no event]
 *   call_sites [call, site, pid, fd, target, count, ns, max_ns, bytes, errors]; fd null: none or several
 *   allocations {samples, frees, sites [site, samples, objects, bytes, in_use_samples, in_use_objects,
 *             in_use_bytes]}: scaled from the samples
 *   tasks, regions [type, count, p50_ns, p90_ns, p99_ns, max_ns, sum_ns, open, oldest_open_ns]
 *   counters  [name, pid, count, first, last, min, max]
 *   logs
 *   findings  as findings_json() has them (finding.h), most important first
 *   lost      {events, packets, counters {name: n}, notes [sentences]}
 */
#pragma once

#include <stdio.h>

#include "viewer/allocs.h"
#include "viewer/calls.h"
#include "viewer/cpu_samples.h"
#include "viewer/finding.h"
#include "viewer/locks.h"
#include "viewer/task.h"
#include "viewer/thread_state.h"
#include "viewer/trace.h"
#include "viewer/wakers.h"

/* Allocations of one place, scaled. */
struct alloc_place {
	uint32_t site; /* string */
	uint64_t n_samples, n_in_use_samples;
	double objects, bytes, in_use_objects, in_use_bytes;
};

struct summary {
	struct trace *trace;		 /* borrowed */
	const struct findings *findings; /* borrowed; NULL: not asked for */
	struct thread_states *states;
	struct locks locks;
	struct calls calls;
	struct allocs allocs;
	struct tasks tasks;
	struct wakers wakers;
	struct cpu_samples cpu;
	/* Filled by summary_finish(): rows worth showing, most important first. */
	GArray *by_thread; /* uint32_t, threads: by process, then by time not spent idle */
	GArray *by_lock, *by_call, *by_call_site, *by_task, *by_region; /* uint32_t */
	GArray *by_waker, *by_cpu_site;					/* uint32_t */
	GArray *alloc_places;						/* struct alloc_place */
	GArray *first_pair; /* uint32_t, by lock and one more: where its pairs begin in locks.pairs */
};

#define SUMMARY_N_PASSES 7

void summary_init(struct summary *summary, struct trace *trace);
void summary_fini(struct summary *summary);

/* Passes to run the trace through. */
void summary_passes(struct summary *summary, struct trace_pass passes[SUMMARY_N_PASSES]);

/* Ranks. Call once, after the run. */
void summary_finish(struct summary *summary);

/* Whether waiting for this lock kind means that others were in the way (mutex, rwlock, spin). */
int summary_is_contention(uint32_t lock_kind);

/*
 * The heaviest pairs of lock `lock` (an index), at most `max`, by time waited. Returns how many.
 */
size_t summary_lock_pairs(const struct summary *summary, uint32_t lock,
	const struct lock_pair **pairs_out, size_t max);

/* Whether anything is known of the scheduler, so that running and runnable are told apart. */
int summary_has_sched(const struct summary *summary);

/* Sum of a tracer counter over all processes, 0 when there is none. */
uint64_t summary_counter(const struct summary *summary, const char *name);

/* What the tracer's counter `i` (0..) is called, and its text; NULL behind the last that means a loss. */
const char *summary_loss_counter(size_t i, const char **text_out);

/*
 * Its value: of calls without an event what the totals say, which know of the window, where the counter counts since the
 * program began; of the others the counter.
 */
uint64_t summary_loss(const struct summary *summary, const char *name);

/*
 * Threads of the program's processes that only the kernel's records name: the tracer's own, those of raw clone(). They are in
 * no list of threads.
 */
struct summary_unfollowed {
	uint32_t n;
	uint64_t run_ns; /* on a processor */
};

struct summary_unfollowed summary_unfollowed(const struct summary *summary);

/* Counts of the receipt, -1 when it does not say. */
int64_t summary_receipt_number(const struct summary *summary, const char *key);

/* For people, at most 100 columns; `top` rows per table, 0: all. */
void summary_print_text(const struct summary *summary, FILE *out, unsigned top);

/* For programs: one JSON object. Returns 0, or -errno when it cannot be written. */
int summary_print_json(const struct summary *summary, FILE *out, unsigned top);
