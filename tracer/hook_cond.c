/* SPDX-License-Identifier: MIT */
/*
 * Condition variables, semaphores, barriers, joins, once. A try that stands in for a cancellation point looks
 * for a cancellation first, as the real function does. Who lets a waiter go on is who signals, posts,
 * arrives last, or ends.
 */
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>

#include "tracer/eintr.h"
#include "tracer/lock_wait.h"

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

#define RELEASE_HOOK(name, type)                                     \
	FR_REAL(name)                                                \
	FR_EXPORT int name(type *object)                             \
	{                                                            \
		if (likely(fr_on))                                   \
			wait_release((uintptr_t)object, FR_FRAME()); \
		return REAL(name)(object);                           \
	}

RELEASE_HOOK(pthread_cond_signal, pthread_cond_t)
RELEASE_HOOK(pthread_cond_broadcast, pthread_cond_t)
RELEASE_HOOK(cnd_signal, cnd_t)
RELEASE_HOOK(cnd_broadcast, cnd_t)
RELEASE_HOOK(sem_post, sem_t)

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

/* Each arrival says that it let the others go; the last one overwrites the rest, and is the one that did. */
FR_REAL(pthread_barrier_wait)
FR_EXPORT int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	struct lock_wait wait;
	int ret;

	if (likely(fr_on))
		wait_release((uintptr_t)barrier, FR_FRAME());
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

/* A wait only while another thread runs the routine (glibc: bit 0 of the control word). */
FR_REAL(pthread_once)
FR_EXPORT int pthread_once(pthread_once_t *control, void (*routine)(void))
{
	struct lock_wait wait;
	int ret;

	if (likely(!(__atomic_load_n(control, __ATOMIC_RELAXED) & 1)) || !fr_on ||
		!lock_wait_begin(&wait, FR_LOCK_ONCE, control, 0, FR_FRAME(), FR_RETURN()))
		return REAL(pthread_once)(control, routine);
	ret = REAL(pthread_once)(control, routine);
	lock_wait_end(&wait, ret);
	return ret;
}

/* C11's, which in libc does not go through the exported one. */
FR_REAL(call_once)
FR_EXPORT void call_once(once_flag *flag, void (*routine)(void))
{
	struct lock_wait wait;

	if (likely(!(__atomic_load_n((const int *)flag, __ATOMIC_RELAXED) & 1)) || !fr_on ||
		!lock_wait_begin(&wait, FR_LOCK_ONCE, flag, 0, FR_FRAME(), FR_RETURN())) {
		REAL(call_once)(flag, routine);
		return;
	}
	REAL(call_once)(flag, routine);
	lock_wait_end(&wait, 0);
}
