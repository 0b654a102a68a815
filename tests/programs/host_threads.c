/* SPDX-License-Identifier: MIT */
/* Threads: cancellation in each kind of wait, pthread_exit, small stacks, thread-local data, churn. */
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <time.h>

#include "cases.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static sem_t entered; /* posted by a thread right before it blocks */
static int ends[2];

static void cleaned_up(void *arg)
{
	printf("clean-up handler of %s ran\n", (const char *)arg);
}

static void unlock_lock(void *arg)
{
	printf("clean-up handler holds the mutex: %s\n",
		pthread_mutex_trylock(&lock) == EBUSY ? "yes" : "no");
	pthread_mutex_unlock(&lock);
}

static void *block_read(void *arg)
{
	char byte;

	pthread_cleanup_push(cleaned_up, "read");
	sem_post(&entered);
	read(ends[0], &byte, 1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *block_cond(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(unlock_lock, NULL);
	sem_post(&entered);
	for (;;)
		pthread_cond_wait(&cond, &lock);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *block_sem(void *arg)
{
	pthread_cleanup_push(cleaned_up, "sem_wait");
	sem_post(&entered);
	while (sem_wait(&semaphore) != 0)
		;
	pthread_cleanup_pop(0);
	return NULL;
}

static void *block_sleep(void *arg)
{
	struct timespec hour = { .tv_sec = 3600 };

	pthread_cleanup_push(cleaned_up, "nanosleep");
	sem_post(&entered);
	nanosleep(&hour, NULL);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *block_join(void *arg)
{
	pthread_cleanup_push(cleaned_up, "pthread_join");
	sem_post(&entered);
	pthread_join(*(pthread_t *)arg, NULL);
	pthread_cleanup_pop(0);
	return NULL;
}

static int cancel(void *(*routine)(void *), void *arg)
{
	pthread_t thread;
	void *result;

	MUST(sem_init(&entered, 0, 0) == 0 && sem_init(&semaphore, 0, 0) == 0);
	MUST(pthread_create(&thread, NULL, routine, arg) == 0);
	MUST(sem_wait(&entered) == 0);
	MUST(pthread_cancel(thread) == 0);
	MUST(pthread_join(thread, &result) == 0);
	printf("result is PTHREAD_CANCELED: %s\n", result == PTHREAD_CANCELED ? "yes" : "no");
	printf("the mutex is free: %s\n", pthread_mutex_trylock(&lock) == 0 ? "yes" : "no");
	return 0;
}

static int run_cancel_read(void)
{
	MUST(pipe(ends) == 0);
	return cancel(block_read, NULL);
}

static int run_cancel_cond(void)
{
	return cancel(block_cond, NULL);
}

static int run_cancel_sem(void)
{
	return cancel(block_sem, NULL);
}

static int run_cancel_sleep(void)
{
	return cancel(block_sleep, NULL);
}

static int run_cancel_join(void)
{
	pthread_t self = pthread_self();

	return cancel(block_join, &self);
}

static void *cancel_async(void *arg)
{
	volatile uint64_t n = 0;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	sem_post(&entered);
	for (;;)
		n++;
	return NULL;
}

static int run_cancel_async(void)
{
	return cancel(cancel_async, NULL);
}

static void *leave(void *arg)
{
	pthread_cleanup_push(cleaned_up, "pthread_exit");
	pthread_exit((void *)(uintptr_t)0x1234);
	pthread_cleanup_pop(0);
}

static int run_pthread_exit(void)
{
	pthread_t thread;
	void *result;

	MUST(pthread_create(&thread, NULL, leave, NULL) == 0);
	MUST(pthread_join(thread, &result) == 0);
	printf("result %p\n", result);
	return 0;
}

static void *small(void *arg)
{
	char text[256];
	uintptr_t n = (uintptr_t)arg;

	snprintf(text, sizeof(text), "%d", (int)n);
	pthread_mutex_lock(&lock);
	free(malloc(strlen(text)));
	pthread_mutex_unlock(&lock);
	usleep(100);
	return (void *)(n * 2);
}

/* PTHREAD_STACK_MIN on this machine: 16 KiB, of which libc and its TLS take a part. */
static int run_small_stacks(void)
{
	pthread_attr_t attr;
	uintptr_t sum = 0;

	MUST(pthread_attr_init(&attr) == 0);
	MUST(pthread_attr_setstacksize(&attr, 16384) == 0);
	for (uintptr_t i = 0; i < 50; i++) {
		pthread_t thread;
		void *result;

		MUST((errno = pthread_create(&thread, &attr, small, (void *)i)) == 0);
		MUST(pthread_join(thread, &result) == 0);
		sum += (uintptr_t)result;
	}
	printf("sum %d\n", (int)sum);
	return 0;
}

static int run_churn(void)
{
	uintptr_t sum = 0;

	for (uintptr_t i = 0; i < 300; i++) {
		pthread_t threads[4];

		for (uintptr_t k = 0; k < 4; k++)
			MUST((errno = pthread_create(&threads[k], NULL, small, (void *)k)) == 0);
		for (uintptr_t k = 0; k < 4; k++) {
			void *result;

			MUST(pthread_join(threads[k], &result) == 0);
			sum += (uintptr_t)result;
		}
	}
	printf("sum %d\n", (int)sum);
	return 0;
}

static pthread_key_t key;

/* Runs at thread exit, also after other libraries have dropped their own thread-local data. */
static void key_gone(void *value)
{
	static int n_left = PTHREAD_DESTRUCTOR_ITERATIONS - 1;

	free(malloc(64));
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	if (n_left-- > 0)
		pthread_setspecific(key, value);
	printf("destructor: %s\n", (char *)value);
}

static void *with_key(void *arg)
{
	pthread_setspecific(key, "value");
	return NULL;
}

static int run_tls_destructors(void)
{
	pthread_t thread;

	MUST(pthread_key_create(&key, key_gone) == 0);
	MUST(pthread_create(&thread, NULL, with_key, NULL) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	return 0;
}

static int run_lock_errors(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t checked, recursive;
	struct timespec past = { 0 };

	MUST(pthread_mutexattr_init(&attr) == 0);
	MUST(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) == 0);
	MUST(pthread_mutex_init(&checked, &attr) == 0);
	printf("unlock unowned: %s\n", strerror(pthread_mutex_unlock(&checked)));
	pthread_mutex_lock(&checked);
	printf("lock again: %s\n", strerror(pthread_mutex_lock(&checked)));
	MUST(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE) == 0);
	MUST(pthread_mutex_init(&recursive, &attr) == 0);
	for (int i = 0; i < 3; i++)
		printf("recursive lock: %d\n", pthread_mutex_lock(&recursive));
	for (int i = 0; i < 4; i++)
		printf("recursive unlock: %d\n", pthread_mutex_unlock(&recursive));
	pthread_mutex_lock(&lock);
	printf("timed: %s\n", strerror(pthread_mutex_timedlock(&lock, &past)));
	printf("clock: %s\n", strerror(pthread_mutex_clocklock(&lock, CLOCK_MONOTONIC, &past)));
	printf("cond: %s\n", strerror(pthread_cond_timedwait(&cond, &lock, &past)));
	sem_init(&semaphore, 0, 0);
	errno = 0;
	printf("sem: %d", sem_timedwait(&semaphore, &past));
	printf(" %s\n", strerror(errno));
	return 0;
}

static void *die_holding(void *arg)
{
	pthread_mutex_lock(arg);
	return NULL;
}

static int run_robust_mutex(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t robust;
	pthread_t thread;

	MUST(pthread_mutexattr_init(&attr) == 0);
	MUST(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	MUST(pthread_mutex_init(&robust, &attr) == 0);
	MUST(pthread_create(&thread, NULL, die_holding, &robust) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	printf("lock: %s\n", strerror(pthread_mutex_lock(&robust)));
	printf("consistent: %d\n", pthread_mutex_consistent(&robust));
	printf("unlock: %d\n", pthread_mutex_unlock(&robust));
	return 0;
}

static const struct test_case cases[] = {
	{ "cancel_read", run_cancel_read },
	{ "cancel_cond", run_cancel_cond },
	{ "cancel_sem", run_cancel_sem },
	{ "cancel_sleep", run_cancel_sleep },
	{ "cancel_join", run_cancel_join },
	{ "cancel_async", run_cancel_async },
	{ "pthread_exit", run_pthread_exit },
	{ "small_stacks", run_small_stacks },
	{ "churn", run_churn },
	{ "tls_destructors", run_tls_destructors },
	{ "lock_errors", run_lock_errors },
	{ "robust_mutex", run_robust_mutex },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
