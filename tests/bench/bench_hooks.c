/* SPDX-License-Identifier: MIT */
/*
 * bench_hooks: what a hook costs, in ns per operation. Run it bare and under trace-record in turn, and compare:
 * a second thread is there from the start, since libc takes shortcuts in processes of one thread.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void *idle(void *arg)
{
	pause();
	return arg;
}

/* A read at the bottom of `depth` more frames. */
static __attribute__((noinline)) void read_below(int fd, int depth)
{
	char byte;

	if (depth > 0)
		read_below(fd, depth - 1);
	else if (read(fd, &byte, 1) != 1)
		exit(1);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

/*
 * Rounds of about a millisecond: the median is what a quiet machine shows, the least what other load has not
 * touched.
 */
#define N_ROUNDS 301

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define MEASURE(what, n, operation)                                                        \
	do {                                                                               \
		static double rounds[N_ROUNDS];                                            \
                                                                                           \
		for (int round = 0; round < N_ROUNDS; round++) {                           \
			double begin = now_ns();                                           \
                                                                                           \
			for (int i = 0; i < (n); i++) {                                    \
				operation;                                                 \
			}                                                                  \
			rounds[round] = (now_ns() - begin) / (n);                          \
		}                                                                          \
		qsort(rounds, N_ROUNDS, sizeof(rounds[0]), compare);                       \
		printf("%-20s median %7.1f  least %7.1f ns\n", what, rounds[N_ROUNDS / 2], \
			rounds[0]);                                                        \
	} while (0)

int main(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	pthread_t thread;

	if (fd < 0 || pthread_create(&thread, NULL, idle, NULL) != 0)
		return 1;
	MEASURE("free lock + unlock", 30000, pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock));
	MEASURE("malloc + free", 60000, void *volatile p = malloc(32); free(p));
	MEASURE("lseek", 5000, lseek(fd, 0, SEEK_CUR));
	MEASURE("read, 4 frames", 2000, read_below(fd, 0));
	MEASURE("read, 20 frames", 2000, read_below(fd, 16));
	return 0;
}
