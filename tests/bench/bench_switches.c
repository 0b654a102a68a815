/* SPDX-License-Identifier: MIT */
/*
 * bench_switches [SECONDS]: two threads on one CPU that wake each other by futex, so that each round is two switches. Prints
 * ns of CPU time for one switch, as both threads have used it.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int turn;
static _Atomic long n_turns;
static _Atomic int is_over;

static void wait_for_turn(int mine)
{
	while (atomic_load(&turn) != mine && !atomic_load(&is_over))
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
}

static void *play(void *arg)
{
	int mine = arg != NULL;

	while (!atomic_load(&is_over)) {
		wait_for_turn(mine);
		atomic_fetch_add_explicit(&n_turns, 1, memory_order_relaxed);
		atomic_store(&turn, !mine);
		syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	double length = argc > 1 ? strtod(argv[1], NULL) : 1;
	struct timespec pause = { .tv_sec = (time_t)length,
		.tv_nsec = (long)((length - (double)(time_t)length) * 1e9) };
	pthread_t threads[2];
	struct rusage before, after;
	cpu_set_t one;
	long n;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, play, i ? &turn : NULL);
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	n = atomic_load(&n_turns);
	getrusage(RUSAGE_SELF, &before);
	nanosleep(&pause, NULL);
	getrusage(RUSAGE_SELF, &after);
	n = atomic_load(&n_turns) - n;
	printf("%.1f\n", 1e9 *
				 (seconds(&after.ru_utime) + seconds(&after.ru_stime) -
					 seconds(&before.ru_utime) - seconds(&before.ru_stime)) /
				 (double)n);
	atomic_store(&is_over, 1);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
