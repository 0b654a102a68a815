/* SPDX-License-Identifier: MIT */
/*
 * Waits of known number, by functions of known names. For each it prints what the waiters themselves measured
 * around the call:
 *
 *   expect profile=block function=wait_mutex n=20 ns=…     who waited
 *   expect profile=mutex function=free_mutex n=20 ns=…     who let go, where the lock has an owner
 *
 * then `ready`, and sleeps until a signal ends it.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "cases.h"
#include "tests/lib/clock.h"

#define WAITER __attribute__((noinline)) static void
#define HOLDER __attribute__((noinline)) static void
#define KEEP_FRAME __asm__ volatile("") /* no tail call: the function is to be in the stack */

static atomic_ullong waited_ns;
static atomic_int n_arrived;

static void expect(const char *profile, const char *function, int n)
{
	printf("expect profile=%s function=%s n=%d ns=%llu\n", profile, function, n,
		(unsigned long long)waited_ns);
}

#define WAIT(statement)                                              \
	do {                                                         \
		uint64_t wait_began;                                 \
		atomic_fetch_add(&n_arrived, 1);                     \
		wait_began = now_ns();                               \
		statement;                                           \
		atomic_fetch_add(&waited_ns, now_ns() - wait_began); \
	} while (0)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t cond_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;

WAITER wait_mutex(void)
{
	WAIT(pthread_mutex_lock(&mutex));
	pthread_mutex_unlock(&mutex);
	KEEP_FRAME;
}

WAITER wait_read(void)
{
	WAIT(pthread_rwlock_rdlock(&rwlock));
	pthread_rwlock_unlock(&rwlock);
	KEEP_FRAME;
}

WAITER wait_cond(void)
{
	pthread_mutex_lock(&cond_lock);
	WAIT(pthread_cond_wait(&cond, &cond_lock));
	pthread_mutex_unlock(&cond_lock);
	KEEP_FRAME;
}

WAITER wait_sem(void)
{
	WAIT(sem_wait(&semaphore));
	KEEP_FRAME;
}

HOLDER free_mutex(void)
{
	pthread_mutex_unlock(&mutex);
	KEEP_FRAME;
}

HOLDER free_rwlock(void)
{
	pthread_rwlock_unlock(&rwlock);
	KEEP_FRAME;
}

/* A wake-up that finds its waiter: it has the lock that the waiter gave up. */
HOLDER wake_cond(void)
{
	pthread_mutex_lock(&cond_lock);
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&cond_lock);
	KEEP_FRAME;
}

HOLDER wake_sem(void)
{
	sem_post(&semaphore);
	KEEP_FRAME;
}

static void take_mutex(void)
{
	pthread_mutex_lock(&mutex);
}

static void take_rwlock(void)
{
	pthread_rwlock_wrlock(&rwlock);
}

static void take_nothing(void)
{
}

static const struct kind {
	const char *waiter_name, *holder_name;
	void (*take)(void), (*wait)(void), (*let_go)(void);
	int n, ms;
	int has_owner;
} kinds[] = {
	{ "wait_mutex", "free_mutex", take_mutex, wait_mutex, free_mutex, 20, 40, 1 },
	{ "wait_read", "free_rwlock", take_rwlock, wait_read, free_rwlock, 15, 50, 1 },
	{ "wait_cond", "wake_cond", take_nothing, wait_cond, wake_cond, 12, 60, 0 },
	{ "wait_sem", "wake_sem", take_nothing, wait_sem, wake_sem, 10, 50, 0 },
};

static void *waiter(void *arg)
{
	const struct kind *kind = arg;

	kind->wait();
	return NULL;
}

static void run(const struct kind *kind)
{
	waited_ns = 0;
	n_arrived = 0;
	for (int i = 1; i <= kind->n; i++) {
		pthread_t thread;

		kind->take();
		MUST(pthread_create(&thread, NULL, waiter, (void *)(uintptr_t)kind) == 0);
		while (n_arrived < i)
			sleep_ms(1);
		sleep_ms(kind->ms);
		kind->let_go();
		MUST(pthread_join(thread, NULL) == 0);
	}
	expect("block", kind->waiter_name, kind->n);
	if (kind->has_owner)
		expect("mutex", kind->holder_name, kind->n);
}

int main(void)
{
	MUST(sem_init(&semaphore, 0, 0) == 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		run(&kinds[i]);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
