/* SPDX-License-Identifier: MIT */
#include "wait_cases.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "tests/programs/cases.h"

#define MS 1000000ull
#define MAX_WAITERS 3

/* No tail call: the function is to be in the stack. A section of their own, so that a test can tell them by address. */
#define SITE_END() __asm__ volatile("" ::: "memory")
#define SITE __attribute__((noinline, section("known_sites"))) static void

static struct known_wait *out;
static unsigned n_out;

static void expect(const char *profile, const char *site, void *function, uint64_t n, uint64_t ns)
{
	MUST(n_out < KNOWN_WAITS);
	out[n_out++] = (struct known_wait){ profile, site, function, n, ns };
}
#define EXPECT(profile, site, n, ns) expect(profile, #site, (void *)(site), n, ns)
#define EXPECT_UNKNOWN(n, ns) expect("mutex", "[unknown]", NULL, n, ns)

/* Of the waiters of a case: when each began and ended to wait. */
static struct {
	uint64_t begin_ns, end_ns;
} waits[MAX_WAITERS];
static atomic_int n_waiting;

#define WAIT(statement)                                       \
	do {                                                  \
		int wait_i = atomic_fetch_add(&n_waiting, 1); \
		waits[wait_i].begin_ns = now_ns();            \
		statement;                                    \
		waits[wait_i].end_ns = now_ns();              \
	} while (0)

static uint64_t waited(int n)
{
	uint64_t sum = 0;

	while (n--)
		sum += waits[n].end_ns - waits[n].begin_ns;
	return sum;
}

/* The part of it that lies before a moment. */
static uint64_t waited_before(int n, uint64_t ns)
{
	uint64_t sum = 0;

	while (n--)
		if (ns > waits[n].begin_ns)
			sum += (ns < waits[n].end_ns ? ns : waits[n].end_ns) - waits[n].begin_ns;
	return sum;
}

static pthread_t threads[MAX_WAITERS];

static void start(int n, void *(*routine)(void *))
{
	n_waiting = 0;
	for (int i = 0; i < n; i++)
		MUST(pthread_create(&threads[i], NULL, routine, NULL) == 0);
	while (n_waiting < n)
		sleep_ms(1);
	sleep_ms(5); /* from "about to" to "blocked" */
}

/* By tryjoin, so that no wait for a thread gets into the profile. */
static void finish(int n)
{
	for (int i = 0; i < n; i++)
		while (pthread_tryjoin_np(threads[i], NULL) != 0)
			sleep_ms(1);
}

/* One holder for 100 ms, three waiters that let go at once. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

SITE known_wait_lock(void)
{
	pthread_mutex_lock(&mutex);
	SITE_END();
}

SITE known_hold_unlock(void)
{
	pthread_mutex_unlock(&mutex);
	SITE_END();
}

static void *mutex_waiter(void *arg)
{
	WAIT(known_wait_lock());
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void one_holder(void)
{
	pthread_mutex_lock(&mutex);
	start(3, mutex_waiter);
	sleep_ms(100);
	known_hold_unlock();
	finish(3);
	EXPECT("block", known_wait_lock, 3, waited(3));
	EXPECT("mutex", known_hold_unlock, 1, waited(3));
}

/* A convoy: main keeps the lock for 60 ms, then each waiter for 30. */
SITE known_convoy_lock(void)
{
	pthread_mutex_lock(&mutex);
	SITE_END();
}

SITE known_convoy_first_unlock(void)
{
	pthread_mutex_unlock(&mutex);
	SITE_END();
}

SITE known_convoy_next_unlock(void)
{
	pthread_mutex_unlock(&mutex);
	SITE_END();
}

static void *convoy_waiter(void *arg)
{
	WAIT(known_convoy_lock());
	sleep_ms(30);
	known_convoy_next_unlock();
	return arg;
}

static void convoy(void)
{
	uint64_t unlock_ns;

	pthread_mutex_lock(&mutex);
	start(3, convoy_waiter);
	sleep_ms(60);
	unlock_ns = now_ns();
	known_convoy_first_unlock();
	finish(3);
	EXPECT("block", known_convoy_lock, 3, waited(3));
	EXPECT("mutex", known_convoy_first_unlock, 1, waited_before(3, unlock_ns));
	EXPECT("mutex", known_convoy_next_unlock, 2, waited(3) - waited_before(3, unlock_ns));
}

/* Two readers that leave 40 ms apart; the writer is let in by the last. Then readers behind a writer. */
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

SITE known_write_lock(void)
{
	pthread_rwlock_wrlock(&rwlock);
	SITE_END();
}

SITE known_read_lock(void)
{
	pthread_rwlock_rdlock(&rwlock);
	SITE_END();
}

SITE known_reader_first_unlock(void)
{
	pthread_rwlock_unlock(&rwlock);
	SITE_END();
}

SITE known_reader_last_unlock(void)
{
	pthread_rwlock_unlock(&rwlock);
	SITE_END();
}

SITE known_writer_unlock(void)
{
	pthread_rwlock_unlock(&rwlock);
	SITE_END();
}

static void *write_waiter(void *arg)
{
	WAIT(known_write_lock());
	pthread_rwlock_unlock(&rwlock);
	return arg;
}

static void *read_waiter(void *arg)
{
	WAIT(known_read_lock());
	pthread_rwlock_unlock(&rwlock);
	return arg;
}

static void readers_and_writers(void)
{
	pthread_rwlock_rdlock(&rwlock);
	pthread_rwlock_rdlock(&rwlock);
	start(1, write_waiter);
	sleep_ms(40);
	known_reader_first_unlock();
	sleep_ms(40);
	known_reader_last_unlock();
	finish(1);
	EXPECT("block", known_write_lock, 1, waited(1));
	EXPECT("mutex", known_reader_last_unlock, 1, waited(1));
	EXPECT("mutex", known_reader_first_unlock, 0, 0);
	pthread_rwlock_wrlock(&rwlock);
	start(2, read_waiter);
	sleep_ms(60);
	known_writer_unlock();
	finish(2);
	EXPECT("block", known_read_lock, 2, waited(2));
	EXPECT("mutex", known_writer_unlock, 2, waited(2));
}

/* A timed wait in vain: its time is in `block`, and nobody let go. */
SITE known_timed_lock(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 80 * (long)MS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	MUST(pthread_mutex_timedlock(&mutex, &until) == ETIMEDOUT);
}

static void *timed_waiter(void *arg)
{
	WAIT(known_timed_lock());
	return arg;
}

static void in_vain(void)
{
	pthread_mutex_lock(&mutex);
	start(1, timed_waiter);
	finish(1);
	pthread_mutex_unlock(&mutex);
	EXPECT("block", known_timed_lock, 1, waited(1));
	EXPECT_UNKNOWN(1, waited(1));
}

/* Signalled after 50 ms by one that keeps the mutex for 40 ms more. */
static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

SITE known_cond_wait(void)
{
	pthread_cond_wait(&cond, &cond_mutex);
	SITE_END();
}

SITE known_signaller_unlock(void)
{
	pthread_mutex_unlock(&cond_mutex);
	SITE_END();
}

static void *cond_waiter(void *arg)
{
	pthread_mutex_lock(&cond_mutex);
	WAIT(known_cond_wait());
	pthread_mutex_unlock(&cond_mutex);
	return arg;
}

static void condition(void)
{
	uint64_t signal_ns;

	start(1, cond_waiter);
	sleep_ms(50);
	pthread_mutex_lock(&cond_mutex);
	signal_ns = now_ns();
	pthread_cond_signal(&cond);
	sleep_ms(40);
	known_signaller_unlock();
	finish(1);
	EXPECT("block", known_cond_wait, 1, waited(1));
	EXPECT("mutex", known_signaller_unlock, 1, waited(1) - waited_before(1, signal_ns));
}

/* Waits without an owner: in `block` alone. */
static sem_t semaphore;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;

SITE known_sem_wait(void)
{
	sem_wait(&semaphore);
	SITE_END();
}

SITE known_barrier_wait(void)
{
	pthread_barrier_wait(&barrier);
	SITE_END();
}

static void *sem_waiter(void *arg)
{
	WAIT(known_sem_wait());
	return arg;
}

static void *barrier_waiter(void *arg)
{
	WAIT(known_barrier_wait());
	return arg;
}

static void slow_init(void)
{
	sleep_ms(60);
}

SITE known_once(void)
{
	pthread_once(&once, slow_init);
	SITE_END();
}

static void *once_first(void *arg)
{
	atomic_fetch_add(&n_waiting, 1);
	pthread_once(&once, slow_init);
	return arg;
}

SITE known_join(void)
{
	MUST(pthread_join(threads[0], NULL) == 0);
	SITE_END();
}

static void *short_life(void *arg)
{
	sleep_ms(60);
	return arg;
}

static void without_owner(void)
{
	uint64_t begin_ns;

	MUST(sem_init(&semaphore, 0, 0) == 0);
	start(2, sem_waiter);
	sleep_ms(50);
	sem_post(&semaphore);
	sem_post(&semaphore);
	finish(2);
	EXPECT("block", known_sem_wait, 2, waited(2));
	MUST(pthread_barrier_init(&barrier, NULL, 3) == 0);
	start(2, barrier_waiter);
	sleep_ms(50);
	pthread_barrier_wait(&barrier);
	finish(2);
	EXPECT("block", known_barrier_wait, 2, waited(2));
	start(1, once_first);
	begin_ns = now_ns();
	known_once();
	EXPECT("block", known_once, 1, now_ns() - begin_ns);
	finish(1);
	MUST(pthread_create(&threads[0], NULL, short_life, NULL) == 0);
	begin_ns = now_ns();
	known_join();
	EXPECT("block", known_join, 1, now_ns() - begin_ns);
}

static pthread_spinlock_t spin;

SITE known_spin_lock(void)
{
	pthread_spin_lock(&spin);
	SITE_END();
}

SITE known_spin_unlock(void)
{
	pthread_spin_unlock(&spin);
	SITE_END();
}

static void *spin_waiter(void *arg)
{
	WAIT(known_spin_lock());
	pthread_spin_unlock(&spin);
	return arg;
}

static void spinning(void)
{
	MUST(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE) == 0);
	pthread_spin_lock(&spin);
	start(1, spin_waiter);
	sleep_ms(40);
	known_spin_unlock();
	finish(1);
	EXPECT("block", known_spin_lock, 1, waited(1));
	EXPECT("mutex", known_spin_unlock, 1, waited(1));
}

/* C11's functions, which are libc's own. */
static mtx_t c11;

SITE known_mtx_lock(void)
{
	mtx_lock(&c11);
	SITE_END();
}

SITE known_mtx_unlock(void)
{
	mtx_unlock(&c11);
	SITE_END();
}

static void *mtx_waiter(void *arg)
{
	WAIT(known_mtx_lock());
	mtx_unlock(&c11);
	return arg;
}

static void c11_mutex(void)
{
	MUST(mtx_init(&c11, mtx_plain) == thrd_success);
	mtx_lock(&c11);
	start(2, mtx_waiter);
	sleep_ms(40);
	known_mtx_unlock();
	finish(2);
	EXPECT("block", known_mtx_lock, 2, waited(2));
	EXPECT("mutex", known_mtx_unlock, 1, waited(2));
}

unsigned known_waits_make(struct known_wait list[KNOWN_WAITS])
{
	out = list;
	n_out = 0;
	one_holder();
	convoy();
	readers_and_writers();
	in_vain();
	condition();
	without_owner();
	spinning();
	c11_mutex();
	return n_out;
}
