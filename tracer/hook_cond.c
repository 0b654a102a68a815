/* SPDX-License-Identifier: MIT */
/*
 * Condition variables, semaphores, barriers, joins. A try that stands in for a cancellation point looks
 * for a cancellation first, as the real function does. Who lets a waiter go on is who signals, posts,
 * arrives last, or ends.
 */
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>

#include "tracer/eintr.h"
#include "tracer/lock_wait.h"
#include "tracer/stack.h"

/* A wait on a condition lets the mutex go; those who wait for that are told so. */
#define COND_HOOK(name, result, params, args)                                           \
	FR_REAL(name)                                                                   \
	FR_EXPORT int name params                                                       \
	{                                                                               \
		struct lock_wait wait;                                                  \
		int ret;                                                                \
                                                                                        \
		if (lock_has_waiters((const pthread_mutex_t *)mutex) && fr_on)          \
			wait_release((uintptr_t)mutex, FR_FRAME());                     \
		if (!lock_wait_begin_cond(&wait, cond, mutex, FR_FRAME(), FR_RETURN())) \
			return REAL(name) args;                                         \
		ret = REAL(name) args;                                                  \
		lock_wait_end(&wait, result);                                           \
		return ret;                                                             \
	}

COND_HOOK(pthread_cond_wait, ret, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex))
COND_HOOK(pthread_cond_timedwait, ret,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, const struct timespec *until),
	(cond, mutex, until))
COND_HOOK(pthread_cond_clockwait, ret,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, clockid_t clock,
		const struct timespec *until),
	(cond, mutex, clock, until))
COND_HOOK(cnd_wait, lock_wait_c11(ret), (cnd_t * cond, mtx_t *mutex), (cond, mutex))
COND_HOOK(cnd_timedwait, lock_wait_c11(ret),
	(cnd_t * cond, mtx_t *mutex, const struct timespec *until), (cond, mutex, until))

#define RELEASE_HOOK(name, release, type)                       \
	FR_REAL(name)                                           \
	FR_EXPORT int name(type *object)                        \
	{                                                       \
		if (likely(fr_on))                              \
			release((uintptr_t)object, FR_FRAME()); \
		return REAL(name)(object);                      \
	}

RELEASE_HOOK(pthread_cond_signal, wait_release, pthread_cond_t)
RELEASE_HOOK(pthread_cond_broadcast, wait_release_all, pthread_cond_t)
RELEASE_HOOK(cnd_signal, wait_release, cnd_t)
RELEASE_HOOK(cnd_broadcast, wait_release_all, cnd_t)
RELEASE_HOOK(sem_post, wait_release, sem_t)

FR_REAL(sem_trywait)

/* sem_trywait() says EAGAIN where sem_wait() would wait; other errors are sem_wait()'s, too. errno of a call that succeeds stays. */
#define SEM_HOOK(name, params, args)                                                       \
	FR_REAL(name)                                                                      \
	FR_EXPORT int name params                                                          \
	{                                                                                  \
		int saved_errno = errno, ret;                                              \
		struct lock_wait wait;                                                     \
                                                                                           \
		if (unlikely(!fr_on))                                                      \
			return REAL(name) args;                                            \
		pthread_testcancel();                                                      \
		ret = REAL(sem_trywait)(sem);                                              \
		if (ret == 0 || errno != EAGAIN) {                                         \
			lock_free_count();                                                 \
			return ret;                                                        \
		}                                                                          \
		errno = saved_errno;                                                       \
		if (!lock_wait_begin(&wait, FR_LOCK_SEM, sem, 0, FR_FRAME(), FR_RETURN())) \
			return REAL(name) args;                                            \
		do {                                                                       \
			eintr_begin();                                                     \
			ret = REAL(name) args;                                             \
		} while (ret == -1 && errno == EINTR && eintr_is_ours(FR_FRAME()));        \
		lock_wait_end(&wait, ret == 0 ? 0 : errno);                                \
		return ret;                                                                \
	}

SEM_HOOK(sem_wait, (sem_t * sem), (sem))
SEM_HOOK(sem_timedwait, (sem_t * sem, const struct timespec *until), (sem, until))
SEM_HOOK(sem_clockwait, (sem_t * sem, clockid_t clock, const struct timespec *until),
	(sem, clock, until))

/*
 * Will this arrival let the others go? glibc (since 2.25) counts them in the barrier's first word, and wakes all when their
 * number is a multiple of what is in its third. Two that arrive at the same time may both not know.
 */
static int is_last_to_arrive(const pthread_barrier_t *barrier)
{
	const unsigned *words = (const unsigned *)barrier;
	unsigned in = __atomic_load_n(&words[0], __ATOMIC_RELAXED), count = words[2];

	return count && (in + 1) % count == 0;
}

/*
 * Each arrival says that it let the others go. One that knows it for the last one is the one that did; else the last of
 * them all is, unless the next round has begun.
 */
FR_REAL(pthread_barrier_wait)
FR_EXPORT int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	struct lock_wait wait;
	int ret;

	if (likely(fr_on)) {
		if (is_last_to_arrive(barrier))
			wait_release_all((uintptr_t)barrier, FR_FRAME());
		else
			wait_release((uintptr_t)barrier, FR_FRAME());
	}
	if (!lock_wait_begin(&wait, FR_LOCK_BARRIER, barrier, 0, FR_FRAME(), FR_RETURN()))
		return REAL(pthread_barrier_wait)(barrier);
	ret = REAL(pthread_barrier_wait)(barrier);
	/* glibc tells the last one to arrive that it is the serial thread: it did not wait. */
	if (ret == PTHREAD_BARRIER_SERIAL_THREAD)
		lock_wait_drop(&wait);
	else
		lock_wait_end(&wait, ret);
	return ret;
}

/*
 * A thread that has ended already is joined without waiting. The holder of a join is the thread waited for.
 * A try that succeeds does the join, result included.
 */
FR_REAL(pthread_tryjoin_np)

#define JOIN_HOOK(name, params, args)                                                  \
	FR_REAL(name)                                                                  \
	FR_EXPORT int name params                                                      \
	{                                                                              \
		struct lock_wait wait;                                                 \
		int ret;                                                               \
                                                                                       \
		if (unlikely(!fr_on))                                                  \
			return REAL(name) args;                                        \
		pthread_testcancel();                                                  \
		ret = REAL(pthread_tryjoin_np)(thread, result);                        \
		if (ret != EBUSY) {                                                    \
			lock_free_count();                                             \
			return ret;                                                    \
		}                                                                      \
		if (!lock_wait_begin(&wait, FR_LOCK_JOIN, (const void *)thread,        \
			    thread_tid_of((uint64_t)thread), FR_FRAME(), FR_RETURN())) \
			return REAL(name) args;                                        \
		ret = REAL(name) args;                                                 \
		lock_wait_end(&wait, ret);                                             \
		return ret;                                                            \
	}

JOIN_HOOK(pthread_join, (pthread_t thread, void **result), (thread, result))
JOIN_HOOK(pthread_timedjoin_np, (pthread_t thread, void **result, const struct timespec *until),
	(thread, result, until))
JOIN_HOOK(pthread_clockjoin_np,
	(pthread_t thread, void **result, clockid_t clock, const struct timespec *until),
	(thread, result, clock, until))

FR_REAL(thrd_join)
FR_EXPORT int thrd_join(thrd_t thread, int *result)
{
	struct lock_wait wait;
	int ret;

	if (!lock_wait_begin(&wait, FR_LOCK_JOIN, (const void *)thread,
		    fr_on ? thread_tid_of(thread) : 0, FR_FRAME(), FR_RETURN()))
		return REAL(thrd_join)(thread, result);
	ret = REAL(thrd_join)(thread, result);
	lock_wait_end(&wait, lock_wait_c11(ret));
	return ret;
}

/* Where a thread ends itself. Its frames are gone when its keys are destroyed, and whoever joins it is told. */
static void note_exit(uintptr_t frame, uintptr_t caller)
{
	struct fr_thread *t = &fr_self;

	if (!fr_on || fr_is_lttng(caller) || !guard_enter(t, frame))
		return;
	if (t->private)
		t->private->exit_stack = fr_capture(t, frame, FR_REPEAT_USER);
	guard_leave(t);
}

FR_REAL(pthread_exit)
FR_EXPORT void pthread_exit(void *result)
{
	note_exit(FR_FRAME(), FR_RETURN());
	REAL(pthread_exit)(result);
	__builtin_unreachable();
}

FR_REAL(thrd_exit)
FR_EXPORT void thrd_exit(int result)
{
	note_exit(FR_FRAME(), FR_RETURN());
	REAL(thrd_exit)(result);
	__builtin_unreachable();
}

void lock_wait_tell_join(struct fr_thread *t)
{
	struct wait_release release = { .is_all = true };
	uintptr_t start_routine;

	if (!t->private || likely(!__atomic_load_n(&wait_n_waiting, __ATOMIC_RELAXED)))
		return;
	release.stack = t->private->exit_stack;
	/* Frames are return addresses. */
	start_routine = (uintptr_t)t->slot->start_routine + 1;
	if (release.stack == FR_STACK_NONE && t->slot->start_routine)
		release.stack = stack_intern(&start_routine, 1, 0);
	wait_tell(t, (uintptr_t)t->private->pthread, &release, 0);
}
