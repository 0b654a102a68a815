/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's scheduler did to the program's threads: the highest step of a ladder that this machine permits
 * (enum fr_sched_step), kept in bounded memory, written as the trace `sched` when a trace is finished.
 * All functions may be called from any thread; a NULL sched knows nothing and is told nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "proto/schema.h"

struct archive_out;
struct cpu_times;
struct thread_times;
struct ctf_clock;
struct fr_control;
struct sched;

/* --sched: where the ladder begins; AUTO takes the highest step that is permitted. */
enum sched_choice {
	SCHED_AUTO = 0,
	SCHED_BPF = 1,
	SCHED_SWITCH = 2,
	SCHED_SCHEDSTAT = 3,
	SCHED_OFF = 4,
};

/* All pointers borrowed, until sched_free(). */
struct sched_settings {
	uint32_t choice;	/* enum sched_choice */
	uint64_t history_bytes; /* --sched-buffer: records kept in memory */
	const char *rundir;	/* holds blackbox/; NULL: nothing is traced, and this is off */
	const char *spool_dir;	/* where records of a long run wait on disk, in a nameless file */
	struct fr_control *control; /* delay_ns is set here; NULL: off */
};

/* How it is, for people and monitors. */
struct sched_status {
	enum fr_sched_step step; /* of which records are being taken just now */
	bool is_held;		 /* a run or trace is on */
	uint64_t n_switches;	 /* switch-ins seen since the start */
	uint64_t n_wakeups;
	uint64_t n_lost;    /* records that were never seen: overwritten before they were read */
	uint64_t n_dropped; /* records that were forgotten to keep the history bounded */
	uint64_t history_bytes; /* held in memory now */
	uint64_t spool_bytes;	/* on disk now, for the run that is on */
	uint64_t history_ns;	/* the records go back so far without a gap */
	uint64_t drain_ns;	/* CPU time that all of this has taken here */
	double switches_per_s;	/* lately, by schedstat */
};

/* Never fails: what cannot be had is said by sched_describe(). Starts a thread. */
struct sched *sched_new(const struct sched_settings *settings);
void sched_free(struct sched *sched);

/*
 * The program's process exists and waits for us before its exec(): whatever it does is seen from here on. Errors
 * are kept for sched_describe().
 */
void sched_program_forked(struct sched *sched, pid_t pid);

/*
 * A run or trace is on: records are kept whole, on the highest step that is permitted, whatever their rate costs,
 * from now (returned, CLOCK_MONOTONIC) until as many sched_release(). May take as long as a look at all threads.
 */
uint64_t sched_hold(struct sched *sched);
void sched_release(struct sched *sched);

/* As users see it: "bpf". */
const char *sched_step_name(enum fr_sched_step step);

/* The step in use, and why no higher one is: one sentence for people, to g_free(). */
char *sched_describe(struct sched *sched);

void sched_status(struct sched *sched, struct sched_status *status_out);

/* Bytes that the records of the runs that are on take on disk. */
uint64_t sched_spool_bytes(struct sched *sched);

/*
 * What the threads of the traced processes had used at `ns` or, where nobody looked then, as is likely between the looks
 * before and after; with UINT64_MAX, what was seen last of each, also of those that have ended. NULL: nothing is known of
 * that time. Free with cpu_times_free().
 */
struct cpu_times *sched_times_at(struct sched *sched, uint64_t ns);

/* One thread's switches within a window, by records. */
struct sched_switches {
	int64_t n_in, n_out, n_preempted;
};

/*
 * What all threads of a living traced process have used, its ended ones with it as far as they were seen. False: it is not
 * known. Switches are `slices`; the counts of their kinds are -1.
 */
bool sched_process_times(struct sched *sched, pid_t pid, struct thread_times *times_out);

/* What sched_pack() wrote, for the receipt. */
struct sched_packed {
	enum fr_sched_step step; /* of the records in the trace */
	uint64_t n_records;	 /* switch-ins in it */
	uint64_t n_slices;	 /* by schedstat, of the same threads in the same time */
	uint64_t n_compared;	 /* n_records between those looks at schedstat */
	uint64_t n_lost;	 /* records known to be missing within the window */
	uint64_t begin_ns;	 /* the records cover the window from here on; 0: none were taken */
	uint64_t n_bytes;	 /* of the stream; 0: there is none, nothing was added */
	/* tid → struct sched_switches, for the caller to unref; NULL unless the records cover the whole window. */
	GHashTable *threads;
};

/*
 * Adds trace/sched (proto/schema.md, "Kernel") to `out`: the records of the window, through the empty scratch file `fd` (borrowed).
 * `processes` (of struct process_state) tell which process a pid was. Returns 0 or -errno.
 */
int sched_pack(struct sched *sched, uint64_t begin_ns, uint64_t end_ns,
	const struct ctf_clock *clock, const GPtrArray *processes, struct archive_out *out, int fd,
	struct sched_packed *packed_out);
