/* SPDX-License-Identifier: MIT */
/*
 * Waits that a known thread ends at a known place, one after the other. Prints a line for each wait:
 *
 *   expect what=pipe call=read waiter=TID waker=TID func=known_pipe_write dur_ns=50123456
 *
 * dur_ns was measured by the waiter around its call. `what` of a lock is its kind, and call=-.
 */
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>

#include "known_wakes.h"

#define MAX_WAITERS 3

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static void sleep_ms(uint64_t ms)
{
	struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000 * MS) };

	nanosleep(&time, NULL);
}

static struct timespec in_a_second(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_sec++;
	return time;
}

long tid_now(void)
{
	return syscall(SYS_gettid);
}

static struct waiter {
	pthread_t thread;
	void (*wait)(void);
	long tid;
	uint64_t dur_ns;
} waiters[MAX_WAITERS];
static atomic_int n_waiting;

static void *waiter_run(void *arg)
{
	struct waiter *waiter = arg;
	uint64_t began;

	waiter->tid = tid_now();
	atomic_fetch_add(&n_waiting, 1);
	began = now_ns();
	waiter->wait();
	waiter->dur_ns = now_ns() - began;
	return NULL;
}

void start(int n, void (*wait)(void))
{
	n_waiting = 0;
	for (int i = 0; i < n; i++) {
		waiters[i].wait = wait;
		MUST(pthread_create(&waiters[i].thread, NULL, waiter_run, &waiters[i]) == 0);
	}
	while (n_waiting < n)
		sleep_ms(1);
	sleep_ms(HOLD_MS);
}

void finish(int n, const char *what, const char *call, long waker, const char *func)
{
	for (int i = 0; i < n; i++)
		MUST(pthread_join(waiters[i].thread, NULL) == 0);
	for (int i = 0; i < n; i++)
		printf("expect what=%s call=%s waiter=%ld waker=%ld func=%s dur_ns=%" PRIu64 "\n",
			what, call, waiters[i].tid, waker, func, waiters[i].dur_ns);
}

/* Locks. The waits under test are in known_*_wait, so that a test can tell them by their stacks. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spin;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static int is_signalled;
static sem_t semaphore;
static pthread_barrier_t barrier;
static mtx_t c11_mutex;
static cnd_t c11_cond;

SITE known_mutex_wait(void)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}

SITE known_mutex_timed_wait(void)
{
	struct timespec until = in_a_second();

	MUST(pthread_mutex_timedlock(&mutex, &until) == 0);
	pthread_mutex_unlock(&mutex);
}

SITE known_mutex_go(void)
{
	pthread_mutex_unlock(&mutex);
	SITE_END();
}

SITE known_read_wait(void)
{
	pthread_rwlock_rdlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
}

SITE known_write_wait(void)
{
	struct timespec until = in_a_second();

	MUST(pthread_rwlock_timedwrlock(&rwlock, &until) == 0);
	pthread_rwlock_unlock(&rwlock);
}

SITE known_rwlock_go(void)
{
	pthread_rwlock_unlock(&rwlock);
	SITE_END();
}

SITE known_spin_wait(void)
{
	pthread_spin_lock(&spin);
	pthread_spin_unlock(&spin);
}

SITE known_spin_go(void)
{
	pthread_spin_unlock(&spin);
	SITE_END();
}

SITE known_cond_wait(void)
{
	pthread_mutex_lock(&cond_mutex);
	while (!is_signalled)
		pthread_cond_wait(&cond, &cond_mutex);
	pthread_mutex_unlock(&cond_mutex);
}

SITE known_cond_timed_wait(void)
{
	struct timespec until = in_a_second();

	pthread_mutex_lock(&cond_mutex);
	while (!is_signalled)
		MUST(pthread_cond_timedwait(&cond, &cond_mutex, &until) == 0);
	pthread_mutex_unlock(&cond_mutex);
}

SITE known_cond_signal(void)
{
	pthread_mutex_lock(&cond_mutex);
	is_signalled = 1;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&cond_mutex);
}

SITE known_cond_broadcast(void)
{
	pthread_mutex_lock(&cond_mutex);
	is_signalled = 1;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&cond_mutex);
}

SITE known_cnd_wait(void)
{
	mtx_lock(&c11_mutex);
	while (!is_signalled)
		cnd_wait(&c11_cond, &c11_mutex);
	mtx_unlock(&c11_mutex);
}

SITE known_cnd_broadcast(void)
{
	mtx_lock(&c11_mutex);
	is_signalled = 1;
	cnd_broadcast(&c11_cond);
	mtx_unlock(&c11_mutex);
}

SITE known_mtx_wait(void)
{
	mtx_lock(&c11_mutex);
	mtx_unlock(&c11_mutex);
}

SITE known_mtx_go(void)
{
	mtx_unlock(&c11_mutex);
	SITE_END();
}

SITE known_sem_wait(void)
{
	sem_wait(&semaphore);
	SITE_END();
}

SITE known_sem_timed_wait(void)
{
	struct timespec until = in_a_second();

	MUST(sem_timedwait(&semaphore, &until) == 0);
}

SITE known_sem_go(void)
{
	for (int i = 0; i < MAX_WAITERS; i++)
		sem_post(&semaphore);
	SITE_END();
}

SITE known_barrier_wait(void)
{
	pthread_barrier_wait(&barrier);
	SITE_END();
}

SITE known_barrier_go(void)
{
	MUST(pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void locks(void)
{
	MUST(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE) == 0);
	MUST(sem_init(&semaphore, 0, 0) == 0);
	MUST(mtx_init(&c11_mutex, mtx_plain) == thrd_success);
	MUST(cnd_init(&c11_cond) == thrd_success);
	pthread_mutex_lock(&mutex);
	CASE_OF(1, "mutex", "-", known_mutex_wait, known_mutex_go);
	pthread_mutex_lock(&mutex);
	CASE_OF(1, "mutex", "-", known_mutex_timed_wait, known_mutex_go);
	pthread_rwlock_wrlock(&rwlock);
	CASE_OF(3, "rwlock_rd", "-", known_read_wait, known_rwlock_go);
	pthread_rwlock_rdlock(&rwlock);
	CASE_OF(1, "rwlock_wr", "-", known_write_wait, known_rwlock_go);
	pthread_spin_lock(&spin);
	CASE_OF(1, "spin", "-", known_spin_wait, known_spin_go);
	CASE_OF(1, "cond", "-", known_cond_wait, known_cond_signal);
	is_signalled = 0;
	CASE_OF(3, "cond", "-", known_cond_timed_wait, known_cond_broadcast);
	is_signalled = 0;
	CASE_OF(3, "cond", "-", known_cnd_wait, known_cnd_broadcast);
	mtx_lock(&c11_mutex);
	CASE_OF(1, "mutex", "-", known_mtx_wait, known_mtx_go);
	CASE_OF(3, "sem", "-", known_sem_wait, known_sem_go);
	CASE_OF(3, "sem", "-", known_sem_timed_wait, known_sem_go);
	MUST(pthread_barrier_init(&barrier, NULL, 4) == 0);
	CASE_OF(3, "barrier", "-", known_barrier_wait, known_barrier_go);
}

/* A holds a lock for 50 ms while B and C wait for it: both were made to wait by A, and let go one after the other. */
static void *known_holder(void *arg)
{
	pthread_mutex_lock(&mutex);
	atomic_fetch_add(&n_waiting, 1);
	while (n_waiting < 3)
		sleep_ms(1);
	sleep_ms(HOLD_MS);
	known_mutex_go();
	*(long *)arg = tid_now();
	return NULL;
}

static void two_behind_one(void)
{
	pthread_t holder;
	long tid;

	n_waiting = 0;
	MUST(pthread_create(&holder, NULL, known_holder, &tid) == 0);
	while (n_waiting < 1)
		sleep_ms(1);
	for (int i = 0; i < 2; i++) {
		waiters[i].wait = known_mutex_wait;
		MUST(pthread_create(&waiters[i].thread, NULL, waiter_run, &waiters[i]) == 0);
	}
	MUST(pthread_join(holder, NULL) == 0);
	/* The second is let in by the first. */
	for (int i = 0; i < 2; i++)
		MUST(pthread_join(waiters[i].thread, NULL) == 0);
	for (int i = 0; i < 2; i++)
		printf("expect what=two call=- waiter=%ld waker=%ld func=known_mutex_go "
		       "dur_ns=%" PRIu64 "\n",
			waiters[i].tid, tid, waiters[i].dur_ns);
}

/* Threads that end, by returning and by pthread_exit(); what runs once. */
SITE known_exit(void)
{
	pthread_exit(NULL);
	SITE_END();
}

static void *known_ending(void *arg)
{
	sleep_ms(HOLD_MS);
	if (arg)
		known_exit();
	return NULL;
}

static int known_c11_ending(void *arg)
{
	(void)arg;
	sleep_ms(HOLD_MS);
	return 0;
}

static atomic_long ended_tid;

static void *ending_with_tid(void *arg)
{
	ended_tid = tid_now();
	return known_ending(arg);
}

static int c11_with_tid(void *arg)
{
	ended_tid = tid_now();
	return known_c11_ending(arg);
}

static void report_own(const char *what, uint64_t began, const char *func)
{
	printf("expect what=%s call=- waiter=%ld waker=%ld func=%s dur_ns=%" PRIu64 "\n", what,
		tid_now(), (long)ended_tid, func, now_ns() - began);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static once_flag c11_once = ONCE_FLAG_INIT;

static void slow_init(void)
{
	sleep_ms(HOLD_MS);
}

SITE known_once_runs(void)
{
	pthread_once(&once, slow_init);
	SITE_END();
}

SITE known_call_once_runs(void)
{
	call_once(&c11_once, slow_init);
	SITE_END();
}

static void *once_first(void *arg)
{
	ended_tid = tid_now();
	atomic_fetch_add(&n_waiting, 1);
	if (arg)
		known_call_once_runs();
	else
		known_once_runs();
	return NULL;
}

static void ends(void)
{
	static const char *const names[] = { "ending_with_tid", "known_exit" };
	pthread_t thread;
	uint64_t began;
	thrd_t c11;

	for (uintptr_t i = 0; i < 2; i++) {
		MUST(pthread_create(&thread, NULL, ending_with_tid, (void *)i) == 0);
		began = now_ns();
		MUST(pthread_join(thread, NULL) == 0);
		report_own("join", began, names[i]);
	}
	MUST(thrd_create(&c11, c11_with_tid, NULL) == thrd_success);
	began = now_ns();
	MUST(thrd_join(c11, NULL) == thrd_success);
	report_own("join", began, "c11_with_tid");
	for (uintptr_t i = 0; i < 2; i++) {
		n_waiting = 0;
		MUST(pthread_create(&thread, NULL, once_first, (void *)i) == 0);
		while (!n_waiting)
			sleep_ms(1);
		sleep_ms(5);
		began = now_ns();
		if (i)
			call_once(&c11_once, slow_init);
		else
			pthread_once(&once, slow_init);
		report_own("once", began, i ? "known_call_once_runs" : "known_once_runs");
		while (pthread_tryjoin_np(thread, NULL) != 0)
			sleep_ms(1);
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	locks();
	two_behind_one();
	ends();
	known_channels();
	return 0;
}
