/* SPDX-License-Identifier: MIT */
/*
 * Records of the scheduler, packed to 3 to 5 bytes each and kept in bounded memory, oldest forgotten first; while a run is
 * on, what would be forgotten goes to a file instead. Read back in the order of time. One user at a time, but
 * for cursors, which are their owner's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

enum sched_kind {
	SCHED_IN = 0,	     /* thread `tid` began to run */
	SCHED_OUT = 1,	     /* it waits */
	SCHED_PREEMPTED = 2, /* it could have run on */
	SCHED_WAKEUP = 3,    /* it became ready */
};

struct sched_record {
	uint64_t ns;   /* CLOCK_MONOTONIC */
	uint32_t kind; /* enum sched_kind */
	uint32_t cpu;
	uint32_t pid, tid;
	uint32_t waker_pid, waker_tid; /* of SCHED_WAKEUP; 0: an interrupt, or nobody */
};

struct sched_history;
struct sched_cursor;

/* `spool_dir` (borrowed): where a run's records go when they are too many for limit_bytes. */
struct sched_history *sched_history_new(
	unsigned n_cpus, uint64_t limit_bytes, const char *spool_dir);
void sched_history_free(struct sched_history *history);

/* Appends. Of one CPU, times do not go back: what seems to is raised. */
void sched_history_add(struct sched_history *history, const struct sched_record *record);

/* Notes that n records were never seen, up to `ns`; with n 0: that none were taken until then. */
void sched_history_gap(struct sched_history *history, uint64_t ns, uint64_t n);

/* From now on nothing of from_ns or later is forgotten, until sched_history_forget(). */
void sched_history_keep(struct sched_history *history, uint64_t from_ns);
void sched_history_forget(struct sched_history *history);

struct sched_history_state {
	uint64_t memory_bytes, spool_bytes;
	uint64_t n_lost, n_dropped; /* never seen; forgotten */
	uint64_t covered_ns;	    /* from here on nothing is missing; 0: from the beginning */
};

void sched_history_state(
	const struct sched_history *history, struct sched_history_state *state_out);

/* How many records within the window are known to be missing: never seen, or forgotten. */
uint64_t sched_history_missing(
	const struct sched_history *history, uint64_t begin_ns, uint64_t end_ns);

/* All that is held now with begin_ns <= ns <= end_ns; what comes later does not disturb. */
struct sched_cursor *sched_history_read(
	struct sched_history *history, uint64_t begin_ns, uint64_t end_ns);

/* The next one; false: there is none, or the file could not be read (then *err_out is -errno). Any one thread. */
bool sched_cursor_next(struct sched_cursor *cursor, struct sched_record *record_out, int *err_out);
void sched_cursor_free(struct sched_cursor *cursor);
