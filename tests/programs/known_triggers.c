/* SPDX-License-Identifier: MIT */
/*
 * Each thing that a trigger can be made of, long enough and too short. In order:
 *
 *   region slow 40 ms, region slow 1 ms, region other 40 ms; task slow 40 ms, ended by another thread
 *   a mutex that another thread holds for 40 ms; a condition that takes 40 ms
 *   flock() on a file that another thread has locked for 40 ms; read() of a pipe that is empty for 40 ms
 *   flightrec_trigger("asked for")
 *   `storm`: 100000 of these, and nothing else
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <time.h>

#include "cases.h"
#include "tracer/flightrec.h"

#define LONG_US 40000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static flightrec_task_t task;
static int pipe_ends[2], file, is_ready;
static const char *file_path;

static void *end_task(void *unused)
{
	flightrec_task_end(task);
	return unused;
}

/* Holds everything, and lets go of one after the other. */
static void *hold(void *unused)
{
	pthread_mutex_lock(&mutex);
	__atomic_store_n(&is_ready, 1, __ATOMIC_RELEASE);
	usleep(LONG_US);
	pthread_mutex_unlock(&mutex);
	return unused;
}

static void *signal_late(void *unused)
{
	usleep(LONG_US);
	pthread_mutex_lock(&mutex);
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
	return unused;
}

static void *hold_file(void *unused)
{
	int own = open(file_path, O_RDWR);

	flock(own, LOCK_EX);
	__atomic_store_n(&is_ready, 1, __ATOMIC_RELEASE);
	usleep(LONG_US);
	close(own);
	return unused;
}

static void *write_late(void *unused)
{
	usleep(LONG_US);
	MUST(write(pipe_ends[1], "x", 1) == 1);
	return unused;
}

static pthread_t start(void *(*routine)(void *), int is_awaited)
{
	pthread_t thread;

	is_ready = !is_awaited;
	MUST(pthread_create(&thread, NULL, routine, NULL) == 0);
	while (!__atomic_load_n(&is_ready, __ATOMIC_ACQUIRE))
		usleep(100);
	return thread;
}

static void region(const char *type, unsigned us)
{
	flightrec_region_t id = flightrec_region_begin(0, type);

	usleep(us);
	flightrec_region_end(id);
	usleep(2000);
}

static void storm(void)
{
	int n_taken = 0;

	for (int i = 0; i < 100000; i++)
		n_taken += flightrec_trigger("storm") == 0;
	printf("%d taken\n", n_taken);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char byte;

	if (argc > 1 && strcmp(argv[1], "storm") == 0) {
		storm();
		return 0;
	}
	MUST(argc > 1 && pipe(pipe_ends) == 0);
	file_path = argv[1];
	file = open(file_path, O_RDWR | O_CREAT, 0600);
	MUST(file >= 0);
	region("slow", LONG_US);
	region("slow", 1000);
	region("other", LONG_US);
	task = flightrec_task_begin(0, "slow");
	usleep(LONG_US);
	pthread_join(start(end_task, 0), NULL);
	usleep(2000);
	thread = start(hold, 1);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	pthread_mutex_lock(&mutex);
	thread = start(signal_late, 0);
	pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	thread = start(hold_file, 1);
	MUST(flock(file, LOCK_EX) == 0);
	pthread_join(thread, NULL);
	thread = start(write_late, 0);
	MUST(read(pipe_ends[0], &byte, 1) == 1);
	pthread_join(thread, NULL);
	usleep(2000);
	printf("%d\n", flightrec_trigger("asked for"));
	return 0;
}
