/* SPDX-License-Identifier: MIT */
/*
 * A value below 256 is its own bucket. Above, the top bit picks a group of 128 buckets and the next seven
 * bits one of them.
 */
#include "viewer/latency.h"

#include <glib.h>
#include <math.h>

#define SUB_BITS 7
#define SUB (1u << SUB_BITS)
#define N_BUCKETS ((64 - SUB_BITS) * SUB + SUB)

static uint32_t bucket_of(uint64_t ns)
{
	if (ns < 2 * SUB)
		return (uint32_t)ns;
	uint32_t shift = 63 - (uint32_t)__builtin_clzll(ns) - SUB_BITS;
	return shift * SUB + (uint32_t)(ns >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_last(uint32_t bucket)
{
	if (bucket < 2 * SUB)
		return bucket;
	uint32_t shift = bucket / SUB - 1;
	return (((uint64_t)(bucket % SUB + SUB) + 1) << shift) - 1;
}

void latency_fini(struct latency *latency)
{
	g_free(latency->counts);
	*latency = (struct latency){ 0 };
}

void latency_add(struct latency *latency, uint64_t ns)
{
	if (!latency->counts)
		latency->counts = g_new0(uint32_t, N_BUCKETS);
	if (latency->counts[bucket_of(ns)] < UINT32_MAX)
		latency->counts[bucket_of(ns)]++;
	if (latency->n == 0 || ns < latency->min_ns)
		latency->min_ns = ns;
	latency->max_ns = MAX(latency->max_ns, ns);
	latency->sum_ns += ns;
	latency->n++;
}

uint64_t latency_percentile(const struct latency *latency, double percent)
{
	uint64_t wanted = (uint64_t)ceil((double)latency->n * percent / 100), seen = 0;

	if (latency->n == 0)
		return 0;
	wanted = CLAMP(wanted, 1, latency->n);
	for (uint32_t i = 0; i < N_BUCKETS; i++) {
		seen += latency->counts[i];
		if (seen >= wanted)
			return CLAMP(bucket_last(i), latency->min_ns, latency->max_ns);
	}
	return latency->max_ns;
}
