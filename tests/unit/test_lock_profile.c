/* SPDX-License-Identifier: MIT */
/* Waits into the block and mutex profiles: Go's scaling, and who is charged with what. */
#include <stdlib.h>

#include "check.h"
#include "proto/schema.h"
#include "tracer/bucket.h"
#include "tracer/lock_profile.h"

/* The module needs only these of the tracer; buckets are sums by kind and stack here. */
static struct fr_control control;
const struct fr_control *fr_control = &control;
#define N_STACKS 16
static uint64_t sums[FR_BUCKET_N_KINDS][N_STACKS][2];

uint32_t bucket_find(const struct bucket_key *key)
{
	return key->stack;
}

void bucket_add(enum fr_bucket_kind kind, uint32_t bucket, unsigned i, uint64_t n)
{
	sums[kind][bucket][i] += n;
}

static struct fr_thread thread = { .random = 0x1234567 };

static void clear(void)
{
	memset(sums, 0, sizeof(sums));
}

#define BLOCK(stack) sums[FR_BUCKET_BLOCK][stack]
#define MUTEX(stack) sums[FR_BUCKET_MUTEX][stack]

static void block_off(void)
{
	clear();
	control.block_rate_ns = 0;
	lock_profile_block(&thread, 3, 1000000);
	CHECK_INT(BLOCK(3)[0], 0);
	CHECK_INT(BLOCK(3)[1], 0);
}

static void block_long_waits(void)
{
	clear();
	control.block_rate_ns = 1;
	lock_profile_block(&thread, 3, 0);
	lock_profile_block(&thread, 3, 1);
	lock_profile_block(&thread, 3, 5000);
	CHECK_INT(BLOCK(3)[0], 3 * FR_BUCKET_FRACTION);
	CHECK_INT(BLOCK(3)[1], 5001);
	control.block_rate_ns = 10000;
	for (int i = 0; i < 1000; i++) {
		lock_profile_block(&thread, 4, 10000);
		lock_profile_block(&thread, 5, 123456);
	}
	CHECK_INT(BLOCK(4)[0], 1000 * FR_BUCKET_FRACTION);
	CHECK_INT(BLOCK(4)[1], 10000000);
	CHECK_INT(BLOCK(5)[0], 1000 * FR_BUCKET_FRACTION);
	CHECK_INT(BLOCK(5)[1], 123456000);
}

/* |got - want| within `percent` of want. */
static int is_near(uint64_t got, uint64_t want, unsigned percent)
{
	uint64_t off = got > want ? got - want : want - got;

	return off * 100 <= want * percent;
}

static void block_short_waits(void)
{
	const uint64_t waits[] = { 10, 300, 7777, 999999 };

	control.block_rate_ns = 1000000;
	for (unsigned w = 0; w < sizeof(waits) / sizeof(waits[0]); w++) {
		/* About 40,000 samples whatever the wait: a standard deviation of half a percent. */
		uint64_t n = 40000 * control.block_rate_ns / waits[w];

		if (n > 40000000)
			n = 40000000;
		clear();
		for (uint64_t i = 0; i < n; i++)
			lock_profile_block(&thread, 3, waits[w]);
		CHECK(is_near(BLOCK(3)[0] / FR_BUCKET_FRACTION, n, waits[w] == 10 ? 20 : 3));
		CHECK(is_near(BLOCK(3)[1], n * waits[w], waits[w] == 10 ? 20 : 3));
		/* Each sample is one rate of time: Go's rule. */
		CHECK_INT(BLOCK(3)[1] % control.block_rate_ns, 0);
	}
}

static void block_huge_rate(void)
{
	clear();
	control.block_rate_ns = UINT64_MAX;
	for (int i = 0; i < 1000; i++)
		lock_profile_block(&thread, 3, 1ull << 40); /* 18 minutes */
	/* One in 1024 is kept; a sum that overflowed would be tiny, or far too large. */
	CHECK(BLOCK(3)[0] <= 20ull * 1024 * FR_BUCKET_FRACTION);
	CHECK_INT(BLOCK(3)[0] % (1024 * FR_BUCKET_FRACTION), 0);
}

static struct lock_profile_wait wait_of(
	const struct wait_release *releases, unsigned n, uint64_t begin, uint64_t end)
{
	return (struct lock_profile_wait){
		.begin_ns = begin, .end_ns = end, .releases = releases, .n_releases = n
	};
}

static void mutex_convoy(void)
{
	const struct wait_release releases[] = {
		{ .time_ns = 1300, .tid = 1, .stack = 3 },
		{ .time_ns = 1400, .tid = 2, .stack = 4 },
		{ .time_ns = 1500, .tid = 3, .stack = 4 },
		{ .time_ns = 1700, .tid = 1, .stack = 3 },
	};
	struct lock_profile_wait wait = wait_of(releases, 4, 1000, 1720);

	clear();
	control.mutex_fraction = 1;
	lock_profile_mutex(&thread, &wait);
	/* Each is charged with its own time; the one that ended the wait has the count, and the way to the waiter. */
	CHECK_INT(MUTEX(3)[1], 300 + 220);
	CHECK_INT(MUTEX(4)[1], 200);
	CHECK_INT(MUTEX(3)[0], FR_BUCKET_FRACTION);
	CHECK_INT(MUTEX(4)[0], 0);
}

static void mutex_unknown(void)
{
	struct lock_profile_wait wait = wait_of(NULL, 0, 1000, 1500);

	clear();
	control.mutex_fraction = 1;
	lock_profile_mutex(&thread, &wait);
	CHECK_INT(MUTEX(FR_STACK_NONE)[0], FR_BUCKET_FRACTION);
	CHECK_INT(MUTEX(FR_STACK_NONE)[1], 500);
}

static void mutex_timeout(void)
{
	const struct wait_release releases[] = { { .time_ns = 1300, .tid = 1, .stack = 3 } };
	struct lock_profile_wait wait = wait_of(releases, 1, 1000, 2000);

	clear();
	control.mutex_fraction = 1;
	wait.is_vain = true;
	lock_profile_mutex(&thread, &wait);
	/* Who let go pays up to then; who kept it afterwards is not known. */
	CHECK_INT(MUTEX(3)[1], 300);
	CHECK_INT(MUTEX(3)[0], 0);
	CHECK_INT(MUTEX(FR_STACK_NONE)[1], 700);
	CHECK_INT(MUTEX(FR_STACK_NONE)[0], FR_BUCKET_FRACTION);
}

static void mutex_readers(void)
{
	const struct wait_release releases[] = {
		{ .time_ns = 1100, .tid = 9, .stack = 6 },
		{ .time_ns = 1300, .tid = 1, .stack = 3, .is_shared = true },
		{ .time_ns = 1400, .tid = 2, .stack = 4, .is_shared = true },
		{ .time_ns = 1500, .tid = 3, .stack = 5, .is_shared = true },
	};
	struct lock_profile_wait wait = wait_of(releases, 4, 1000, 1500);

	clear();
	control.mutex_fraction = 1;
	lock_profile_mutex(&thread, &wait);
	/* The last of the readers lets the writer in: it pays for all. */
	CHECK_INT(MUTEX(6)[1], 100);
	CHECK_INT(MUTEX(3)[1], 0);
	CHECK_INT(MUTEX(4)[1], 0);
	CHECK_INT(MUTEX(5)[1], 400);
	CHECK_INT(MUTEX(5)[0], FR_BUCKET_FRACTION);
}

static void mutex_odd_times(void)
{
	/* Releases before the wait's begin or after its end, and out of order: the sum stays the wait. */
	const struct wait_release releases[] = {
		{ .time_ns = 900, .tid = 1, .stack = 3 },
		{ .time_ns = 1700, .tid = 2, .stack = 4 },
		{ .time_ns = 1200, .tid = 3, .stack = 5 },
		{ .time_ns = 9999, .tid = 3, .stack = 6 },
	};
	struct lock_profile_wait wait = wait_of(releases, 4, 1000, 2000);
	uint64_t sum = 0;

	clear();
	control.mutex_fraction = 1;
	lock_profile_mutex(&thread, &wait);
	for (unsigned i = 0; i < N_STACKS; i++)
		sum += MUTEX(i)[1];
	CHECK_INT(sum, 1000);
	CHECK_INT(MUTEX(3)[1], 0);
}

static void mutex_fraction(void)
{
	const struct wait_release releases[] = { { .time_ns = 1300, .tid = 1, .stack = 3 } };
	struct lock_profile_wait wait = wait_of(releases, 1, 1000, 1300);

	clear();
	control.mutex_fraction = 0;
	lock_profile_mutex(&thread, &wait);
	CHECK_INT(MUTEX(3)[0], 0);
	control.mutex_fraction = 100;
	for (int i = 0; i < 4000000; i++)
		lock_profile_mutex(&thread, &wait);
	CHECK(is_near(MUTEX(3)[0] / FR_BUCKET_FRACTION, 4000000, 3));
	CHECK(is_near(MUTEX(3)[1], 4000000ull * 300, 3));
	CHECK_INT(MUTEX(3)[0] % (100 * FR_BUCKET_FRACTION), 0);
}

int main(void)
{
	CASE(block_off, "rate 0 records nothing");
	CASE(block_long_waits, "waits of the rate and more are recorded as they are");
	CASE(block_short_waits, "shorter ones by chance, with a true sum");
	CASE(block_huge_rate, "no product overflows");
	CASE(mutex_convoy, "each who let go is charged with its share");
	CASE(mutex_unknown, "a wait that nobody ended goes to no stack");
	CASE(mutex_timeout, "a wait in vain charges those who let go with their part only");
	CASE(mutex_readers, "of several readers the last one is charged");
	CASE(mutex_odd_times, "the charges of a wait are the wait, whatever the times");
	CASE(mutex_fraction, "one in n counts n");
	return CHECK_DONE();
}
