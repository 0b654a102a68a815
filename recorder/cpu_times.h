/* SPDX-License-Identifier: MIT */
/* What traced processes had used at one moment: CPU and switches of every thread, totals of libc calls. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recorder/thread_times.h"

struct cpu_times;
struct fr_call_total;

/*
 * Reads /proc/PID/task/TID/schedstat, status and the call totals of all living processes of RUNDIR/blackbox, so
 * that a trace can tell what was used inside its window. Free with cpu_times_free(). Any thread.
 */
struct cpu_times *cpu_times_take(const char *rundir);
void cpu_times_free(struct cpu_times *times);

/* CLOCK_MONOTONIC when the times were taken. */
uint64_t cpu_times_taken_ns(const struct cpu_times *times);

/* Empty ones of another moment, to be filled with cpu_times_put(). */
struct cpu_times *cpu_times_new(uint64_t taken_ns);
void cpu_times_put(
	struct cpu_times *times, uint16_t proc, uint32_t tid, struct thread_times thread);

/* Those of a thread then; THREAD_TIMES_UNKNOWN when it was not there or not readable. */
struct thread_times cpu_times_get(const struct cpu_times *times, uint16_t proc, uint32_t tid);

/* Whether the process was alive then. */
bool cpu_times_has(const struct cpu_times *times, uint16_t proc);

/* Call totals of a process then, FR_BB_MAX_CALLS of them; NULL when it was not there. Borrowed. */
const struct fr_call_total *cpu_times_calls(const struct cpu_times *times, uint16_t proc);
