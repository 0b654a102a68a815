/* SPDX-License-Identifier: MIT */
/*
 * The other two faults. worker_fib() recurses on the request path, 2^n calls deep in work. And the
 * pool never finds an idle worker: a worker counts itself as idle *after* it was woken, nobody is
 * ever woken, so each job starts one more thread and leaves it asleep on the condition variable.
 */
#include "worker.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "annotate.h"
#include "cache.h"

#define WORKER_STACK (256u << 10)

struct job {
	struct job *next; /* owned by the queue */
	unsigned id, n;
	flightrec_task_t task;
};

/* All under pool_lock. */
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pool_wake = PTHREAD_COND_INITIALIZER;
static struct job *pool_queue; /* owned, until a worker takes it */
static unsigned pool_n_idle, pool_n_threads, pool_n_jobs;

uint64_t worker_fib(unsigned n)
{
	return n < 2 ? n : worker_fib(n - 1) + worker_fib(n - 2);
}

static void job_run(struct job *job)
{
	char key[32], value[32];
	flightrec_region_t region;
	uint64_t result;

	region = region_begin(job->task, "compute");
	result = worker_fib(job->n);
	region_end(region);

	region = region_begin(job->task, "store");
	snprintf(key, sizeof(key), "job-%u", job->id);
	snprintf(value, sizeof(value), "%" PRIu64, result);
	if (!cache_put(key, value))
		fprintf(stderr, "buggycache: the result of %s is lost: no memory\n", key);
	region_end(region);
	task_end(job->task);
	free(job);
}

static struct job *pool_take(void)
{
	struct job *job;

	pthread_mutex_lock(&pool_lock);
	while (!pool_queue) {
		pthread_cond_wait(&pool_wake, &pool_lock);
		pool_n_idle++; /* the fault: belongs above the wait */
	}
	job = pool_queue;
	pool_queue = job->next;
	pthread_mutex_unlock(&pool_lock);
	return job;
}

static void *worker_main(void *arg)
{
	for (;;)
		job_run(pool_take());
	return NULL;
}

static int worker_start(unsigned number)
{
	char name[16];
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	error = pthread_create(&thread, &attr, worker_main, NULL);
	pthread_attr_destroy(&attr);
	if (error)
		return -error;
	snprintf(name, sizeof(name), "worker-%u", number % 100000);
	pthread_setname_np(thread, name);
	return 0;
}

int worker_submit(unsigned n, unsigned *job_out)
{
	struct job *job = malloc(sizeof(*job));
	unsigned number = 0;

	if (!job)
		return -ENOMEM;
	pthread_mutex_lock(&pool_lock);
	*job_out = ++pool_n_jobs;
	*job = (struct job){ .next = pool_queue, .id = *job_out, .n = n };
	job->task = task_begin("work");
	pool_queue = job;
	if (pool_n_idle > 0) {
		pool_n_idle--;
		pthread_cond_signal(&pool_wake);
	} else {
		number = ++pool_n_threads;
	}
	pthread_mutex_unlock(&pool_lock);
	return number ? worker_start(number) : 0;
}

unsigned worker_count(void)
{
	unsigned n;

	pthread_mutex_lock(&pool_lock);
	n = pool_n_threads;
	pthread_mutex_unlock(&pool_lock);
	return n;
}
