/* SPDX-License-Identifier: MIT */
/*
 * Threads of the program are created through a start routine of ours, which attaches them before any of their
 * code runs and knows who created them. Threads made inside libc (aio, timers) attach at their first hook
 * instead.
 */
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <threads.h>

#include "tracer/bucket.h"
#include "tracer/call.h"
#include "tracer/census.h"
#include "tracer/delay.h"

/* What the creator leaves for the new thread. Freed by it as its first act. */
struct start {
	void *(*routine)(void *);
	void *argument;
	uint32_t creator, creator_stack;
	uint64_t stack_size;
	uint32_t is_lttng;
	uint32_t is_used; /* taken by compare-and-swap, released by the new thread */
	char labels[sizeof(((struct fr_slot *)0)->labels)];
};

/*
 * Threads between their creation and their first act. Not mapped in the constructor: liblttng-ust's runs before
 * ours, and its threads must be known as such. When all are in use a thread attaches at its first hook.
 */
#define N_STARTS 512
static struct start starts[N_STARTS];

static struct start *start_take(void)
{
	static uint32_t hand;
	uint32_t n;

	for (n = 0; n < N_STARTS; n++) {
		struct start *start =
			&starts[__atomic_fetch_add(&hand, 1, __ATOMIC_RELAXED) % N_STARTS];
		uint32_t unused = 0;

		/* Acquire: pairs with the release in run(). */
		if (__atomic_compare_exchange_n(
			    &start->is_used, &unused, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return start;
	}
	return NULL;
}

static void start_give_back(struct start *start)
{
	__atomic_store_n(&start->is_used, 0, __ATOMIC_RELEASE);
}

/* The two words that a thread begins with; returned in registers. */
struct entry {
	void *(*routine)(void *);
	void *argument;
};

static __attribute__((noinline)) struct entry begin(struct start *shared)
{
	struct start start = *shared;
	struct thread_birth birth = {
		.creator = start.creator,
		.creator_stack = start.creator_stack,
		.start_routine = (uintptr_t)start.routine,
		.stack_size = start.stack_size,
		.labels = start.labels,
	};

	start_give_back(shared);
	if (start.is_lttng)
		census_add_own();
	else
		thread_attach(&birth);
	return (struct entry){ start.routine, start.argument };
}

/* With nothing of its own on the stack, so that the call is a jump: no frame of ours under the program's first one. */
static void *run(void *argument)
{
	struct entry entry = begin(argument);

	return entry.routine(entry.argument);
}

static int run_c11(void *argument)
{
	struct entry entry = begin(argument);

	return ((thrd_start_t)(uintptr_t)entry.routine)(entry.argument);
}

/* lttng-ust's threads are known by their start routine: it may be created by code of ours inside fork. */
static void fill(struct start *start, const pthread_attr_t *attributes, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;
	size_t size = 0;

	start->creator = start->creator_stack = 0;
	start->labels[0] = '\0';
	start->is_lttng = (uint32_t)fr_is_lttng((uintptr_t)start->routine);
	if (attributes)
		pthread_attr_getstacksize(attributes, &size);
	start->stack_size = size;
	if (start->is_lttng || !fr_on || !guard_enter(t, frame))
		return;
	start->creator = t->tid;
	start->creator_stack = fr_capture(t, frame, FR_REPEAT_USER);
	if (t->private)
		memcpy(start->labels, t->private->labels[t->private->n_labels],
			sizeof(start->labels));
	guard_leave(t);
}

/* What is known before a thread is created; NULL: it is to attach at its first hook. */
static struct start *prepare(
	const pthread_attr_t *attributes, void *(*routine)(void *), void *argument, uintptr_t frame)
{
	struct start *start = NULL;
	int saved_errno = errno;

	if (likely(fr_on) || fr_is_lttng((uintptr_t)routine))
		start = start_take();
	if (!start)
		return NULL;
	start->routine = routine;
	start->argument = argument;
	fill(start, attributes, frame);
	if (!start->is_lttng)
		census_add(1);
	errno = saved_errno;
	return start;
}

/* Of the creation, since `start` belongs to the thread once that is there. */
struct outcome {
	uint32_t is_lttng, creator_stack;
};

/* The thread was created, or was not. Keeps errno. */
static void conclude(
	struct start *start, const struct outcome *outcome, int is_created, uintptr_t frame)
{
	struct bucket_key key = { .kind = FR_BUCKET_THREAD, .stack = outcome->creator_stack };
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;

	if (!is_created) {
		start_give_back(start);
		if (!outcome->is_lttng)
			census_add(-1);
	} else if (!outcome->is_lttng && fr_on && guard_enter(t, frame)) {
		fr_count(threads_created, 1);
		bucket_add(FR_BUCKET_THREAD, bucket_find(&key), 0, 1);
		guard_leave(t);
	}
	errno = saved_errno;
}

FR_REAL(pthread_create)
FR_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
	void *(*routine)(void *), void *argument)
{
	struct start *start = prepare(attributes, routine, argument, FR_FRAME());
	struct outcome outcome;
	int ret;

	if (!start)
		return REAL(pthread_create)(thread, attributes, routine, argument);
	outcome = (struct outcome){ start->is_lttng, start->creator_stack };
	ret = REAL(pthread_create)(thread, attributes, run, start);
	conclude(start, &outcome, ret == 0, FR_FRAME());
	return ret;
}

FR_REAL(thrd_create)
FR_EXPORT int thrd_create(thrd_t *thread, thrd_start_t routine, void *argument)
{
	struct start *start =
		prepare(NULL, (void *(*)(void *))(uintptr_t)routine, argument, FR_FRAME());
	struct outcome outcome;
	int ret;

	if (!start)
		return REAL(thrd_create)(thread, routine, argument);
	outcome = (struct outcome){ start->is_lttng, start->creator_stack };
	ret = REAL(thrd_create)(thread, run_c11, start);
	conclude(start, &outcome, ret == thrd_success, FR_FRAME());
	return ret;
}

FR_REAL(pthread_setname_np)
FR_EXPORT int pthread_setname_np(pthread_t thread, const char *name)
{
	int ret = REAL(pthread_setname_np)(thread, name);

	if (ret == 0 && fr_on && !fr_is_lttng(FR_RETURN()) && pthread_equal(thread, pthread_self()))
		thread_renamed(name);
	return ret;
}

/* prctl(PR_SET_NAME) is the other way to name a thread. */
FR_REAL(prctl)
FR_EXPORT int prctl(int option, ...)
{
	unsigned long a, b, c, d;
	va_list list;
	int ret;

	va_start(list, option);
	a = va_arg(list, unsigned long);
	b = va_arg(list, unsigned long);
	c = va_arg(list, unsigned long);
	d = va_arg(list, unsigned long);
	va_end(list);
	if (option == PR_SET_SECCOMP)
		delay_stop();
	ret = REAL(prctl)(option, a, b, c, d);
	if (ret == 0 && option == PR_SET_NAME && fr_on && !fr_is_lttng(FR_RETURN()))
		thread_renamed((const char *)a);
	return ret;
}
