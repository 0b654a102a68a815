/* SPDX-License-Identifier: MIT */
/*
 * Sampling decides per wait, so that its charges stay together. Values are scaled when they are recorded: a rate
 * that changes falsifies nothing that was recorded before.
 */
#include "tracer/lock_profile.h"

#include "tracer/bucket.h"

#define MAX_BLOCK_RATE (1ull << 50) /* ns, 13 days: products below stay within 64 bits */

static void add(enum fr_bucket_kind kind, uint32_t stack, uint64_t count, uint64_t ns)
{
	struct bucket_key key = { .kind = kind, .stack = stack };
	uint32_t bucket = bucket_find(&key);

	bucket_add(kind, bucket, 0, count);
	bucket_add(kind, bucket, 1, ns);
}

void lock_profile_block(struct fr_thread *t, uint32_t stack, uint64_t dur_ns)
{
	uint64_t rate = __atomic_load_n(&fr_control->block_rate_ns, __ATOMIC_RELAXED);
	uint64_t wait_ns = dur_ns ? dur_ns : 1;

	if (!rate)
		return;
	if (rate > MAX_BLOCK_RATE)
		rate = MAX_BLOCK_RATE;
	if (wait_ns >= rate) {
		add(FR_BUCKET_BLOCK, stack, FR_BUCKET_FRACTION, dur_ns);
		return;
	}
	/* One of rate / wait such waits is recorded, and stands for all of them. */
	if (fr_random(t) % rate >= wait_ns)
		return;
	add(FR_BUCKET_BLOCK, stack,
		rate / wait_ns * FR_BUCKET_FRACTION + rate % wait_ns * FR_BUCKET_FRACTION / wait_ns,
		rate);
}

/* Charges that are put together while they go to the same stack. */
struct charge {
	uint32_t stack;
	uint64_t count, ns;
};

static void charge_flush(const struct charge *charge, uint64_t fraction)
{
	if (charge->count || charge->ns)
		add(FR_BUCKET_MUTEX, charge->stack, charge->count * fraction * FR_BUCKET_FRACTION,
			charge->ns * fraction);
}

static void charge_add(struct charge *charge, const struct charge *more, uint64_t fraction)
{
	if (more->stack != charge->stack) {
		charge_flush(charge, fraction);
		*charge = *more;
		return;
	}
	charge->count += more->count;
	charge->ns += more->ns;
}

void lock_profile_mutex(struct fr_thread *t, const struct lock_profile_wait *wait)
{
	uint64_t fraction = __atomic_load_n(&fr_control->mutex_fraction, __ATOMIC_RELAXED);
	uint64_t since = wait->begin_ns;
	struct charge charge = { 0 };
	unsigned i, n = wait->n_releases;

	if (!fraction || (fraction > 1 && fr_random(t) % fraction))
		return;
	for (i = 0; i < n; i++) {
		const struct wait_release *release = &wait->releases[i];
		int is_end = i + 1 == n && !wait->is_vain;
		uint64_t until = is_end ? wait->end_ns : release->time_ns;
		struct charge more = { release->stack, is_end, 0 };

		/* A reader that is followed by another one let nobody in: the lock was kept. */
		if (i + 1 < n && release->is_shared && release[1].is_shared)
			continue;
		if (until > wait->end_ns)
			until = wait->end_ns;
		if (until > since) {
			more.ns = until - since;
			since = until;
		}
		charge_add(&charge, &more, fraction);
	}
	if (n == 0 || wait->is_vain) {
		struct charge rest = { FR_STACK_NONE, 1, wait->end_ns - since };

		charge_add(&charge, &rest, fraction);
	}
	charge_flush(&charge, fraction);
}
