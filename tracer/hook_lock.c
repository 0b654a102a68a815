/* SPDX-License-Identifier: MIT */
/*
 * Mutexes, reader-writer locks, spin locks. Try first: a lock that is free costs the try and a count. Any
 * answer but EBUSY is the answer of the lock function, too (recursive, error-checking, robust and
 * priority-protected mutexes included), and goes straight back.
 */
#include <pthread.h>
#include <threads.h>

#include "tracer/lock_wait.h"

/* Not used as hooks: a try never waits. */
FR_REAL(pthread_mutex_trylock)
FR_REAL(pthread_rwlock_tryrdlock)
FR_REAL(pthread_rwlock_trywrlock)
FR_REAL(pthread_spin_trylock)

/* glibc keeps the owner's tid in the lock itself. */
static uint32_t mutex_owner(const pthread_mutex_t *mutex)
{
	return (uint32_t)__atomic_load_n(&mutex->__data.__owner, __ATOMIC_RELAXED);
}

static uint32_t rwlock_owner(const pthread_rwlock_t *lock)
{
	return (uint32_t)__atomic_load_n(&lock->__data.__cur_writer, __ATOMIC_RELAXED);
}

static uint32_t spin_owner(const pthread_spinlock_t *lock)
{
	(void)lock;
	return 0;
}

/* LOCK_HOOK(function, try function, kind, owner function, parameters, arguments): first parameter `lock`. */
#define LOCK_HOOK(name, try, kind, owner, params, args)                                        \
	FR_REAL(name)                                                                          \
	FR_EXPORT int name params                                                              \
	{                                                                                      \
		struct lock_wait wait;                                                         \
		int ret;                                                                       \
                                                                                               \
		if (unlikely(!fr_on))                                                          \
			return REAL(name) args;                                                \
		ret = REAL(try)(lock);                                                         \
		if (likely(ret != EBUSY)) {                                                    \
			lock_free_count();                                                     \
			return ret;                                                            \
		}                                                                              \
		if (!lock_wait_begin(&wait, kind, (const void *)lock, owner(lock), FR_FRAME(), \
			    FR_RETURN()))                                                      \
			return REAL(name) args;                                                \
		ret = REAL(name) args;                                                         \
		lock_wait_end(&wait, ret);                                                     \
		return ret;                                                                    \
	}

LOCK_HOOK(pthread_mutex_lock, pthread_mutex_trylock, FR_LOCK_MUTEX, mutex_owner,
	(pthread_mutex_t * lock), (lock))
LOCK_HOOK(pthread_mutex_timedlock, pthread_mutex_trylock, FR_LOCK_MUTEX, mutex_owner,
	(pthread_mutex_t * lock, const struct timespec *until), (lock, until))
LOCK_HOOK(pthread_mutex_clocklock, pthread_mutex_trylock, FR_LOCK_MUTEX, mutex_owner,
	(pthread_mutex_t * lock, clockid_t clock, const struct timespec *until),
	(lock, clock, until))

LOCK_HOOK(pthread_rwlock_rdlock, pthread_rwlock_tryrdlock, FR_LOCK_RWLOCK_RD, rwlock_owner,
	(pthread_rwlock_t * lock), (lock))
LOCK_HOOK(pthread_rwlock_timedrdlock, pthread_rwlock_tryrdlock, FR_LOCK_RWLOCK_RD, rwlock_owner,
	(pthread_rwlock_t * lock, const struct timespec *until), (lock, until))
LOCK_HOOK(pthread_rwlock_clockrdlock, pthread_rwlock_tryrdlock, FR_LOCK_RWLOCK_RD, rwlock_owner,
	(pthread_rwlock_t * lock, clockid_t clock, const struct timespec *until),
	(lock, clock, until))
LOCK_HOOK(pthread_rwlock_wrlock, pthread_rwlock_trywrlock, FR_LOCK_RWLOCK_WR, rwlock_owner,
	(pthread_rwlock_t * lock), (lock))
LOCK_HOOK(pthread_rwlock_timedwrlock, pthread_rwlock_trywrlock, FR_LOCK_RWLOCK_WR, rwlock_owner,
	(pthread_rwlock_t * lock, const struct timespec *until), (lock, until))
LOCK_HOOK(pthread_rwlock_clockwrlock, pthread_rwlock_trywrlock, FR_LOCK_RWLOCK_WR, rwlock_owner,
	(pthread_rwlock_t * lock, clockid_t clock, const struct timespec *until),
	(lock, clock, until))

LOCK_HOOK(pthread_spin_lock, pthread_spin_trylock, FR_LOCK_SPIN, spin_owner,
	(pthread_spinlock_t * lock), (lock))

/* Before the real unlock: once it is made, the lock's memory may be somebody else's. */
FR_REAL(pthread_mutex_unlock)
FR_EXPORT int pthread_mutex_unlock(pthread_mutex_t *lock)
{
	if (lock_has_waiters(lock) && fr_on)
		wait_release((uintptr_t)lock, FR_FRAME());
	return REAL(pthread_mutex_unlock)(lock);
}

FR_REAL(pthread_rwlock_unlock)
FR_EXPORT int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	if (likely(fr_on)) {
		if (rwlock_owner(lock)) {
			wait_release((uintptr_t)lock, FR_FRAME());
			wait_release((uintptr_t)lock | WAIT_READER, FR_FRAME());
		} else {
			wait_release_shared((uintptr_t)lock, FR_FRAME());
		}
	}
	return REAL(pthread_rwlock_unlock)(lock);
}

FR_REAL(pthread_spin_unlock)
FR_EXPORT int pthread_spin_unlock(pthread_spinlock_t *lock)
{
	if (likely(fr_on))
		wait_release((uintptr_t)lock, FR_FRAME());
	return REAL(pthread_spin_unlock)(lock);
}

/* C11: glibc's mtx_t is a pthread_mutex_t, but its functions do not go through the exported ones. */
FR_REAL(mtx_trylock)

#define MTX_HOOK(name, params, args)                                                              \
	FR_REAL(name)                                                                             \
	FR_EXPORT int name params                                                                 \
	{                                                                                         \
		struct lock_wait wait;                                                            \
		int ret;                                                                          \
                                                                                                  \
		if (unlikely(!fr_on))                                                             \
			return REAL(name) args;                                                   \
		ret = REAL(mtx_trylock)(lock);                                                    \
		if (likely(ret != thrd_busy)) {                                                   \
			lock_free_count();                                                        \
			return ret;                                                               \
		}                                                                                 \
		if (!lock_wait_begin(&wait, FR_LOCK_MUTEX, lock,                                  \
			    mutex_owner((const pthread_mutex_t *)lock), FR_FRAME(), FR_RETURN())) \
			return REAL(name) args;                                                   \
		ret = REAL(name) args;                                                            \
		lock_wait_end(&wait, lock_wait_c11(ret));                                         \
		return ret;                                                                       \
	}

MTX_HOOK(mtx_lock, (mtx_t * lock), (lock))
MTX_HOOK(mtx_timedlock, (mtx_t * lock, const struct timespec *until), (lock, until))

FR_REAL(mtx_unlock)
FR_EXPORT int mtx_unlock(mtx_t *lock)
{
	if (lock_has_waiters((const pthread_mutex_t *)lock) && fr_on)
		wait_release((uintptr_t)lock, FR_FRAME());
	return REAL(mtx_unlock)(lock);
}
