/* SPDX-License-Identifier: MIT */
/*
 * Counts: ring_writer THREADS SECONDS [EVENTS_PER_SECOND]. Each thread records 1, 2, 3, … as a counter of its own name
 * (w0, w1, …), as fast as it can or at the rate given, so that whoever reads a trace sees each event that is missing.
 * Says "ready" first, and at the end how far each thread came. Runs until it is killed when SECONDS is 0.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tracer/flightrec.h"

#pragma weak flightrec_counter

#define MAX_THREADS 64
#define BURST_NS 1000000

static uint64_t end_ns, rate;
static int64_t reached[MAX_THREADS];

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *count(void *arg)
{
	int64_t *n = arg;
	uint64_t begin = now();
	char name[8];

	snprintf(name, sizeof(name), "w%d", (int)(n - reached));
	for (;;) {
		uint64_t t = *n % 64 == 0 || rate ? now() : 0;

		if (t && end_ns && t >= end_ns)
			return NULL;
		if (rate && (uint64_t)*n * 1000000000u / rate > t - begin) {
			struct timespec nap = { .tv_nsec = BURST_NS };

			nanosleep(&nap, NULL);
			continue;
		}
		flightrec_counter(name, ++*n);
	}
}

int main(int argc, char **argv)
{
	int n_threads = argc > 1 ? atoi(argv[1]) : 1, seconds = argc > 2 ? atoi(argv[2]) : 1;
	pthread_t threads[MAX_THREADS];

	rate = argc > 3 ? (uint64_t)atoll(argv[3]) : 0;
	if (n_threads < 1 || n_threads > MAX_THREADS || !flightrec_counter)
		return 2;
	puts("ready");
	fflush(stdout);
	end_ns = seconds ? now() + (uint64_t)seconds * 1000000000u : 0;
	for (int i = 0; i < n_threads; i++)
		pthread_create(&threads[i], NULL, count, &reached[i]);
	for (int i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < n_threads; i++)
		printf("w%d %lld\n", i, (long long)reached[i]);
	return 0;
}
