/* SPDX-License-Identifier: MIT */
/* What the heap profile of a test that is traced itself (traced_self.h) says now. */
#pragma once

#include <math.h>

#include "traced_self.h"

/* Sums over all buckets: estimates of what was allocated and is in use, and the raw counts. */
struct heap {
	double alloc_n, alloc_bytes, live_n, live_bytes;
	uint64_t raw_n, raw_bytes, raw_live_n, raw_live_bytes, n_buckets;
};

/* Scales as Go does (count, size → estimate). */
static inline double scale(double n, double bytes, double rate)
{
	return n > 0 && bytes > 0 && rate > 1 ? 1 / (1 - exp(-(bytes / n) / rate)) : 1;
}

static inline struct heap heap_now(void)
{
	const struct fr_bucket *bucket =
		traced_at(traced_blackbox, traced_blackbox->off_buckets[FR_BUCKET_HEAP]);
	struct heap heap = { 0 };

	for (uint32_t i = 0; i < fr_bucket_number(FR_BUCKET_HEAP); i++, bucket++) {
		double n = (double)bucket->value[0], bytes = (double)bucket->value[1], k;
		double live_n = n - (double)bucket->value[2];
		double live_bytes = bytes - (double)bucket->value[3];

		if (bucket->tag <= FR_BUCKET_WRITING)
			continue;
		k = scale(n, bytes, (double)bucket->rate);
		heap.alloc_n += n * k;
		heap.alloc_bytes += bytes * k;
		k = scale(live_n, live_bytes, (double)bucket->rate);
		heap.live_n += live_n * k;
		heap.live_bytes += live_bytes * k;
		heap.raw_n += bucket->value[0];
		heap.raw_bytes += bucket->value[1];
		heap.raw_live_n += bucket->value[0] - bucket->value[2];
		heap.raw_live_bytes += bucket->value[1] - bucket->value[3];
		heap.n_buckets++;
	}
	return heap;
}

static inline struct heap since(const struct heap *before)
{
	struct heap now = heap_now();

	now.alloc_n -= before->alloc_n;
	now.alloc_bytes -= before->alloc_bytes;
	now.live_n -= before->live_n;
	now.live_bytes -= before->live_bytes;
	now.raw_n -= before->raw_n;
	now.raw_bytes -= before->raw_bytes;
	now.raw_live_n -= before->raw_live_n;
	now.raw_live_bytes -= before->raw_live_bytes;
	now.n_buckets -= before->n_buckets;
	return now;
}

/* A new rate counts from a thread's next look at it on: a megabyte later. */
static inline void set_rate(uint64_t rate)
{
	__atomic_store_n(&traced_control->alloc_rate, rate, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++) {
		void *volatile p = malloc(1 << 20);

		free(p);
	}
}
