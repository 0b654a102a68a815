/* SPDX-License-Identifier: MIT */
/*
 * known_shares [THREADS]: CPU time in functions of known shares, in each of THREADS threads (2):
 *
 *   spin_half 1/2, spin_third 1/3, spin_tenth 1/10, and spin_rest, under spin_outer, 1/15
 *
 * Each thread gives its time, by its own CPU clock and in pieces of random length, to the function that lacks most;
 * so any long enough stretch has these shares, and no sampling rate finds a rhythm to fall in with. Prints
 * `expect function=NAME share=S` and `ready`; on SIGTERM what the clock measured, `measured function=NAME ns=N`.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"

#define N_FUNCTIONS 4
#define MAX_THREADS 64
#define SPIN __attribute__((noinline)) static void

static atomic_bool is_over;
static atomic_ullong measured_ns[N_FUNCTIONS];

static inline uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Inlined into a function of each name; `step` keeps the compiler from making one of them all. */
static inline __attribute__((always_inline)) void spin(uint64_t until_ns, uint64_t step)
{
	volatile uint64_t sum = 0;

	do {
		for (uint64_t i = 0; i < 20000; i++)
			sum = sum + i * step;
	} while (cpu_ns() < until_ns);
}

SPIN spin_half(uint64_t until_ns)
{
	spin(until_ns, 3);
}

SPIN spin_third(uint64_t until_ns)
{
	spin(until_ns, 5);
}

SPIN spin_tenth(uint64_t until_ns)
{
	spin(until_ns, 7);
}

SPIN spin_rest(uint64_t until_ns)
{
	spin(until_ns, 11);
}

SPIN spin_outer(uint64_t until_ns)
{
	spin_rest(until_ns);
	__asm__ volatile(""); /* no tail call */
}

static const struct {
	const char *name;
	double share;
	void (*run)(uint64_t until_ns);
} functions[N_FUNCTIONS] = {
	{ "spin_half", 1 / 2.0, spin_half },
	{ "spin_third", 1 / 3.0, spin_third },
	{ "spin_tenth", 1 / 10.0, spin_tenth },
	{ "spin_rest", 1 / 15.0, spin_outer },
};

static void *work(void *arg)
{
	uint64_t used_ns[N_FUNCTIONS] = { 0 }, began = cpu_ns(), now = began;
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!is_over) {
		uint64_t before = now;
		double most = -1e18;
		int next = 0;

		for (int i = 0; i < N_FUNCTIONS; i++) {
			double lack =
				functions[i].share * (double)(now - began) - (double)used_ns[i];

			if (lack > most) {
				most = lack;
				next = i;
			}
		}
		functions[next].run(now + 500000 + (uint64_t)rand_r(&seed) % 4000000);
		now = cpu_ns();
		used_ns[next] += now - before;
	}
	for (int i = 0; i < N_FUNCTIONS; i++)
		measured_ns[i] += used_ns[i];
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	int n = argc > 1 ? atoi(argv[1]) : 2, signal_number;
	sigset_t stop;

	MUST(n > 0 && n <= MAX_THREADS);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	for (int i = 0; i < n; i++)
		MUST(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1)) == 0);
	for (int i = 0; i < N_FUNCTIONS; i++)
		printf("expect function=%s share=%.6f\n", functions[i].name, functions[i].share);
	puts("ready");
	fflush(stdout);
	sigwait(&stop, &signal_number);
	is_over = 1;
	for (int i = 0; i < n; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	for (int i = 0; i < N_FUNCTIONS; i++)
		printf("measured function=%s ns=%llu\n", functions[i].name,
			(unsigned long long)measured_ns[i]);
	return 0;
}
