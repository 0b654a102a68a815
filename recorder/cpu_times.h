/* SPDX-License-Identifier: MIT */
/* What traced processes had used at one moment: CPU time of every thread, totals of libc calls. */
#pragma once

#include <stdint.h>

struct cpu_times;
struct fr_call_total;

/*
 * Reads /proc/PID/task/TID/schedstat and the call totals of all living processes of RUNDIR/blackbox, so
 * that a trace can tell what was used inside its window. Free with cpu_times_free(). Any thread.
 */
struct cpu_times *cpu_times_take(const char *rundir);
void cpu_times_free(struct cpu_times *times);

/* CLOCK_MONOTONIC when the times were taken. */
uint64_t cpu_times_taken_ns(const struct cpu_times *times);

/* CPU ns of a thread then; -1 when it was not there or not readable. */
int64_t cpu_times_get(const struct cpu_times *times, uint16_t proc, uint32_t tid);

/* Whether the process was alive then. */
int cpu_times_has(const struct cpu_times *times, uint16_t proc);

/* Call totals of a process then, FR_BB_MAX_CALLS of them; NULL when it was not there. Borrowed. */
const struct fr_call_total *cpu_times_calls(const struct cpu_times *times, uint16_t proc);
