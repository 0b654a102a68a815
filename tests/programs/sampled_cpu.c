/* SPDX-License-Identifier: MIT */
/*
 * sampled_cpu SECONDS [THREADS]: uses that much CPU time on each of THREADS threads (default 1), in three functions whose
 * shares of it are 50, 30 and 20 per cent. It says what it measured itself: "share NAME CPU-NS" for each, over all
 * threads, "function NAME ADDRESS" and "cpu NS", the total of the process.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SLICE_NS 2000000

static uint64_t used_ns[3];
static int64_t limit_ns;

static int64_t cpu_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Computes for a while; the clock is read seldom, so that the time is spent here and not in the kernel. */
#define WORK(name)                                                                   \
	static __attribute__((noinline)) uint64_t name(int64_t until_ns)             \
	{                                                                            \
		volatile uint64_t x = 1;                                             \
                                                                                     \
		do {                                                                 \
			for (int i = 0; i < 20000; i++)                              \
				x = x * 6364136223846793005u + 1442695040888963407u; \
		} while (cpu_now(CLOCK_THREAD_CPUTIME_ID) < until_ns);               \
		return x;                                                            \
	}

WORK(work_half)
WORK(work_third)
WORK(work_fifth)

static uint64_t (*const work[])(int64_t) = { work_half, work_third, work_fifth };
static const char *const names[] = { "work_half", "work_third", "work_fifth" };
static const int shares[] = { 50, 30, 20 };

static void *worker(void *unused)
{
	int64_t debt[3] = { 0, 0, 0 }, now = cpu_now(CLOCK_THREAD_CPUTIME_ID), end = now + limit_ns;

	(void)unused;
	while (now < end) {
		/* Whoever is furthest behind its share is next, for a slice of random length: no step with any tick. */
		int64_t slice = SLICE_NS / 2 + rand() % SLICE_NS;
		int next = 0;

		for (int i = 1; i < 3; i++)
			if (debt[i] > debt[next])
				next = i;
		work[next](now + slice);
		slice = cpu_now(CLOCK_THREAD_CPUTIME_ID) - now;
		now += slice;
		__atomic_fetch_add(&used_ns[next], (uint64_t)slice, __ATOMIC_RELAXED);
		debt[next] -= slice * 100;
		for (int i = 0; i < 3; i++)
			debt[i] += slice * shares[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int n_threads = argc > 2 ? atoi(argv[2]) : 1;
	pthread_t threads[64];

	if (argc < 2 || n_threads < 1 || n_threads > 64) {
		fprintf(stderr, "usage: sampled_cpu SECONDS [THREADS]\n");
		return 2;
	}
	limit_ns = (int64_t)(atof(argv[1]) * 1e9);
	for (int i = 0; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, worker, NULL) != 0)
			return 1;
	for (int i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 3; i++) {
		printf("share %s %llu\n", names[i], (unsigned long long)used_ns[i]);
		printf("function %s %lx\n", names[i], (unsigned long)work[i]);
	}
	printf("cpu %lld\n", (long long)cpu_now(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}
