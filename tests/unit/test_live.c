/* SPDX-License-Identifier: MIT */
/* The table of sampled live objects: no miss, bounded, safe with threads. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "own_blackbox.h"
#include "tracer/live.h"

static void finds_what_was_added(void)
{
	struct live_object object = { .address = 0x7f0000001230,
		.size = 100,
		.time_ns = 5,
		.stack = 7,
		.tid = 9,
		.bucket = 11 };
	struct live_object found;

	CHECK(!live_maybe(object.address));
	CHECK(!live_remove(object.address, &found));
	CHECK_INT(live_add(&object), 0);
	CHECK(live_maybe(object.address));
	CHECK_INT(live_remove(object.address, &found), 1);
	CHECK_INT(found.address, object.address);
	CHECK_INT(found.size, object.size);
	CHECK_INT(found.time_ns, object.time_ns);
	CHECK_INT(found.stack, object.stack);
	CHECK_INT(found.tid, object.tid);
	CHECK_INT(found.bucket, object.bucket);
	CHECK(!live_maybe(object.address));
	CHECK_INT(live_remove(object.address, &found), 0);
}

static void keeps_many(void)
{
	struct live_object object = { .size = 1 }, found;
	unsigned i, n_added = 0, n_found = 0;
	static char was_added[40000];

	for (i = 0; i < 40000; i++) {
		object.address = 0x550000000000 + i * 48ull;
		object.stack = i;
		was_added[i] = live_add(&object) == 0;
		n_added += was_added[i];
	}
	/* Probes are bounded: a table six tenths full may refuse a few. */
	CHECK(n_added > 39900);
	CHECK_INT(fr_blackbox->counters.live_overflow, 40000 - n_added);
	for (i = 0; i < 40000; i++) {
		uint64_t address = 0x550000000000 + i * 48ull;

		if (was_added[i] && live_maybe(address) && live_remove(address, &found) &&
			found.stack == i)
			n_found++;
	}
	CHECK_INT(n_found, n_added);
}

/* After many removals a search still ends where nothing ever lay. */
static void removals_leave_no_trace(void)
{
	struct live_object object = { .size = 1 }, found;
	struct fr_live *table = (struct fr_live *)((char *)fr_blackbox + fr_blackbox->off_live);
	unsigned i, n_removed = 0, n_wrong = 0;

	for (i = 0; i < 300000; i++) {
		object.address = 0x560000000000 + i * 80ull;
		if (live_add(&object) == 0)
			n_wrong += live_remove(object.address, &found) != 1;
	}
	for (i = 0; i < FR_BB_MAX_LIVE; i++)
		n_removed += table[i].addr == 1;
	CHECK_INT(n_wrong, 0);
	CHECK(n_removed > 50000);
	/* Each was alone in the table, so none lay far from its home: entries are used again. */
	object.address = 0x570000000000;
	CHECK_INT(live_add(&object), 0);
	CHECK_INT(live_remove(object.address + 16, &found), 0);
	CHECK_INT(live_remove(object.address, &found), 1);
}

static void *churn(void *arg)
{
	uint64_t base = 0x600000000000 + (uintptr_t)arg * 0x1000000;
	uintptr_t n_wrong = 0;
	unsigned round, i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < 50; i++) {
			struct live_object object = {
				.address = base + i * 32, .size = i, .stack = round
			};

			n_wrong += live_add(&object) != 0;
		}
		for (i = 0; i < 50; i++) {
			struct live_object found = { 0 };

			n_wrong += !live_maybe(base + i * 32) ||
				   !live_remove(base + i * 32, &found) || found.size != i ||
				   found.stack != round;
		}
	}
	return (void *)n_wrong;
}

static void threads_do_not_disturb_each_other(void)
{
	pthread_t threads[4];
	uintptr_t i;

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, churn, (void *)i);
	for (i = 0; i < 4; i++) {
		void *n_wrong;

		pthread_join(threads[i], &n_wrong);
		CHECK_INT((intptr_t)n_wrong, 0);
	}
}

int main(void)
{
	if (!own_blackbox_open("test_live"))
		return 1;
	CASE(finds_what_was_added, "an object is found once, with what was said of it");
	CASE(keeps_many, "objects are found among many; what has no room is counted");
	CASE(removals_leave_no_trace, "what was removed makes room, and hides nothing");
	CASE(threads_do_not_disturb_each_other, "threads add and remove at once");
	return CHECK_DONE();
}
