/* SPDX-License-Identifier: MIT */
/*
 * known_switches ASK ANSWER: threads that work when a line comes through the pipe ASK and wait for each other when they have;
 * then one goes to ANSWER. While nothing is asked, none of them runs, so that what the kernel has counted for them can be read in
 * peace. Two play ping-pong, two are busy, two sleep, and one writes to a child, which is a process of its own.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 3000
#define SLEEPS 150
#define BUSY_NS 300000000u

static pthread_barrier_t begin, end;
static int ping[2], pong[2], to_child[2], from_child[2];
static pid_t child;

static void expect(int is_good, const char *what)
{
	if (!is_good) {
		perror(what);
		exit(1);
	}
}

static void play(int in, int out, int is_first)
{
	char byte = 'x';

	for (int i = 0; i < ROUNDS; i++) {
		if (is_first)
			expect(write(out, &byte, 1) == 1, "write");
		expect(read(in, &byte, 1) == 1, "read");
		if (!is_first)
			expect(write(out, &byte, 1) == 1, "write");
	}
}

static void be_busy(void)
{
	struct timespec used;

	do {
		for (volatile int i = 0; i < 10000; i++)
			continue;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	} while ((uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec < BUSY_NS);
}

static void sleep_often(void)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	for (int i = 0; i < SLEEPS; i++)
		nanosleep(&pause, NULL);
}

static void work(int what)
{
	switch (what) {
	case 0:
		play(pong[0], ping[1], 1);
		break;
	case 1:
		play(ping[0], pong[1], 0);
		break;
	case 2:
	case 3:
		be_busy();
		break;
	case 4:
	case 5:
		sleep_often();
		break;
	default:
		play(from_child[0], to_child[1], 1);
	}
}

static void *thread_main(void *arg)
{
	static const char *const names[] = { "ping", "pong", "busy-1", "busy-2", "sleep-1",
		"sleep-2", "parent" };
	int what = (int)(intptr_t)arg;

	pthread_setname_np(pthread_self(), names[what]);
	for (;;) {
		pthread_barrier_wait(&begin);
		work(what);
		pthread_barrier_wait(&end);
	}
	return NULL;
}

/* The child echoes. */
static void fork_child(void)
{
	char byte;

	expect(pipe(to_child) == 0 && pipe(from_child) == 0, "pipe");
	child = fork();
	expect(child >= 0, "fork");
	if (child)
		return;
	close(to_child[1]);
	while (read(to_child[0], &byte, 1) == 1)
		expect(write(from_child[1], &byte, 1) == 1, "write");
	_exit(0);
}

int main(int argc, char **argv)
{
	char line[64];
	FILE *ask, *answer;
	pthread_t thread;

	expect(argc == 3, "usage");
	expect(pipe(ping) == 0 && pipe(pong) == 0, "pipe");
	fork_child();
	pthread_barrier_init(&begin, NULL, 8);
	pthread_barrier_init(&end, NULL, 8);
	for (intptr_t i = 0; i < 7; i++)
		expect(pthread_create(&thread, NULL, thread_main, (void *)i) == 0, "thread");
	ask = fopen(argv[1], "r");
	answer = fopen(argv[2], "w");
	expect(ask && answer, "pipes");
	fprintf(answer, "%d\n", (int)child);
	fflush(answer);
	while (fgets(line, sizeof(line), ask)) {
		pthread_barrier_wait(&begin);
		pthread_barrier_wait(&end);
		fputs("done\n", answer);
		fflush(answer);
	}
	close(to_child[1]);
	waitpid(child, NULL, 0);
	return 0;
}
