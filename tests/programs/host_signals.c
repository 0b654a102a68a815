/* SPDX-License-Identifier: MIT */
/* Signals: storms over hooked calls, jumps out of handlers, alternate stacks, waits for signals. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include "cases.h"

static volatile sig_atomic_t n_signals;
static int null_pipe[2];
static sigjmp_buf out_of_handler;
static char *alternate;

static void write_in_handler(int number)
{
	int saved = errno;

	n_signals++;
	write(null_pipe[1], "x", 1);
	errno = saved;
}

static void jump_in_handler(int number)
{
	n_signals++;
	siglongjmp(out_of_handler, 1);
}

static void on_alternate(int number)
{
	char here;

	write(null_pipe[1], "x", 1);
	n_signals = n_signals + (&here >= alternate && &here < alternate + 65536);
}

static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	MUST(sigaction(number, &action, NULL) == 0);
}

static void storm(void)
{
	struct itimerval every_ms = { { 0, 1000 }, { 0, 1000 } };

	MUST(setitimer(ITIMER_REAL, &every_ms, NULL) == 0);
}

static void calm(void)
{
	struct itimerval never = { 0 };

	MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

/* 1 kHz of handlers that call write(), over malloc, locks and calls, until 500 have come. */
static int run_storm(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char bytes[4096];
	unsigned long n = 0;

	MUST(pipe(null_pipe) == 0);
	handle(SIGALRM, write_in_handler, SA_RESTART);
	storm();
	while (n_signals < 500) {
		pthread_mutex_lock(&lock);
		free(malloc(n++ % 5000));
		pthread_mutex_unlock(&lock);
		MUST(write(null_pipe[1], "y", 1) == 1);
		if (n % 1000 == 0)
			MUST(read(null_pipe[0], bytes, sizeof(bytes)) > 0);
	}
	calm();
	printf("500 signals\n");
	return 0;
}

/* Handlers leave by a jump out of whatever they interrupted, 200 times. */
static int run_siglongjmp(void)
{
	volatile int n_jumps = 0;

	MUST(pipe(null_pipe) == 0);
	handle(SIGALRM, jump_in_handler, SA_NODEFER);
	if (sigsetjmp(out_of_handler, 1))
		n_jumps++;
	if (n_jumps == 0)
		storm();
	while (n_jumps < 200)
		usleep(100000);
	calm();
	printf("%d jumps\n", (int)n_jumps);
	return 0;
}

static int run_sigaltstack(void)
{
	stack_t stack = { .ss_size = 65536 };

	MUST(pipe(null_pipe) == 0);
	alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(alternate != MAP_FAILED);
	stack.ss_sp = alternate;
	MUST(sigaltstack(&stack, NULL) == 0);
	handle(SIGUSR1, on_alternate, SA_ONSTACK);
	for (int i = 0; i < 50; i++)
		raise(SIGUSR1);
	printf("%d on the alternate stack\n", (int)n_signals);
	return 0;
}

/* An interrupted call says EINTR without SA_RESTART, and how much of the sleep is left. */
static int run_eintr(void)
{
	struct itimerval once = { { 0, 0 }, { 0, 50000 } };
	struct timespec request = { 10, 0 }, rest = { 0 };
	char byte;
	int result;

	MUST(pipe(null_pipe) == 0);
	handle(SIGALRM, write_in_handler, 0);
	MUST(setitimer(ITIMER_REAL, &once, NULL) == 0);
	errno = 0;
	result = nanosleep(&request, &rest);
	printf("nanosleep %d %s, about %d s left\n", result, strerror(errno),
		(int)(rest.tv_sec + 1));
	MUST(read(null_pipe[0], &byte, 1) == 1);
	MUST(setitimer(ITIMER_REAL, &once, NULL) == 0);
	errno = 0;
	result = pause();
	printf("pause %d %s\n", result, strerror(errno));
	return 0;
}

static int run_sigwait(void)
{
	struct timespec soon = { 0, 20000000 };
	siginfo_t info;
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	kill(getpid(), SIGUSR2);
	MUST(sigwait(&set, &number) == 0);
	printf("sigwait: %d\n", number);
	kill(getpid(), SIGUSR2);
	printf("sigwaitinfo: %d\n", sigwaitinfo(&set, &info));
	errno = 0;
	printf("sigtimedwait: %d", sigtimedwait(&set, &info, &soon));
	printf(" %s\n", strerror(errno));
	return 0;
}

/* All that a program may see of its own signals: mask, pending set, dispositions. */
static int run_masks(void)
{
	sigset_t mask, pending;

	MUST(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
	MUST(sigpending(&pending) == 0);
	for (int number = 1; number < 65; number++) {
		struct sigaction action;

		if (sigismember(&mask, number) == 1 || sigismember(&pending, number) == 1)
			printf("signal %d is blocked or pending\n", number);
		if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			printf("signal %d has a handler\n", number);
	}
	printf("done\n");
	return 0;
}

static const struct test_case cases[] = {
	{ "storm", run_storm },
	{ "siglongjmp", run_siglongjmp },
	{ "sigaltstack", run_sigaltstack },
	{ "eintr", run_eintr },
	{ "sigwait", run_sigwait },
	{ "masks", run_masks },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
