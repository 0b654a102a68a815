/* SPDX-License-Identifier: MIT */
/* Samples merged by process, thread, tag and stack. Bounded; what has no room is counted. Single-threaded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PERF_SAMPLES_MAX 131072u	   /* different ones */
#define PERF_SAMPLES_MAX_BYTES (64u << 20) /* of stacks */

struct perf_samples;
struct cpu_perf_sample;

struct perf_samples *perf_samples_new(void);
void perf_samples_free(struct perf_samples *samples);

/* Adds sample->count to the equal sample; its frames are copied. False: no room. */
bool perf_samples_add(struct perf_samples *samples, const struct cpu_perf_sample *sample);

typedef void (*perf_samples_fn)(void *data, const struct cpu_perf_sample *sample);

/* Calls `fn` for each, in no order; its frames live as long as `samples`. */
void perf_samples_each(const struct perf_samples *samples, perf_samples_fn fn, void *data);
