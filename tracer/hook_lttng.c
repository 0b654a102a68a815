/* SPDX-License-Identifier: MIT */
/*
 * Hooks that are there for liblttng-ust alone: what it does in the program is changed where that would do harm.
 * All others go straight through.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tracer/internal.h"

/*
 * pthread_key_create(): the destructor of its key takes a lock with signals enabled: a handler of the program that
 * traces there would take the same lock on the same thread and hang. So the guard is held while it runs, and hooks in
 * such a handler pass through. What the program's own destructors do is recorded before and after it: a thread
 * that traces once more is registered, and its destructor runs, once more.
 */
#define N_DESTRUCTORS 4
static void (*destructors[N_DESTRUCTORS])(void *);
static unsigned n_destructors;

static void run_guarded(unsigned i, void *value)
{
	struct fr_thread *t = &fr_self;
	uintptr_t busy_frame = t->busy_frame;
	uint8_t busy = t->busy;

	t->busy_frame = FR_FRAME();
	t->busy = 1;
	/* Signal fences: a handler on this thread sees the guard as long as the destructor runs. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	destructors[i](value);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	t->busy = busy;
	t->busy_frame = busy_frame;
}

/* A key's destructor is told the value alone: one function for each. */
#define DESTRUCTOR(i)                        \
	static void destroy_##i(void *value) \
	{                                    \
		run_guarded(i, value);       \
	}
DESTRUCTOR(0)
DESTRUCTOR(1)
DESTRUCTOR(2)
DESTRUCTOR(3)

static void (*const guarded[N_DESTRUCTORS])(
	void *) = { destroy_0, destroy_1, destroy_2, destroy_3 };

FR_REAL(pthread_key_create)
FR_EXPORT int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	unsigned i;

	/* It makes its keys in constructors and, after a fork, in the only thread: no two at once. */
	if (likely(!destructor || !fr_is_lttng(FR_RETURN())))
		return REAL(pthread_key_create)(key, destructor);
	for (i = 0; i < n_destructors && destructors[i] != destructor; i++)
		;
	if (i == N_DESTRUCTORS)
		return REAL(pthread_key_create)(key, destructor);
	if (i == n_destructors)
		destructors[n_destructors++] = destructor;
	return REAL(pthread_key_create)(key, guarded[i]);
}

/* Is LTTNG_HOME our recorder's own? Else all daemons are the user's business. */
static int has_private_daemon(void)
{
	const char *dir = getenv(FR_ENV_DIR), *home = getenv("LTTNG_HOME");
	size_t n = dir ? strlen(dir) : 0;

	return n && home && strncmp(home, dir, n) == 0 && home[n] == '/';
}

/*
 * shm_open(): a program registers with the daemon of LTTNG_HOME and with root's, if that runs: one session there
 * that records everything would double the cost of each event. liblttng-ust first maps the file by which a
 * daemon wakes it, lttng-ust-wait-N for root's, lttng-ust-wait-N-UID for the other; where it cannot, it leaves that
 * daemon alone, and starts no thread for it.
 */
FR_REAL(shm_open)
FR_EXPORT int shm_open(const char *name, int flags, mode_t mode)
{
	static const char prefix[] = "/lttng-ust-wait-";

	if (likely(!fr_is_lttng(FR_RETURN())) || strncmp(name, prefix, sizeof(prefix) - 1) != 0 ||
		strchr(name + sizeof(prefix) - 1, '-') || !has_private_daemon())
		return REAL(shm_open)(name, flags, mode);
	errno = EACCES;
	return -1;
}
