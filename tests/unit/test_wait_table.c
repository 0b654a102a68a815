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
	struct fr_thread a = waiter(100);
	uint32_t tid, stack;

	wait_enter(&a, 0x1000);
	CHECK_INT(wait_n_waiting, 1);
	fr_self.tid = 42;
	next_stack = 7;
	wait_release(0x2000, FR_FRAME()); /* another lock */
	wait_release(0x1000, FR_FRAME());
	wait_leave(&a, &tid, &stack);
	CHECK_INT(tid, 42);
	CHECK_INT(stack, 7);
	CHECK_INT(wait_n_waiting, 0);
}

static void nobody_released(void)
{
	struct fr_thread a = waiter(100);
	uint32_t tid, stack;

	wait_enter(&a, 0x1000); /* the entry of the case before, used again */
	wait_leave(&a, &tid, &stack);
	CHECK_INT(tid, 0);
	CHECK_INT(stack, 0);
}

static void a_lost_waiter_is_dropped_at_the_next_wait(void)
{
	struct fr_thread a = waiter(100);
	uint32_t tid, stack;

	wait_enter(&a, 0x1000); /* cancelled: never leaves */
	wait_enter(&a, 0x3000);
	CHECK_INT(wait_n_waiting, 1);
	wait_leave(&a, &tid, &stack);
	CHECK_INT(wait_n_waiting, 0);
}

static void a_full_table_is_counted(void)
{
	static struct fr_thread many[4000];
	uint32_t tid, stack;
	unsigned i, n = 0;

	for (i = 0; i < 4000; i++) {
		many[i] = waiter(i + 1);
		wait_enter(&many[i], 0x10000 + i * 64);
		n += many[i].waiting != NULL;
	}
	CHECK(n > 1500 && n <= 2048);
	CHECK_INT(fr_blackbox->counters.waiters_overflow, 4000 - n);
	for (i = 0; i < 4000; i++)
		wait_leave(&many[i], &tid, &stack);
	CHECK_INT(wait_n_waiting, 0);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t holder;

/* Takes and drops a lock as the hooks do, and checks what it is told each time it had to wait. */
static void *contend(void *arg)
{
	uintptr_t n_wrong = 0, n_told = 0;
	uint32_t me = (uint32_t)(uintptr_t)arg, tid, stack;
	unsigned i;

	fr_self = waiter(me);
	for (i = 0; i < 20000; i++) {
		if (pthread_mutex_trylock(&lock) != 0) {
			wait_enter(&fr_self, (uintptr_t)&lock);
			pthread_mutex_lock(&lock);
			wait_leave(&fr_self, &tid, &stack);
			/* Either nobody was heard, or the one who held it last. */
			if (tid && tid != holder)
				n_wrong++;
			n_told += tid != 0;
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
	CASE(nobody_released, "nobody is made up");
	CASE(a_lost_waiter_is_dropped_at_the_next_wait,
		"a waiter that never came back leaves no entry behind");
	CASE(a_full_table_is_counted, "what has no room is counted");
	CASE(the_last_holder_is_named, "contending threads are told the last holder");
	return CHECK_DONE();
}
