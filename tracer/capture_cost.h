/* SPDX-License-Identifier: MIT */
/*
 * For a build with -DFR_CAPTURE_COST, which tests/bench/repeat_cost.sh runs: what each capture of a stack took, in
 * the program, as a histogram of cycles. The process appends it, when it ends, to the file that
 * FLIGHTREC_CAPTURE_COST names. FLIGHTREC_NO_REPEAT in the environment: every stack is walked. x86-64 only.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tracer/internal.h"
#include "tracer/sys.h"

#define COST_STEP 4u /* cycles a bucket */
#define COST_BUCKETS 4096u

/* [0]: walked; [1]: known. The last bucket: longer, or interrupted. */
static uint64_t cost_buckets[2][COST_BUCKETS];
static uint64_t cost_begin_cycles, cost_begin_ns, cost_of_timing;
static int cost_no_repeat;

static inline uint64_t cost_cycles(void)
{
	unsigned cpu;

	return __builtin_ia32_rdtscp(&cpu);
}

static inline void cost_add(int is_known, uint64_t cycles)
{
	uint64_t bucket = (cycles > cost_of_timing ? cycles - cost_of_timing : 0) / COST_STEP;

	if (bucket >= COST_BUCKETS)
		bucket = COST_BUCKETS - 1;
	__atomic_fetch_add(&cost_buckets[is_known][bucket], 1, __ATOMIC_RELAXED);
}

static __attribute__((constructor)) void cost_start(void)
{
	cost_of_timing = UINT64_MAX;
	for (int i = 0; i < 1000; i++) {
		uint64_t begin = cost_cycles(), took = cost_cycles() - begin;

		if (took < cost_of_timing)
			cost_of_timing = took;
	}
	cost_no_repeat = getenv("FLIGHTREC_NO_REPEAT") != NULL;
	cost_begin_cycles = cost_cycles();
	cost_begin_ns = fr_now();
}

/* "known|walked NUMBER MEDIAN-NS MEAN-NS"; the mean leaves out the last bucket. */
static void cost_print(long fd, int is_known)
{
	const uint64_t *buckets = cost_buckets[is_known];
	double ns = (double)(fr_now() - cost_begin_ns) /
		    (double)(cost_cycles() - cost_begin_cycles),
	       sum = 0;
	uint64_t n = 0, at = 0;
	unsigned median = 0;
	char line[100];
	int size;

	for (unsigned i = 0; i < COST_BUCKETS; i++) {
		n += buckets[i];
		if (i < COST_BUCKETS - 1)
			sum += (double)buckets[i] * (i + 0.5) * COST_STEP;
	}
	while (median < COST_BUCKETS && (at += buckets[median]) * 2 < n)
		median++;
	size = snprintf(line, sizeof(line), "%s %llu %.1f %.1f\n", is_known ? "known" : "walked",
		(unsigned long long)n, (median + 0.5) * COST_STEP * ns,
		n > buckets[COST_BUCKETS - 1] ? sum * ns / (double)(n - buckets[COST_BUCKETS - 1])
					      : 0);
	sys(SYS_write, fd, line, size);
}

static __attribute__((destructor)) void cost_stop(void)
{
	const char *path = getenv("FLIGHTREC_CAPTURE_COST");
	long fd = path ? sys(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
				 0644)
		       : -1;

	if (fd < 0)
		return;
	cost_print(fd, 1);
	cost_print(fd, 0);
	sys(SYS_close, fd);
}
