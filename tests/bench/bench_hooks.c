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

	clock_gettime(CLOCK_MONOTONIC, &ts);
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

static void report(const char *what, double begin_ns, long n)
{
	printf("%-28s %7.1f ns\n", what, (now_ns() - begin_ns) / (double)n);
}

int main(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	pthread_t thread;
	double begin;
	long i;

	if (fd < 0 || pthread_create(&thread, NULL, idle, NULL) != 0)
		return 1;
	begin = now_ns();
	for (i = 0; i < 5000000; i++) {
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
	}
	report("free lock + unlock", begin, i);
	begin = now_ns();
	for (i = 0; i < 5000000; i++) {
		void *volatile p = malloc(32);

		free(p);
	}
	report("malloc + free", begin, i);
	begin = now_ns();
	for (i = 0; i < 500000; i++)
		read_below(fd, 0);
	report("read, 4 frames", begin, i);
	begin = now_ns();
	for (i = 0; i < 500000; i++)
		read_below(fd, 16);
	report("read, 20 frames", begin, i);
	return 0;
}
