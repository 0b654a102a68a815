/* SPDX-License-Identifier: MIT */
/* The kinds of profiles: a table row and a file each. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "recorder/profile_process.h"
#include "recorder/profile_rows.h"
#include "viewer/profile.h"

struct profile_kind {
	const char *name;  /* in the URL */
	const char *about; /* one sentence for the index page */
	struct profile_value_type types[PROFILE_MAX_VALUES];
	size_t n_types;
	struct profile_value_type period_type;
	const char *default_type; /* NULL: the last one */
	bool has_delta;		  /* ?seconds= may be asked of it */
	bool shows_own;		  /* the tracer's own code too: its cost is to be seen */
	bool is_threads;	  /* threads are asked where they are before it is collected */

	/* Adds what the processes have now. `wanted` is the number of that question; 0 nobody was asked. */
	void (*collect)(const struct profile_kind *kind, const GPtrArray *processes,
		uint32_t wanted, struct profile_rows *rows);
	/* Makes of what was collected what the protobuf shows. NULL: it is that already. */
	void (*scale)(struct profile_rows *rows);
	/* Prepares it for the text. NULL: as collected. `rate` is that of the profile. */
	void (*scale_text)(struct profile_rows *rows, uint64_t rate);
	/* The text of ?debug=1. */
	void (*write_text)(const struct profile_kind *kind, const struct profile *profile,
		const GPtrArray *processes, uint64_t rate, GString *out);
	/* What the index page counts. NULL: rows. */
	uint64_t (*count)(const struct profile_kind *kind, const GPtrArray *processes);
};

/* The built-in ones by name; NULL ends the table. */
extern const struct profile_kind *const profile_kinds[];
extern const struct profile_kind profile_kind_heap, profile_kind_allocs, profile_kind_block,
	profile_kind_mutex, profile_kind_goroutine, profile_kind_thread, profile_kind_threadcreate,
	profile_kind_cpu;

/* A built-in one; NULL: there is none of that name. */
const struct profile_kind *profile_kind_find(const char *name);

/* Calls `add` for every bucket of one table of the processes that have one. */
typedef void (*profile_bucket_fn)(const struct profile_process *process,
	const struct fr_bucket *bucket, struct profile_rows *rows);
void profile_kind_each_bucket(const GPtrArray *processes, enum fr_bucket_kind table,
	profile_bucket_fn add, struct profile_rows *rows);

/* The sum of all first values: a `count` for kinds of which one entry is worth one. */
uint64_t profile_kind_total(const struct profile_kind *kind, const GPtrArray *processes);

/* The text of kinds that have one value, a count: a `write_text`. */
void profile_kind_write_count(const struct profile_kind *kind, const struct profile *profile,
	const GPtrArray *processes, uint64_t rate, GString *out);

/* Fills in the kind of a profile that the program made; `name` is borrowed. */
void profile_kind_custom(const char *name, struct profile_kind *kind_out);

/* Names of these, sorted, each once: an array to g_strfreev(). */
char **profile_custom_names(const GPtrArray *processes);

/* Go's correction for Poisson sampling of n objects of `bytes` in all; 1 at rate 1, 0 when nothing is there. */
double profile_heap_scale(int64_t n, int64_t bytes, uint64_t rate);

/* The rate of most of what was sampled; 0: nothing was. */
uint64_t profile_heap_rate(const GPtrArray *processes);

/*
 * Where a thread is: the id of its stack, or with *pseudo_out the text of a frame that says why it is not known.
 * `wanted`: as for collect().
 */
uint32_t profile_thread_stack(const struct profile_process *process, const struct fr_slot *slot,
	uint32_t wanted, const char **pseudo_out);

/*
 * Whether the kernel says that a thread which runs by its slot sleeps: in a call that the tracer does not follow. It is
 * not asked where it is, since the signal would end some calls early.
 */
bool profile_thread_is_asleep(const struct profile_process *process, const struct fr_slot *slot);

/* Whether the thread waits for something, by its slot. */
bool profile_thread_is_waiting(const struct fr_slot *slot);

/* Samples of the CPU that have no stack, since the start, over all processes. */
uint64_t profile_cpu_lost(const GPtrArray *processes);
/* Threads that got no CPU timer, as often as they asked for one. */
uint64_t profile_cpu_timers_failed(const GPtrArray *processes);

/* What the perf engine saw; the rows' processes are those of profile_cpu_perf_processes(). */
struct cpu_perf_result;
GPtrArray *profile_cpu_perf_processes(
	const struct cpu_perf_result *result, const GPtrArray *traced);
void profile_cpu_perf_collect(const struct cpu_perf_result *result, const GPtrArray *processes,
	const GPtrArray *traced, struct profile_rows *rows);
