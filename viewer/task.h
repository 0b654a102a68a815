/* SPDX-License-Identifier: MIT */
/* The user's tasks and regions (flightrec.h), by type, with their latencies; counters and logs. */
#pragma once

#include "viewer/latency.h"
#include "viewer/trace.h"

/* Open tasks followed at a time; more are counted in n_dropped. */
#define TASKS_MAX_OPEN 1000000
#define REGIONS_MAX_DEPTH 256

/* All tasks, or all regions, of a type. */
struct task_type {
	uint32_t type;		    /* string */
	struct latency latency;	    /* of those that ended; whole, also before the window */
	uint64_t n_open, oldest_ns; /* not ended within the window; when the oldest began */
};

struct user_counter {
	uint32_t process, name; /* name: string */
	uint64_t n;
	int64_t first, last, min, max;
};

struct tasks {
	GArray *tasks, *regions; /* struct task_type */
	GArray *counters;	 /* struct user_counter */
	struct idmap task_types, region_types, counter_names;
	struct idmap open;  /* (process, task) → index in begun */
	GArray *begun;	    /* struct begun: open tasks; holes are reused */
	GArray *free_begun; /* uint32_t */
	GPtrArray *nesting; /* by thread: owned GArray of struct begun; NULL */
	uint64_t n_logs;
	uint64_t n_ended_only; /* tasks that ended within the window and began before it */
	uint64_t n_dropped;
};

void tasks_init(struct tasks *tasks);
void tasks_fini(struct tasks *tasks);
struct trace_pass tasks_pass(struct tasks *tasks);

/* Counts what is open at the end. Call once, after the run. */
void tasks_finish(struct tasks *tasks, struct trace *trace);
