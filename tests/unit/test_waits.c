/* SPDX-License-Identifier: MIT */
/* The block and mutex profiles of this very process, traced, against what its waiters measured themselves. */
#include <pthread.h>

#include "check.h"
#include "proto/stack.h"
#include "wait_cases.h"
#include "traced_self.h"

/* The section that has all sites and nothing else. */
extern const char __start_known_sites[], __stop_known_sites[];

static struct known_wait waits[KNOWN_WAITS];
static unsigned n_waits;

/* The site that an address is in; NULL none. */
static void *site_of(uint64_t address)
{
	void *best = NULL;

	if (address < (uintptr_t)__start_known_sites || address > (uintptr_t)__stop_known_sites)
		return NULL;
	for (unsigned i = 0; i < n_waits; i++)
		if ((uintptr_t)waits[i].function < address && waits[i].function > best)
			best = waits[i].function;
	return best;
}

struct sum {
	uint64_t count, ns; /* count in 1/FR_BUCKET_FRACTION */
};

/* All buckets whose stack begins in a site; NULL: those without a stack. */
static struct sum sum_of(enum fr_bucket_kind kind, void *function)
{
	const struct fr_bucket *bucket =
		traced_at(traced_blackbox, traced_blackbox->off_buckets[kind]);
	struct sum sum = { 0 };

	for (unsigned i = 0; i < fr_bucket_number(kind); i++, bucket++) {
		uint64_t frames[FR_STACK_MAX_FRAMES];
		unsigned flags;
		size_t n;

		if (bucket->tag <= FR_BUCKET_WRITING)
			continue;
		n = stack_record_decode(
			traced_at(traced_blackbox, traced_blackbox->off_stack_arena),
			traced_blackbox->stack_arena_used, bucket->stack, frames,
			FR_STACK_MAX_FRAMES, &flags);
		if (function ? n && site_of(frames[0]) == function
			     : bucket->stack == FR_STACK_NONE) {
			sum.count += bucket->value[0];
			sum.ns += bucket->value[1];
		}
	}
	return sum;
}

/* Two clocks around the same wait, with other threads in between: a tenth, and some milliseconds. */
static int is_near(uint64_t got, uint64_t want)
{
	uint64_t off = got > want ? got - want : want - got;

	return off <= want / 10 + 15000000;
}

static void check(const char *profile, enum fr_bucket_kind kind)
{
	for (unsigned i = 0; i < n_waits; i++) {
		const struct known_wait *wait = &waits[i];
		struct sum sum;

		if (strcmp(wait->profile, profile) != 0)
			continue;
		sum = sum_of(kind, wait->function);
		if (!is_near(sum.ns, wait->ns) || (wait->n == 0 && sum.ns))
			printf("# %s %s: %" PRIu64 " ns, want %" PRIu64 "\n", profile, wait->site,
				sum.ns, wait->ns);
		CHECK(is_near(sum.ns, wait->ns));
		CHECK(wait->n || !sum.ns);
		/* Scheduling may hand a lock over in another order, and make a wait of what was none. */
		if (sum.count != wait->n * FR_BUCKET_FRACTION)
			printf("# %s %s: %" PRIu64 " waits, want %" PRIu64 "\n", profile,
				wait->site, sum.count / FR_BUCKET_FRACTION, wait->n);
		CHECK(sum.count >= wait->n * FR_BUCKET_FRACTION || kind == FR_BUCKET_MUTEX);
	}
}

static void block_is_the_waiters(void)
{
	check("block", FR_BUCKET_BLOCK);
}

static void mutex_is_the_holders(void)
{
	check("mutex", FR_BUCKET_MUTEX);
}

static void the_counter_is_the_sum(void)
{
	const struct fr_bucket *bucket =
		traced_at(traced_blackbox, traced_blackbox->off_buckets[FR_BUCKET_BLOCK]);
	uint64_t ns = 0, n = 0;

	for (unsigned i = 0; i < fr_bucket_number(FR_BUCKET_BLOCK); i++, bucket++) {
		ns += bucket->value[1];
		n += bucket->value[0];
	}
	CHECK_INT(ns, traced_blackbox->counters.block_ns);
	CHECK_INT(n, traced_blackbox->counters.locks_waited * FR_BUCKET_FRACTION);
	/* No class of events was on, and the threshold is a minute. */
	CHECK_INT(traced_blackbox->counters.locks_short, traced_blackbox->counters.locks_waited);
	CHECK_INT(traced_blackbox->counters.buckets_overflow, 0);
}

int main(int argc, char **argv)
{
	static const struct fr_control control = {
		.stack_depth = 64, .block_rate_ns = 1, .mutex_fraction = 1, .lock_ns = 60000000000
	};

	(void)argc;
	traced_start(argv, &control);
	n_waits = known_waits_make(waits);
	CASE(block_is_the_waiters, "block has each wait at the place that waited");
	CASE(mutex_is_the_holders, "mutex has each wait at those that caused it");
	CASE(the_counter_is_the_sum, "without events and below the threshold, all the same");
	return CHECK_DONE();
}
