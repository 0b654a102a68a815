/* SPDX-License-Identifier: MIT */
/*
 * What all threads of the traced processes have used, looked at once a second: the base of every step of the ladder.
 * Of each thread the looks are kept that say something new, finer for the near past than for the far. One user at a time.
 */
#pragma once

#include <stdint.h>

#include <glib.h>

#include "recorder/thread_times.h"

struct cpu_times;
struct sched_times;

/* A thread between two looks, for the receipt. */
struct sched_span {
	uint32_t tid;
	uint64_t begin_ns, end_ns; /* when it was looked at */
	uint64_t n_slices;	   /* switches to it in between */
	uint64_t n_records;	   /* for the caller to count in */
};

struct sched_times *sched_times_new(const char *rundir);
void sched_times_free(struct sched_times *times);

/* Looks at all threads. Returns the switches to them since the look before, 0 the first time. */
uint64_t sched_times_look(struct sched_times *times);

/* Threads seen alive by the last look. */
unsigned sched_times_n_threads(const struct sched_times *times);

/* Process ids seen alive by the last look: a GArray of pid_t, borrowed until the next. */
const GArray *sched_times_pids(const struct sched_times *times);

/* See sched_times_at() in sched.h; NULL: nobody looked before `ns`. */
struct cpu_times *sched_times_between(const struct sched_times *times, uint64_t ns);

/* The looks closest around a window: a GHashTable of tid → struct sched_span, owned by it. From `floor_ns` on only. */
GHashTable *sched_times_spans(
	const struct sched_times *times, uint64_t floor_ns, uint64_t begin_ns, uint64_t end_ns);

/* Adds the tids of the tracer's and liblttng-ust's threads that were seen, ended ones too, to a set. */
void sched_times_own_threads(const struct sched_times *times, GHashTable *set);

/* See sched_process_times(). */
bool sched_times_process(
	const struct sched_times *times, pid_t pid, struct thread_times *times_out);
