/* SPDX-License-Identifier: MIT */
/* Reads the state of traced processes out of RUNDIR/blackbox/NNNNN (proto/blackbox.h), at any moment. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "proto/blackbox.h"

/* Why a file is not read. Positive, besides -errno. */
enum {
	BLACKBOX_E_MAGIC = 1,	/* not a blackbox, or one that is not complete yet */
	BLACKBOX_E_VERSION = 2, /* written by another version of the tracer */
	BLACKBOX_E_DAMAGED = 3, /* regions outside the file, numbers out of range */
};

/*
 * One open blackbox. `header` is a copy taken at open: counts in it are within their bounds, strings end.
 * Not thread-safe; open one per thread.
 */
struct blackbox {
	struct fr_blackbox header;
	int fd; /* owned */
};

/* What a reader may want at a glance; see blackbox_sum(). */
struct blackbox_sum {
	uint32_t n_processes, n_alive;
	uint32_t n_threads;	     /* living threads of living processes */
	uint32_t n_unreadable;	     /* files that are no usable blackbox */
	struct fr_counters counters; /* over all processes, ended ones too */
};

/* Opens and checks one file. Returns 0, -errno or BLACKBOX_E_*. Free with blackbox_close(). */
int blackbox_open(const char *path, struct blackbox **blackbox_out);
void blackbox_close(struct blackbox *blackbox);

/* Reads n bytes at `offset` as they are now. Returns 0 or -errno; -EIO at the end of the file. */
int blackbox_read(const struct blackbox *blackbox, void *buffer, size_t n, uint64_t offset);

/* One sentence for an error of blackbox_open(); for a positive code a static string. */
const char *blackbox_error(int err);

/*
 * Numbers of the files in RUNDIR/blackbox, ascending: a GArray of uint16_t; empty when there is no such
 * folder. Free with g_array_unref().
 */
GArray *blackbox_list(const char *rundir);

/* Opens file `proc` of rundir; BLACKBOX_E_DAMAGED also when the file says it is another one. */
int blackbox_open_proc(const char *rundir, uint16_t proc, struct blackbox **blackbox_out);

/*
 * Whether the process still runs: its pid exists, is no zombie, and did not start after the blackbox did
 * (then the pid was taken again). A process that exec()ed is not alive as this one.
 */
int blackbox_is_alive(const struct blackbox *blackbox);

/*
 * All thread slots in use, ended threads too: a GArray of struct fr_slot. Each is a consistent copy; a
 * slot whose writer is always in the middle of it (or died there) comes with state running, and is
 * counted in *n_torn_out (may be NULL).
 */
GArray *blackbox_slots(struct blackbox *blackbox, unsigned *n_torn_out);

/* All modules, a GArray of struct fr_module: start < end, n_build_id ≤ 32, path ends. */
GArray *blackbox_modules(struct blackbox *blackbox);

/* Counters, with each thread's share added. `slots` as from blackbox_slots(). */
void blackbox_counters(
	struct blackbox *blackbox, const GArray *slots, struct fr_counters *counters_out);

/* Totals per call, FR_BB_MAX_CALLS entries, shards added up. Returns 0 or -errno. */
int blackbox_calls(struct blackbox *blackbox, struct fr_call_total totals_out[FR_BB_MAX_CALLS]);

/* Sampled objects that live, a GArray of struct fr_live in no order. */
GArray *blackbox_live(struct blackbox *blackbox);

typedef void (*blackbox_stack_fn)(
	void *data, uint32_t id, uint32_t flags, const uint64_t *frames, size_t n_frames);

/*
 * Calls `fn` for every stack of the table, in no order. Holds the used part of the arena in memory
 * meanwhile, at most FR_BB_STACK_ARENA. Returns the number of damaged records, or -errno.
 */
int blackbox_stacks(struct blackbox *blackbox, blackbox_stack_fn fn, void *data);

/*
 * The stack `id`: at most FR_STACK_MAX_FRAMES addresses to frames_out. Returns their number; 0 unknown.
 * Reads only this record: for single look-ups.
 */
size_t blackbox_stack(
	struct blackbox *blackbox, uint32_t id, uint64_t *frames_out, uint32_t *flags_out);

/* Sums over all processes of rundir. Any thread. */
void blackbox_sum(const char *rundir, struct blackbox_sum *sum_out);
