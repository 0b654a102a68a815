/* SPDX-License-Identifier: MIT */
/* A process as the profiles see it: its blackbox, or what the perf engine saw of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "proto/stack.h"
#include "recorder/blackbox_read.h"

struct cpu_perf_result;

struct profile_process {
	uint32_t id; /* its number as a blackbox; above 65535: one of the perf engine's */
	pid_t pid;
	bool is_alive;
	uint64_t start_ns;	   /* CLOCK_MONOTONIC */
	char exe[512];		   /* "" unknown */
	struct blackbox *blackbox; /* owned; NULL: of the perf engine */
	GArray *threads;	   /* owned: what profile_process_look() saw; NULL: nobody looked */
	/* What perf saw: stacks are indices of perf->samples, modules are those of perf_index. Borrowed. */
	const struct cpu_perf_result *perf;
	uint32_t perf_index;
};

#define PROFILE_PROCESS_PERF 0x10000u /* ids of the perf engine's processes begin here */

/*
 * The traced processes of rundir, living and dead, the oldest first: a GPtrArray that owns them. pid 0: all of
 * them; else those that have or had that pid.
 */
GPtrArray *profile_processes_open(const char *rundir, pid_t pid);

/* True when one of them lives. */
bool profile_processes_are_alive(const GPtrArray *processes);

void profile_process_free(struct profile_process *process);

/*
 * Whether what the process has now counts (memory in use, its threads): it lives, or none of `processes` does and
 * it is the last that did. Totals of dead processes always count, or a sum would shrink.
 */
bool profile_process_is_shown(const struct profile_process *process, const GPtrArray *processes);

/* The frames of a stack, leaf first, as return addresses. Returns their number; 0 unknown. */
size_t profile_process_stack(const struct profile_process *process, uint32_t stack,
	uint64_t frames_out[FR_STACK_MAX_FRAMES]);

/*
 * What is and was mapped executable in it: a GArray of struct fr_module, in the order of its memory map, the program
 * first; modules that were unloaded (unload_ns not 0) at the end. Reads /proc of a living one.
 */
GArray *profile_process_modules(const struct profile_process *process);

/* Looks at the threads and keeps what it sees: profile_process_threads() gives the same from then on. */
void profile_process_look(struct profile_process *process);

/*
 * Threads of the program that live (or did when it died): a GArray of struct fr_slot, those that have no slot of the
 * tracer's added (start_ns 0, no stack). The tracer's own threads are left out. g_array_unref().
 */
GArray *profile_process_threads(const struct profile_process *process);
/* The same as it is now, whatever was seen before. */
GArray *profile_process_threads_now(const struct profile_process *process);
