/* SPDX-License-Identifier: MIT */
/*
 * stress_unwind_exit SECONDS: threads that trace and end, over and over, with signals whose handler traces, too, landing
 * also in what other libraries do when a thread ends. Prints how many threads ended; exit 1 when none does for 5 s.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 20000
#define PATIENCE 5 /* seconds */

static unsigned long n_ended;
static int null_fd;

static void on_tick(int signal)
{
	int saved_errno = errno;

	if (write(null_fd, "t", 1) < 0)
		_exit(2);
	errno = saved_errno;
}

static void *live(void *argument)
{
	sigset_t set;

	if (write(null_fd, "l", 1) < 0)
		_exit(2);
	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return argument;
}

static void *make(void *argument)
{
	for (;;) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, live, NULL) != 0)
			_exit(2);
		pthread_join(thread, NULL);
		__atomic_fetch_add(&n_ended, 1, __ATOMIC_RELAXED);
	}
	return argument;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct itimerspec period = { { 0, TICK_NS }, { 0, TICK_NS } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF };
	int seconds = argc > 1 ? atoi(argv[1]) : 5;
	unsigned long seen = 0;
	pthread_t makers[2];
	int n_still = 0;
	timer_t timer;
	sigset_t set;

	null_fd = open("/dev/null", O_WRONLY);
	sigaction(SIGPROF, &action, NULL);
	/* Open in the threads that end, alone. */
	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (null_fd < 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
		timer_settime(timer, 0, &period, NULL) != 0)
		return 2;
	for (int i = 0; i < 2; i++)
		if (pthread_create(&makers[i], NULL, make, NULL) != 0)
			return 2;
	while (seconds > 0 || n_still > 0) {
		unsigned long n;

		sleep(1);
		seconds--;
		n = __atomic_load_n(&n_ended, __ATOMIC_RELAXED);
		n_still = n == seen ? n_still + 1 : 0;
		seen = n;
		if (n_still == PATIENCE) {
			printf("no thread ends any more after %lu\n", n);
			fflush(stdout);
			_exit(1);
		}
	}
	printf("%lu threads ended\n", seen);
	return 0;
}
