/* SPDX-License-Identifier: MIT */
/* Who let a waiter go: the table between unlocker and waiter. */
#include <pthread.h>
#include <stdlib.h>

#include "check.h"
#include "tracer/internal.h"
#include "tracer/wait_table.h"

/* The table needs only these of the tracer. */
__thread struct fr_thread fr_self __attribute__((tls_model("initial-exec")));
static struct fr_blackbox blackbox;
struct fr_blackbox *fr_blackbox = &blackbox;
static uint32_t next_stack;

int guard_enter_slow(struct fr_thread *t, uintptr_t frame)
{
	(void)t;
	(void)frame;
	return 0;
}

uint32_t fr_capture(struct fr_thread *t, uintptr_t frame, enum fr_repeat kind)
{
	(void)t;
	(void)frame;
	return next_stack;
}

static struct fr_thread waiter(uint32_t tid)
{
	return (struct fr_thread){ .tid = tid, .stage = FR_STAGE_ON };
}

static void waiter_learns_who_released(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	struct fr_thread a = waiter(100);
	uint32_t mark = wait_enter(&a, WAIT_LOCK, 0x1000);
	uint64_t before_ns = fr_now();

	CHECK_INT(wait_n_waiting, 1);
	fr_self.tid = 42;
	next_stack = 7;
	wait_release(0x2000, FR_FRAME()); /* another lock */
	wait_release(0x1000, FR_FRAME());
	CHECK_INT(wait_leave(&a, WAIT_LOCK, mark, releases), 1);
	CHECK_INT(releases[0].tid, 42);
	CHECK_INT(releases[0].stack, 7);
	CHECK(!releases[0].is_shared);
	CHECK(releases[0].time_ns >= before_ns && releases[0].time_ns <= fr_now());
	CHECK_INT(wait_n_waiting, 0);
}

static void releases_come_in_order(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	struct fr_thread a = waiter(100);
	uint32_t mark, i, n;

	/* What came before the wait is not of it, though its entry is the same. */
	for (n = 1; n < 3 * WAIT_N_RELEASES; n++) {
		mark = wait_enter(&a, WAIT_LOCK, 0x1000);
		for (i = 0; i < n; i++) {
			fr_self.tid = 200 + i;
			next_stack = n;
			wait_release_shared(0x1000, FR_FRAME());
		}
		CHECK_INT(wait_leave(&a, WAIT_LOCK, mark, releases),
			n < WAIT_N_RELEASES ? n : WAIT_N_RELEASES);
		for (i = 0; i < n && i < WAIT_N_RELEASES; i++) {
			CHECK_INT(releases[i].tid,
				200 + i + (n > WAIT_N_RELEASES ? n - WAIT_N_RELEASES : 0));
			CHECK_INT(releases[i].stack, n);
			CHECK(releases[i].is_shared);
			CHECK(i == 0 || releases[i].time_ns >= releases[i - 1].time_ns);
		}
	}
}

static void two_places_are_apart(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	struct fr_thread a = waiter(100);
	uint32_t cond = wait_enter(&a, WAIT_LOCK, 0x1000);
	uint32_t mutex = wait_enter(&a, WAIT_MUTEX, 0x3000);

	CHECK_INT(wait_n_waiting, 2);
	fr_self.tid = 5;
	wait_release(0x3000, FR_FRAME());
	wait_release(0x3000, FR_FRAME());
	CHECK_INT(wait_leave(&a, WAIT_LOCK, cond, releases), 0);
	CHECK_INT(wait_leave(&a, WAIT_MUTEX, mutex, releases), 2);
	CHECK_INT(wait_n_waiting, 0);
}

static void nobody_released(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	struct fr_thread a = waiter(100);
	uint32_t mark = wait_enter(&a, WAIT_LOCK, 0x1000); /* an entry used before */

	CHECK_INT(wait_leave(&a, WAIT_LOCK, mark, releases), 0);
	CHECK_INT(
		wait_leave(&a, WAIT_LOCK, mark, releases), 0); /* a second time: nothing to leave */
}

static void a_lost_waiter_is_dropped_at_the_next_wait(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	struct fr_thread a = waiter(100);
	uint32_t mark;

	wait_enter(&a, WAIT_LOCK, 0x1000); /* cancelled: never leaves */
	mark = wait_enter(&a, WAIT_LOCK, 0x3000);
	CHECK_INT(wait_n_waiting, 1);
	wait_leave(&a, WAIT_LOCK, mark, releases);
	CHECK_INT(wait_n_waiting, 0);
}

static void a_full_table_is_counted(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	static struct fr_thread many[8000];
	unsigned i, n = 0;

	for (i = 0; i < 8000; i++) {
		many[i] = waiter(i + 1);
		wait_enter(&many[i], WAIT_LOCK, 0x10000 + i * 64);
		n += many[i].waiting[WAIT_LOCK] != NULL;
	}
	CHECK(n > 3000 && n <= 4096);
	CHECK_INT(fr_blackbox->counters.waiters_overflow, 8000 - n);
	for (i = 0; i < 8000; i++)
		wait_leave(&many[i], WAIT_LOCK, 0, releases);
	CHECK_INT(wait_n_waiting, 0);
}

static struct wait_release release_at(uint64_t time_ns, uint32_t tid)
{
	return (struct wait_release){ .time_ns = time_ns, .tid = tid };
}

static void the_right_release_is_picked(void)
{
	const uint64_t end = 100 * WAIT_NEAR_NS;
	struct wait_release list[3] = { release_at(end - 3 * WAIT_NEAR_NS, 1),
		release_at(end - WAIT_NEAR_NS / 2, 2), release_at(end - WAIT_NEAR_NS / 4, 3) };

	/* Nothing is certain: the last. */
	CHECK_INT(wait_pick(list, 3, end)->tid, 3);
	/* The sole waiter was let go by the first that came shortly before; more came while it got up. */
	list[0].is_sole = list[1].is_sole = list[2].is_sole = true;
	CHECK_INT(wait_pick(list, 3, end)->tid, 2);
	/* Who let all go certainly let this one go. */
	list[0].is_all = true;
	CHECK_INT(wait_pick(list, 3, end)->tid, 1);
	/* One alone, however long ago. */
	list[0].is_all = false;
	CHECK_INT(wait_pick(list, 1, end)->tid, 1);
}

static void a_release_says_how_it_was(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	struct fr_thread a = waiter(100), b = waiter(101);
	struct wait_release told = {
		.time_ns = 5, .stack = 9, .about = 0xdeadbeef, .is_end = true
	};
	uint32_t mark = wait_enter(&a, WAIT_LOCK, 0x1000), mark_b;

	fr_self.tid = 42;
	CHECK(wait_tell(&fr_self, 0x1000, &told, 0));
	CHECK(!wait_tell(&fr_self, 0x2000, &told, 0));
	mark_b = wait_enter(&b, WAIT_LOCK, 0x1000);
	wait_release_all(0x1000, FR_FRAME());
	CHECK_INT(wait_leave(&b, WAIT_LOCK, mark_b, releases), 1);
	CHECK(releases[0].is_all && !releases[0].is_sole);
	CHECK_INT(wait_leave(&a, WAIT_LOCK, mark, releases), 2);
	CHECK(releases[0].is_sole && releases[0].is_end && !releases[0].is_all);
	CHECK_INT(releases[0].about, 0xdeadbeef);
	CHECK_INT(releases[0].stack, 9);
	CHECK_INT(releases[0].time_ns, 5);
	CHECK_INT(releases[0].tid, 42);
}

static void who_waited_itself_tells_the_others(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	struct wait_release crowd = { .is_crowd = true };
	struct fr_thread a = waiter(100);
	uint32_t mark, own;

	own = wait_enter(&fr_self, WAIT_LOCK, 0x1000);
	wait_release(0x1000, FR_FRAME());
	mark = wait_enter(&a, WAIT_LOCK, 0x1000);
	wait_release(0x1000, FR_FRAME());
	CHECK_INT(wait_leave(&a, WAIT_LOCK, mark, releases), 1);
	CHECK(releases[0].is_sole);
	CHECK_INT(wait_leave(&fr_self, WAIT_LOCK, own, releases), 1);
	/* Others wait for the same under another name. */
	mark = wait_enter(&a, WAIT_LOCK, 0x1000);
	CHECK(wait_tell(&fr_self, 0x1000, &crowd, 0));
	CHECK_INT(wait_leave(&a, WAIT_LOCK, mark, releases), 1);
	CHECK(!releases[0].is_sole);
	CHECK_INT(wait_n_waiting, 0);
}

static void channels_are_counted_apart(void)
{
	struct wait_release releases[WAIT_N_RELEASES];
	uint64_t *held = NULL;
	uint32_t mark = wait_enter_at(&held, WAIT_CHANNEL | 0x40);

	CHECK_INT(wait_n_waiting, 0);
	CHECK_INT(wait_n_channels, 1);
	/* A registration that goes on. */
	CHECK_INT(wait_mark(held), mark);
	wait_release_slow(WAIT_CHANNEL | 0x40, FR_FRAME(), false, false);
	CHECK_INT(wait_heard(held, mark, releases), 1);
	CHECK_INT(wait_heard(held, wait_mark(held), releases), 0);
	CHECK_INT(wait_n_channels, 1);
	CHECK_INT(wait_leave_at(&held, mark, releases), 1);
	CHECK_INT(wait_n_channels, 0);
	CHECK(held == NULL);
}

static void a_thread_that_ends_is_forgotten(void)
{
	static struct fr_private private;
	struct fr_thread a = waiter(100);

	a.private = &private;
	wait_enter(&a, WAIT_LOCK, 0x1000);
	wait_enter(&a, WAIT_SPACE, WAIT_CHANNEL | 0x80);
	wait_enter_at(&private.heard[0].held, WAIT_CHANNEL | 0x84);
	wait_enter_at(&private.heard[3].held, WAIT_CHANNEL | 0x88);
	wait_enter_at(&private.epoll.held, WAIT_CHANNEL | 0x8c);
	CHECK_INT(wait_n_waiting, 1);
	CHECK_INT(wait_n_channels, 4);
	wait_forget(&a);
	CHECK_INT(wait_n_waiting, 0);
	CHECK_INT(wait_n_channels, 0);
	CHECK(!private.epoll.held && !private.heard[3].held);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t holder;

/* Takes and drops a lock as the hooks do, and checks what it is told each time it had to wait. */
static void *contend(void *arg)
{
	uintptr_t n_wrong = 0, n_told = 0;
	struct wait_release releases[WAIT_N_RELEASES];
	uint32_t me = (uint32_t)(uintptr_t)arg, mark;
	unsigned i, n;

	fr_self = waiter(me);
	for (i = 0; i < 20000; i++) {
		if (pthread_mutex_trylock(&lock) != 0) {
			mark = wait_enter(&fr_self, WAIT_LOCK, (uintptr_t)&lock);
			pthread_mutex_lock(&lock);
			n = wait_leave(&fr_self, WAIT_LOCK, mark, releases);
			/* Either nobody was heard, or the one who held it last. */
			if (n && releases[n - 1].tid != holder)
				n_wrong++;
			n_told += n != 0;
		}
		holder = me;
		wait_release((uintptr_t)&lock, FR_FRAME());
		pthread_mutex_unlock(&lock);
	}
	return (void *)(n_wrong << 32 | n_told);
}

static void the_last_holder_is_named(void)
{
	pthread_t threads[4];
	uintptr_t i;

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, contend, (void *)(i + 1));
	for (i = 0; i < 4; i++) {
		void *result;

		pthread_join(threads[i], &result);
		CHECK_INT((uintptr_t)result >> 32, 0);
	}
	CHECK_INT(wait_n_waiting, 0);
}

int main(void)
{
	fr_self = waiter(1);
	CASE(waiter_learns_who_released, "a waiter learns who released, and from where");
	CASE(releases_come_in_order, "the last releases of a wait come in order, no others");
	CASE(two_places_are_apart, "a condition and its mutex are heard apart");
	CASE(nobody_released, "nobody is made up");
	CASE(a_lost_waiter_is_dropped_at_the_next_wait,
		"a waiter that never came back leaves no entry behind");
	CASE(a_full_table_is_counted, "what has no room is counted");
	CASE(the_right_release_is_picked, "of several releases the one that counted is picked");
	CASE(a_release_says_how_it_was, "a release says how it was");
	CASE(who_waited_itself_tells_the_others, "who waited itself tells the others");
	CASE(channels_are_counted_apart, "channels are counted apart, and may be kept");
	CASE(a_thread_that_ends_is_forgotten, "a thread that ends leaves nothing behind");
	CASE(the_last_holder_is_named, "contending threads are told the last holder");
	return CHECK_DONE();
}
