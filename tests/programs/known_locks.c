/* SPDX-License-Identifier: MIT */
/*
 * Waits of known number and length, each on a lock of its own. Prints one line per lock:
 *
 *   expect kind=mutex obj=0x… n=4 dur_ns=1800123456 holder=TID
 *
 * dur_ns is the sum over all waiters, measured by the waiters themselves around the call; holder is
 * printed where one thread alone let the waiters in.
 */
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "cases.h"
#include "tests/lib/clock.h"

#define MS 1000000ull
#define N_CONTENDERS 4

static atomic_int n_waiting; /* threads that are about to block */
static _Atomic uint64_t waited_ns;

/* Runs one statement as a waiter. */
#define WAIT(statement)                                              \
	do {                                                         \
		uint64_t wait_began;                                 \
		atomic_fetch_add(&n_waiting, 1);                     \
		wait_began = now_ns();                               \
		statement;                                           \
		atomic_fetch_add(&waited_ns, now_ns() - wait_began); \
	} while (0)

static struct timespec in_ms(clockid_t clock, uint64_t ms)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_nsec += (long)(ms % 1000 * MS);
	time.tv_sec += (time_t)(ms / 1000) + time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

static void report(const char *kind, const void *obj, int n, int is_holder_main)
{
	printf("expect kind=%s obj=0x%" PRIxPTR " n=%d dur_ns=%" PRIu64 " holder=%ld\n", kind,
		(uintptr_t)obj, n, (uint64_t)waited_ns,
		is_holder_main ? (long)syscall(SYS_gettid) : 0L);
	waited_ns = 0;
	n_waiting = 0;
}

static void start(pthread_t *threads, int n, void *(*routine)(void *))
{
	for (int i = 0; i < n; i++)
		MUST(pthread_create(&threads[i], NULL, routine, NULL) == 0);
	while (n_waiting < n)
		sleep_ms(1);
	sleep_ms(5); /* from "about to" to "blocked"; a wait that is 5 ms longer than it must be */
}

static void finish(pthread_t *threads, int n)
{
	for (int i = 0; i < n; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
}

/* Four threads queue for one mutex: main keeps it 300 ms, each of them 100 ms. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *mutex_waiter(void *arg)
{
	WAIT(pthread_mutex_lock(&mutex));
	sleep_ms(100);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void known_mutex(void)
{
	pthread_t threads[N_CONTENDERS];

	pthread_mutex_lock(&mutex);
	start(threads, N_CONTENDERS, mutex_waiter);
	sleep_ms(300);
	pthread_mutex_unlock(&mutex);
	finish(threads, N_CONTENDERS);
	report("mutex", &mutex, N_CONTENDERS, 0);
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *held_waiter(void *arg)
{
	WAIT(pthread_mutex_lock(&held));
	pthread_mutex_unlock(&held);
	return NULL;
}

__attribute__((noinline)) static void known_holder_unlocks(void)
{
	pthread_mutex_unlock(&held);
	__asm__ volatile(""); /* no tail call: this function is to be in the stack */
}

static void known_holder(void)
{
	pthread_t thread;

	pthread_mutex_lock(&held);
	start(&thread, 1, held_waiter);
	sleep_ms(250);
	known_holder_unlocks();
	finish(&thread, 1);
	report("mutex", &held, 1, 1);
}

/* A timed lock that gives up after 150 ms, by each clock. */
static void *timed_waiter(void *arg)
{
	struct timespec real = in_ms(CLOCK_REALTIME, 150), monotonic;

	WAIT(MUST(pthread_mutex_timedlock(&held, &real) == ETIMEDOUT));
	monotonic = in_ms(CLOCK_MONOTONIC, 150);
	WAIT(MUST(pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, &monotonic) == ETIMEDOUT));
	return NULL;
}

static void known_timed(void)
{
	static pthread_mutex_t *lock = &held;
	pthread_t thread;

	pthread_mutex_lock(lock);
	MUST(pthread_create(&thread, NULL, timed_waiter, NULL) == 0);
	finish(&thread, 1);
	pthread_mutex_unlock(lock);
	report("mutex_timeout", lock, 2, 0);
}

static pthread_rwlock_t rwlock_rd = PTHREAD_RWLOCK_INITIALIZER;
static pthread_rwlock_t rwlock_wr = PTHREAD_RWLOCK_INITIALIZER;

static void *read_waiter(void *arg)
{
	WAIT(pthread_rwlock_rdlock(&rwlock_rd));
	pthread_rwlock_unlock(&rwlock_rd);
	return NULL;
}

static void *write_waiter(void *arg)
{
	WAIT(pthread_rwlock_wrlock(&rwlock_wr));
	pthread_rwlock_unlock(&rwlock_wr);
	return NULL;
}

static void known_rwlock(void)
{
	pthread_t threads[2];

	pthread_rwlock_wrlock(&rwlock_rd);
	start(threads, 2, read_waiter);
	sleep_ms(200);
	pthread_rwlock_unlock(&rwlock_rd);
	finish(threads, 2);
	report("rwlock_rd", &rwlock_rd, 2, 1);

	pthread_rwlock_rdlock(&rwlock_wr);
	start(threads, 1, write_waiter);
	sleep_ms(200);
	pthread_rwlock_unlock(&rwlock_wr);
	finish(threads, 1);
	report("rwlock_wr", &rwlock_wr, 1, 1);
}

static pthread_mutex_t cond_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

/* The waiter's count is raised with cond_lock held, so a signaller that has it finds all waiting. */
static void *cond_waiter(void *arg)
{
	pthread_mutex_lock(&cond_lock);
	WAIT(pthread_cond_wait(&cond, &cond_lock));
	pthread_mutex_unlock(&cond_lock);
	return NULL;
}

static void *cond_timeout(void *arg)
{
	struct timespec end = in_ms(CLOCK_REALTIME, 150);

	pthread_mutex_lock(&cond_lock);
	WAIT(MUST(pthread_cond_timedwait(&cond, &cond_lock, &end) == ETIMEDOUT));
	pthread_mutex_unlock(&cond_lock);
	return NULL;
}

static void known_cond(void)
{
	pthread_t threads[3];

	start(threads, 3, cond_waiter);
	sleep_ms(200);
	pthread_mutex_lock(&cond_lock);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&cond_lock);
	finish(threads, 3);
	report("cond", &cond, 3, 1);

	MUST(pthread_create(&threads[0], NULL, cond_timeout, NULL) == 0);
	finish(threads, 1);
	report("cond_timeout", &cond, 1, 0);
}

static sem_t semaphore;

static void *sem_waiter(void *arg)
{
	WAIT(sem_wait(&semaphore));
	return NULL;
}

static void known_sem(void)
{
	pthread_t threads[2];

	MUST(sem_init(&semaphore, 0, 0) == 0);
	start(threads, 2, sem_waiter);
	sleep_ms(200);
	sem_post(&semaphore);
	sem_post(&semaphore);
	finish(threads, 2);
	report("sem", &semaphore, 2, 1);
}

static pthread_barrier_t barrier;

static void *barrier_waiter(void *arg)
{
	WAIT(pthread_barrier_wait(&barrier));
	return NULL;
}

static void known_barrier(void)
{
	pthread_t threads[3];

	MUST(pthread_barrier_init(&barrier, NULL, 4) == 0);
	start(threads, 3, barrier_waiter);
	sleep_ms(200);
	pthread_barrier_wait(&barrier); /* last to arrive: does not wait */
	finish(threads, 3);
	report("barrier", &barrier, 3, 1);
}

static pthread_spinlock_t spin;

static void *spin_waiter(void *arg)
{
	WAIT(pthread_spin_lock(&spin));
	pthread_spin_unlock(&spin);
	return NULL;
}

static void known_spin(void)
{
	pthread_t thread;

	MUST(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE) == 0);
	pthread_spin_lock(&spin);
	start(&thread, 1, spin_waiter);
	sleep_ms(200);
	pthread_spin_unlock(&spin);
	finish(&thread, 1);
	report("spin", (const void *)&spin, 1, 1);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void slow_init(void)
{
	sleep_ms(200);
}

static void *once_first(void *arg)
{
	atomic_fetch_add(&n_waiting, 1);
	pthread_once(&once, slow_init);
	return NULL;
}

static void known_once(void)
{
	pthread_t thread;
	uint64_t began;

	start(&thread, 1, once_first);
	began = now_ns();
	pthread_once(&once, slow_init);
	waited_ns = now_ns() - began;
	finish(&thread, 1);
	report("once", &once, 1, 0);
}

static void *joined(void *arg)
{
	sleep_ms(200);
	return NULL;
}

static void known_join(void)
{
	pthread_t thread;
	uint64_t began;

	MUST(pthread_create(&thread, NULL, joined, NULL) == 0);
	began = now_ns();
	MUST(pthread_join(thread, NULL) == 0);
	waited_ns = now_ns() - began;
	report("join", (const void *)thread, 1, 0);
}

int main(void)
{
	known_mutex();
	known_holder();
	known_timed();
	known_rwlock();
	known_cond();
	known_sem();
	known_barrier();
	known_spin();
	known_once();
	known_join();
	return 0;
}
