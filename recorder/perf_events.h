/* SPDX-License-Identifier: MIT */
/*
 * The sampling events of the CPU engine: where privilege allows, one per CPU for the whole machine; else one for each
 * thread and CPU, inherited by later threads and processes, all of a CPU writing into one ring. (An event for all
 * CPUs cannot be both inherited and mapped.) Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <glib.h>

#include "recorder/perf_ring.h"

struct perf_events {
	uint64_t period_ns;
	uint32_t stack_bytes; /* copied with each sample */
	bool is_kernel_seen;  /* time inside the kernel gives samples */
	bool is_per_thread;   /* not machine-wide, whatever the privilege */
	bool is_machine_wide; /* samples of every process come: those not asked for are to be dropped */
	unsigned n_cpus;      /* online ones */
	unsigned *cpus;	      /* owned: their numbers */
	int *ring_fds;	      /* owned: the event that each ring is of; it counts nothing */
	struct perf_ring *rings; /* owned */
	GArray *fds;		 /* int, owned: the sampling events */
	GHashTable *origins; /* id of an event → the number of its thread, 1 the first opened */
	uint32_t n_origins;
	unsigned n_threads_missed; /* for want of descriptors */
	GPtrArray *notes;	   /* char *, owned: sentences about limits */
	struct rlimit files;	   /* before it was raised; rlim_cur 0: it was not */
	bool has_lost_count;
	uint64_t closed_cpu_ns, closed_n_lost; /* counted by events that are closed */
};

/*
 * Maps the rings. Returns 0, or -errno with a sentence in *why_out (g_free); nothing to undo then. Small rings, where
 * locked memory is limited, are noted.
 */
int perf_events_init(struct perf_events *events, unsigned hz, bool is_per_thread, char **why_out);
void perf_events_fini(struct perf_events *events);

/*
 * Samples all threads of these processes from now on. 0 when at least one is sampled; the others are noted. Else
 * -errno and a sentence.
 */
int perf_events_add(struct perf_events *events, const pid_t *pids, size_t n_pids, char **why_out);

/*
 * The number of the thread that the event with this id was opened on; 0 unknown. Where a thread was born
 * while its creator was being opened it may have events from both: the higher number is its own or its nearest
 * ancestor's, and complete.
 */
uint32_t perf_events_origin(const struct perf_events *events, uint64_t id);

/*
 * What the events have counted so far, ended threads too: CPU time of all that is sampled, in ns, time in the kernel
 * included (0: not known, machine-wide); and records that found no room in a ring (0 before Linux 6.0).
 */
void perf_events_read(const struct perf_events *events, uint64_t *cpu_ns_out, uint64_t *n_lost_out);

/*
 * Opens all threads of these processes anew with another period, then closes what was open. (The period of an open
 * event does not reach threads that inherit it once the kernel has swapped it with a copy.) Returns 0; or -errno, and
 * nothing has changed.
 */
int perf_events_reopen(
	struct perf_events *events, const pid_t *pids, size_t n_pids, uint64_t period_ns);

/* One event on one thread, opened and closed. Returns 0, or -errno with a sentence in *why_out (g_free). */
int perf_events_check(pid_t pid, char **why_out);
