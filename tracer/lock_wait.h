/* SPDX-License-Identifier: MIT */
/* The slow path of every lock hook: the wait, from the moment the free path failed. */
#pragma once

#include <pthread.h>
#include <threads.h>

#include "tracer/internal.h"
#include "tracer/thread.h"
#include "tracer/wait_table.h"

/* A wait under way; lives in the hook's frame. */
struct lock_wait {
	struct thread_wait wait;
	uint64_t begin_ns, obj;
	uint32_t stack, holder;
	uint32_t mark[WAIT_N_PLACES]; /* of wait_enter() */
	uint8_t kind;		      /* enum fr_lock */
};

/* 0: not traced now: make the real call and nothing else. `holder`: tid seen in the lock, 0 unknown. */
int lock_wait_begin(struct lock_wait *wait, enum fr_lock kind, const void *obj, uint32_t holder,
	uintptr_t frame, uintptr_t caller);

/* The same for a wait on a condition, which takes `mutex` again before it returns. */
int lock_wait_begin_cond(struct lock_wait *wait, const void *cond, const void *mutex,
	uintptr_t frame, uintptr_t caller);

/*
 * Does anyone wait for a mutex that this thread holds? Its futex word: 0 free, 1 held, else held with waiters (or
 * priority inheritance, where it is the owner's tid).
 */
static inline int lock_has_waiters(const pthread_mutex_t *mutex)
{
	return unlikely((unsigned)__atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) > 1);
}

/* A result of C11's functions as an error number. */
static inline int lock_wait_c11(int ret)
{
	return ret == thrd_success ? 0 : ret == thrd_timedout ? ETIMEDOUT : EINVAL;
}

/* The real call returned `ret`: 0 or an error number. Event, profiles, state. Keeps errno. */
void lock_wait_end(struct lock_wait *wait, int ret);

/* It turned out not to have waited: counted as free. Keeps errno. */
void lock_wait_drop(struct lock_wait *wait);

/*
 * The calling thread ends: tells those who join it, with the place where it called pthread_exit(), else the function that it
 * began with. Context: its exit, under the guard.
 */
void lock_wait_tell_join(struct fr_thread *t);

/* An operation that found the lock free. */
static inline void lock_free_count(void)
{
	struct fr_thread *t = &fr_self;

	if (likely(t->slot))
		__atomic_store_n(&t->slot->locks_free, t->slot->locks_free + 1, __ATOMIC_RELAXED);
}
