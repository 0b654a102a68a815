/* SPDX-License-Identifier: MIT */
/* The CPU engine of perf events while it samples: shared by its two files, cpu_perf.c and cpu_perf_result.c. */
#pragma once

#include <pthread.h>

#include "recorder/cpu_perf.h"
#include "recorder/perf_events.h"
#include "recorder/perf_samples.h"
#include "recorder/perf_space.h"
#include "recorder/perf_walk.h"

/* A wanted process and the kernel time that it had used when it was added. */
struct wanted {
	pid_t pid;
	int64_t kernel_ns;
};

struct cpu_perf {
	struct cpu_perf_options options;
	uint64_t start_ns, round_ns;
	pthread_t thread;
	pthread_mutex_t lock, stop_lock;
	pthread_cond_t stop_changed; /* CLOCK_MONOTONIC */
	bool is_stopped;	     /* under stop_lock */
	struct perf_events events;
	struct perf_spaces spaces;
	struct perf_samples *samples; /* owned */
	GArray *wanted;		      /* struct wanted */
	GHashTable *origins;	      /* tid → highest origin that it had samples of */
	struct perf_walk_frame frames[CPU_PERF_MAX_FRAMES];
	struct cpu_perf_result *result;	  /* owned; counts so far */
	uint64_t n_lost_records, n_short; /* n_short: threads that ended without a sample */
	bool is_speed_tried;
	uint64_t cpu_before_ns, lost_before;
	GRand *random; /* owned */
};

/* All but result and samples. */
void cpu_perf_free(struct cpu_perf *perf);

/* An empty one. */
struct cpu_perf_result *cpu_perf_result_new(void);
