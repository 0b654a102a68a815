/* SPDX-License-Identifier: MIT */
/*
 * pthread_once() and C11's call_once(): a wait only while another thread runs the routine. Who lets the others go is the
 * one that ran it, and it does so inside libc: so the routine is run by one of ours, which says so when it returns.
 */
#include <pthread.h>
#include <threads.h>

#include "tracer/lock_wait.h"

/* A call that may come to run the routine; lives in the hook's frame. */
struct once {
	void *control;
	void (*routine)(void);
	struct once *outer; /* the one that this one interrupted on its way to the routine */
	int is_run;
};

/* libc gives the routine no argument. */
static __thread struct once *onces __attribute__((tls_model("initial-exec")));

/* When the routine is left by an exception or a cancellation nobody is let go: the next one runs it. */
static void run(void)
{
	struct once *once = onces;

	/* The routine may come here itself, for another flag. */
	onces = once->outer;
	once->is_run = 1;
	once->routine();
	if (fr_on)
		wait_release_all((uintptr_t)once->control, FR_FRAME());
}

static void leave(struct once *once)
{
	if (!once->is_run)
		onces = once->outer;
}

/* glibc's control word: 2 done, bit 0 somebody runs it (or did, in the parent of a fork). */
static int word_of(const void *control)
{
	return __atomic_load_n((const int *)control, __ATOMIC_RELAXED);
}

FR_REAL(pthread_once)
FR_REAL(call_once)

static int make(struct once *once, int is_c11)
{
	if (!is_c11)
		return REAL(pthread_once)(once->control, run);
	REAL(call_once)(once->control, run);
	return 0;
}

/* Not done yet. */
static int once_first(
	void *control, void (*routine)(void), int is_c11, uintptr_t frame, uintptr_t caller)
{
	__attribute__((cleanup(leave))) struct once once = { control, routine, onces, 0 };
	struct lock_wait wait;
	int is_waiting, ret;

	is_waiting = word_of(control) & 1 &&
		     lock_wait_begin(&wait, FR_LOCK_ONCE, control, 0, frame, caller);
	onces = &once;
	ret = make(&once, is_c11);
	if (is_waiting && once.is_run)
		lock_wait_drop(&wait);
	else if (is_waiting)
		lock_wait_end(&wait, ret);
	return ret;
}

static int passes(const void *control, uintptr_t caller)
{
	return likely(word_of(control) == 2) || !fr_on || fr_self.in_vfork || fr_is_lttng(caller);
}

FR_EXPORT int pthread_once(pthread_once_t *control, void (*routine)(void))
{
	if (passes(control, FR_RETURN()))
		return REAL(pthread_once)(control, routine);
	return once_first(control, routine, 0, FR_FRAME(), FR_RETURN());
}

/* C11's, which in libc does not go through the exported one. */
FR_EXPORT void call_once(once_flag *flag, void (*routine)(void))
{
	if (passes(flag, FR_RETURN()))
		REAL(call_once)(flag, routine);
	else
		once_first(flag, routine, 1, FR_FRAME(), FR_RETURN());
}
