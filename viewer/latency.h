/* SPDX-License-Identifier: MIT */
/*
 * Durations in buckets, for percentiles in constant memory: 128 buckets per power of two, so a percentile
 * is at most 0.8 % above the true one; the count, sum, least and largest are exact.
 */
#pragma once

#include <stdint.h>

struct latency {
	uint64_t n, sum_ns, min_ns, max_ns;
	uint32_t *counts; /* owned; NULL before the first */
};

/* Zeroed memory is an empty one. */
void latency_fini(struct latency *latency);
void latency_add(struct latency *latency, uint64_t ns);

/* The least duration that at least `percent` (0..100) of all do not exceed; 0 when empty. */
uint64_t latency_percentile(const struct latency *latency, double percent);
