/* SPDX-License-Identifier: MIT */
/*
 * Threads of known number in known states, each in a function of its own, started by one of its own:
 *
 *   expect function=in_sleep n=7 state=sleep creator=start_sleep
 *
 * and so on; ten more that have ended already (creator=start_nothing). Then prints `ready`, and sleeps until a
 * signal ends it.
 */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"

#define IN __attribute__((noinline)) static void *

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t cond_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static int fds[2];
static volatile uint64_t sum;

IN in_sleep(void *arg)
{
	for (;;)
		sleep(1000);
	return NULL;
}

IN in_cond(void *arg)
{
	pthread_mutex_lock(&cond_lock);
	for (;;)
		pthread_cond_wait(&cond, &cond_lock);
	return NULL;
}

IN in_read(void *arg)
{
	char byte;

	MUST(read(fds[0], &byte, 1) == 1);
	return NULL;
}

IN in_poll(void *arg)
{
	struct pollfd fd = { fds[0], POLLIN, 0 };

	poll(&fd, 1, -1);
	return NULL;
}

IN in_mutex(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

IN in_rwlock(void *arg)
{
	pthread_rwlock_rdlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
	return NULL;
}

IN in_sem(void *arg)
{
	sem_wait(&semaphore);
	return NULL;
}

IN in_spin(void *arg)
{
	for (;;)
		sum = sum + 1;
	return NULL;
}

IN in_nothing(void *arg)
{
	return NULL;
}

#define START(name, count, is_joined)                                              \
	__attribute__((noinline)) static void start_##name(void)                   \
	{                                                                          \
		for (int i = 0; i < (count); i++) {                                \
			pthread_t thread;                                          \
                                                                                   \
			MUST(pthread_create(&thread, NULL, in_##name, NULL) == 0); \
			if (is_joined)                                             \
				MUST(pthread_join(thread, NULL) == 0);             \
		}                                                                  \
	}

START(sleep, 7, 0)
START(cond, 6, 0)
START(read, 5, 0)
START(poll, 4, 0)
START(mutex, 3, 0)
START(rwlock, 2, 0)
START(sem, 8, 0)
START(spin, 1, 0)
START(nothing, 10, 1)

static void expect(const char *name, int n, const char *state)
{
	printf("expect function=in_%s n=%d state=%s creator=start_%s\n", name, n, state, name);
}

int main(void)
{
	MUST(pipe(fds) == 0 && sem_init(&semaphore, 0, 0) == 0);
	pthread_mutex_lock(&mutex);
	pthread_rwlock_wrlock(&rwlock);
	start_nothing();
	start_sleep();
	start_cond();
	start_read();
	start_poll();
	start_mutex();
	start_rwlock();
	start_sem();
	start_spin();
	expect("sleep", 7, "sleep");
	expect("cond", 6, "sync.Cond.Wait");
	expect("read", 5, "syscall|IO_wait");
	expect("poll", 4, "IO_wait");
	expect("mutex", 3, "sync.Mutex.Lock");
	expect("rwlock", 2, "sync.RWMutex.RLock");
	expect("sem", 8, "semacquire");
	expect("spin", 1, "running|runnable");
	expect("nothing", 0, "dead");
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
