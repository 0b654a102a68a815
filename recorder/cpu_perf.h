/* SPDX-License-Identifier: MIT */
/*
 * CPU sampling from outside, by perf_event_open: the kernel's cpu-clock takes a thread's registers and the top of
 * its stack, this process unwinds them. No signal in the program, no cooperation of it either. Needs
 * kernel.perf_event_paranoid ≤ 2 (its own processes) or CAP_PERFMON. At 2 and without the capability, time that
 * threads spend inside the kernel gives no samples: cpu_perf_result.is_kernel_seen is false, and unseen_ns says
 * how much that was.
 *
 * With CAP_PERFMON (root has it) or kernel.perf_event_paranoid ≤ 0, whole CPUs are sampled, and samples of other
 * processes are dropped: the program pays nothing at its context switches, and every moment counts the same. Else each
 * thread has its own events, whose timers stop and start with it. That has two errors: threads that live shorter than
 * the period have no tick (see one_in below); and where a thread runs for some 10 µs at a time, ticks that are late
 * come just behind its waking (redis-server under load, in a virtual machine: epoll_wait() 30 % instead of 10 %).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "proto/blackbox.h"

struct cpu_perf;

#define CPU_PERF_MAX_HZ 1000u
#define CPU_PERF_MAX_FRAMES 512u

struct cpu_perf_options {
	unsigned hz;	     /* samples per second of CPU time, 1..CPU_PERF_MAX_HZ */
	unsigned max_frames; /* kept per stack, 0: 128; at most CPU_PERF_MAX_FRAMES */
	bool is_per_thread;  /* never samples whole CPUs, though privilege allows */
	/*
	 * What to tell samples of one thread apart by, such as the id of its labels: called on the engine's own thread
	 * some 50 ms after the sample, for each one. NULL: always 0. Must not call into the engine.
	 */
	uint32_t (*tag)(void *data, pid_t pid, pid_t tid);
	void *tag_data;
};

/*
 * One address space that samples came from. A process that exec()s gets another one, with the same pid: compare
 * start_ns. Children of the wanted processes are sampled too, whether the tracer is in them or not.
 */
struct cpu_perf_process {
	pid_t pid;
	bool is_wanted;	   /* its pid was given to cpu_perf_begin() or cpu_perf_add() */
	uint64_t start_ns; /* CLOCK_MONOTONIC: first seen here, or exec()ed; 0 at the beginning */
	char comm[16];
	/*
	 * What is executable in it, a GArray of struct fr_module as blackbox_modules() gives, the program first where
	 * it is known. load_ns 0: was there at the beginning. unload_ns: when something else was mapped over it.
	 */
	GArray *modules;
};

/* Samples with equal process, tid, tag and stack. */
struct cpu_perf_sample {
	pid_t pid, tid;
	uint32_t process; /* index in cpu_perf_result.processes */
	uint32_t tag;	  /* of cpu_perf_options.tag */
	uint32_t flags;	  /* FR_STACK_* of proto/schema.h */
	uint32_t n;	  /* frames; 0: only that it ran is known */
	uint64_t count;	  /* ticks; CPU time is count * cpu_perf_result.period_ns */
	/*
	 * Leaf first, user addresses in the form of return addresses (each less one lies in the instruction that ran,
	 * as in a blackbox's stacks). Frames inside libflightrec.so are left out. Borrowed from the result.
	 */
	const uint64_t *frames;
};

struct cpu_perf_result {
	GArray *samples;	   /* of struct cpu_perf_sample, in no order */
	GPtrArray *processes;	   /* of struct cpu_perf_process, owned */
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
	uint64_t period_ns;
	uint64_t cpu_ns;  /* CPU time of all that was sampled, by the kernel's count; 0 not known */
	uint64_t n_ticks; /* sum of all counts */
	uint64_t n_lost;  /* samples that the ring had no room for */
	uint64_t n_throttled; /* times that the kernel stopped an event for taking too much time */
	uint64_t n_overflow;  /* samples that are in no stack: too many different ones */
	uint64_t
		n_own; /* ticks of n_ticks inside the tracer: its cost. Its own threads are left out */
	uint64_t n_own_threads; /* ticks of the tracer's own threads, in no sample */
	uint64_t n_broken;	/* ticks of n_ticks whose stack is not whole */
	uint64_t n_cut; /* ticks of n_ticks whose stack is deeper than what was copied or kept */
	uint64_t n_not_unwound; /* ticks of n_ticks without any frame (32-bit code, no registers) */
	bool is_kernel_seen;	/* else time in the kernel is missing, and this is how much: */
	uint64_t unseen_ns; /* system time of the wanted processes meanwhile; 0 when it is seen */
	/*
	 * Threads that live shorter than the period were seen: from then on it was so many times shorter, and one of so
	 * many samples was kept. 1: not so.
	 */
	unsigned one_in;
	unsigned n_threads_missed; /* threads that got no event */
	/* Sentences about what limits the result, for people; NULL-terminated; empty: nothing to say. */
	char **notes;
	struct perf_samples *owner; /* owned: what the frames are borrowed from */
};

/*
 * Starts to sample all threads of `pids`, later threads and child processes too. Returns when sampling is on. 0; or
 * -errno (-EACCES, -EPERM, -ENOSYS: not allowed here; -ESRCH: no process left; -EMFILE, -EINVAL …), then
 * *why_out has a sentence with what refused it and what to do (g_free); outputs else untouched. Where only some of
 * the processes can be sampled it succeeds, and the result's notes say which not. Any thread; takes some 30 µs
 * for each thread and CPU.
 */
int cpu_perf_begin(const pid_t *pids, size_t n_pids, const struct cpu_perf_options *options,
	struct cpu_perf **perf_out, char **why_out);

/* A process more, from now on. As cpu_perf_begin(); -EALREADY when it is sampled as a child of another one. */
int cpu_perf_add(struct cpu_perf *perf, pid_t pid, char **why_out);

/*
 * Ends it and frees `perf`. The samples of the whole time, or NULL when `is_dropped`. Never fails. Waits for the
 * engine's thread, some ms.
 */
struct cpu_perf_result *cpu_perf_end(struct cpu_perf *perf, bool is_dropped);
void cpu_perf_result_free(struct cpu_perf_result *result);

/*
 * Whether threads of `pid` may be sampled, found out by opening and closing one event on it. 0, or as
 * cpu_perf_begin().
 */
int cpu_perf_check(pid_t pid, char **why_out);
