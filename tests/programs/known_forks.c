/* SPDX-License-Identifier: MIT */
/*
 * A parent with three workers by fork(), as servers have them. Worker i keeps i times 300 blocks of 20,000
 * bytes in known_worker_leak(), and has i threads in known_worker_thread() that sleep for ever; the parent
 * keeps 100 blocks in known_parent_leak(). Prints `parent pid=…`, `worker=i pid=…`, then `ready`; all sleep
 * until the parent is told to end, and takes its workers along.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

#define N_WORKERS 3

static void *volatile kept[300 * N_WORKERS];
static pid_t workers[N_WORKERS];

__attribute__((noinline)) static void known_worker_leak(int n)
{
	for (int i = 0; i < n * 300; i++)
		MUST((kept[i] = malloc(20000)));
}

__attribute__((noinline)) static void known_parent_leak(void)
{
	for (int i = 0; i < 100; i++)
		MUST((kept[i] = malloc(20000)));
}

static void *known_worker_thread(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static void worker(int n, int ready)
{
	pthread_t thread;

	known_worker_leak(n);
	for (int i = 0; i < n; i++)
		MUST(pthread_create(&thread, NULL, known_worker_thread, NULL) == 0);
	MUST(write(ready, "", 1) == 1);
	for (;;)
		pause();
}

int main(void)
{
	sigset_t stop;
	int ready[2], signal_number;
	char byte;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	MUST(pipe(ready) == 0);
	known_parent_leak();
	printf("parent pid=%d\n", (int)getpid());
	fflush(stdout);
	for (int i = 1; i <= N_WORKERS; i++) {
		workers[i - 1] = fork();
		MUST(workers[i - 1] >= 0);
		if (workers[i - 1] == 0)
			worker(i, ready[1]);
		MUST(read(ready[0], &byte, 1) == 1);
		printf("worker=%d pid=%d\n", i, (int)workers[i - 1]);
	}
	puts("ready");
	fflush(stdout);
	sigwait(&stop, &signal_number);
	for (int i = 0; i < N_WORKERS; i++) {
		kill(workers[i], SIGKILL);
		waitpid(workers[i], NULL, 0);
	}
	return 0;
}
