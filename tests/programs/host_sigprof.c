/* SPDX-License-Identifier: MIT */
/* The program's own SIGPROF, and calls that a signal interrupts: what a sampler in the process must not change. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>

#include "cases.h"

extern char **environ;

static volatile sig_atomic_t n_signals, n_foreign;

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Uses CPU time of this thread. */
static void burn(int ms)
{
	int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + (int64_t)ms * 1000000;

	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 1000; i++)
			;
}

static void *burner(void *is_over)
{
	while (!*(volatile int *)is_over)
		burn(1);
	return NULL;
}

static const char *name_of(void (*handler)(int))
{
	return handler == SIG_DFL ? "default" : handler == SIG_IGN ? "ignored" : "a handler";
}

static void show(void)
{
	struct sigaction action;

	MUST(sigaction(SIGPROF, NULL, &action) == 0);
	printf("SIGPROF: %s, flags %x\n", name_of(action.sa_handler), (unsigned)action.sa_flags);
	fflush(stdout);
}

static int run_show(void)
{
	show();
	return 0;
}

static void on_prof(int number, siginfo_t *info, void *context)
{
	n_signals++;
	/* What raise(), kill() and setitimer() send. */
	if (info->si_code != SI_TKILL && info->si_code != SI_USER && info->si_code != SI_KERNEL)
		n_foreign++;
}

static void handle(int number, int flags)
{
	struct sigaction action = { .sa_sigaction = on_prof, .sa_flags = flags | SA_SIGINFO };

	MUST(sigaction(number, &action, NULL) == 0);
}

static int run_default(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		burn(20);
		raise(SIGPROF);
		_exit(1);
	}
	report_child("raise", pid);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(1);
	}
	MUST(kill(pid, SIGPROF) == 0);
	report_child("kill", pid);
	show();
	burn(20);
	raise(SIGPROF);
	return 1;
}

static int run_handler(void)
{
	burn(20);
	handle(SIGPROF, SA_RESTART);
	show();
	raise(SIGPROF);
	burn(50);
	printf("%d signals\n", (int)n_signals);
	printf("signal() gives back %s\n", name_of(signal(SIGPROF, SIG_DFL)));
	burn(50);
	printf("then %s\n", name_of(signal(SIGPROF, SIG_IGN)));
	raise(SIGPROF);
	burn(50);
	printf("then %s\n", name_of(sigset(SIGPROF, SIG_DFL)));
	printf("%d signals, %d foreign\n", (int)n_signals, (int)n_foreign);
	show();
	return 0;
}

/* A profiler of the program's own, with threads that run before and after it. */
static int run_itimer(void)
{
	struct itimerval every_ms = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	volatile int is_over = 0;
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, burner, (void *)&is_over) == 0);
	burn(50);
	for (int round = 0; round < 3; round++) {
		n_signals = 0;
		handle(SIGPROF, SA_RESTART);
		MUST(setitimer(ITIMER_PROF, &every_ms, NULL) == 0);
		while (n_signals < 20)
			burn(1);
		MUST(setitimer(ITIMER_PROF, &never, NULL) == 0);
		signal(SIGPROF, SIG_IGN);
		signal(SIGPROF, SIG_DFL);
		burn(50);
	}
	is_over = 1;
	pthread_join(thread, NULL);
	printf("%d foreign\n", (int)n_foreign);
	return 0;
}

static int run_exec_ignored(void)
{
	signal(SIGPROF, SIG_IGN);
	burn(20);
	execl("/proc/self/exe", "host_sigprof", "show", (char *)NULL);
	return 99;
}

static int run_children_ignored(void)
{
	char *const args[] = { "host_sigprof", "show", NULL };
	char self[512], command[600];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	pid_t pid;

	MUST(n > 0);
	self[n] = '\0';
	snprintf(command, sizeof(command), "'%s' show", self);
	signal(SIGPROF, SIG_IGN);
	burn(20);
	show();
	MUST(posix_spawn(&pid, self, NULL, NULL, args, environ) == 0);
	report_child("spawn", pid);
	pid = vfork();
	if (pid == 0) {
		execv(self, args);
		_exit(1);
	}
	report_child("vfork", pid);
	pid = fork();
	if (pid == 0) {
		burn(5);
		execv(self, args);
		_exit(1);
	}
	report_child("fork", pid);
	MUST(system(command) == 0);
	burn(20);
	show();
	return 0;
}

/* New images by the dozen, each from a process that is busy in three threads. */
static int run_exec_storm(void)
{
	const char *text = getenv("STORM");
	int left = text ? atoi(text) : 40;
	static volatile int is_over;
	char number[12];
	pthread_t thread;

	for (int i = 0; i < 2; i++)
		MUST(pthread_create(&thread, NULL, burner, (void *)&is_over) == 0);
	burn(8);
	execl("/nonexistent/program", "nothing", (char *)NULL);
	burn(2);
	if (left == 0) {
		show();
		_exit(12);
	}
	snprintf(number, sizeof(number), "%d", left - 1);
	setenv("STORM", number, 1);
	execl("/proc/self/exe", "host_sigprof", "exec_storm", (char *)NULL);
	return 99;
}

static volatile int n_waited;

/* One thread waits for all signals there are, by name, and is busy between them. */
static void *waiter(void *unused)
{
	siginfo_t info;
	sigset_t set;
	int number;

	sigfillset(&set);
	for (int i = 0; i < 5; i++) {
		burn(30);
		MUST(sigwait(&set, &number) == 0);
		n_waited++;
		printf("sigwait: %d\n", number);
		burn(30);
		number = sigwaitinfo(&set, &info);
		n_waited++;
		printf("sigwaitinfo: %d\n", number);
	}
	MUST(sigpending(&set) == 0);
	for (number = 1; number < 32; number++)
		if (sigismember(&set, number) == 1)
			printf("%d is pending\n", number);
	return NULL;
}

static int run_sigwait_all(void)
{
	pthread_t thread;
	sigset_t set;

	sigfillset(&set);
	MUST(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
	MUST(pthread_create(&thread, NULL, waiter, NULL) == 0);
	for (int i = 0; i < 10; i++) {
		struct timespec soon = { 0, 5000000 };

		/* Standard signals do not queue: the next one when this was taken. */
		MUST(pthread_kill(thread, SIGUSR1) == 0);
		while (n_waited <= i)
			nanosleep(&soon, NULL);
	}
	MUST(pthread_join(thread, NULL) == 0);
	return 0;
}

#define COUNT_EINTR(text, call)                                        \
	do {                                                           \
		int64_t end = now_ns(CLOCK_MONOTONIC) + 150000000;     \
		int n = 0, n_eintr = 0;                                \
                                                                       \
		for (; n % 16 || now_ns(CLOCK_MONOTONIC) < end; n++) { \
			errno = 0;                                     \
			if ((call) != 0 && errno == EINTR)             \
				n_eintr++;                             \
		}                                                      \
		printf("%s: %d\n", text, n_eintr);                     \
	} while (0)

/* Calls that no signal of the program's interrupts. 150 ms each, and most of it at their entry. */
static int run_eintr_none(void)
{
	struct timespec none = { 0, 0 }, short_time = { 0, 100000 }, past = { 1, 0 };
	struct timeval zero = { 0, 0 }, timeout = { 0, 1000 };
	struct sembuf take = { 0, -1, 0 };
	struct epoll_event event;
	int epoll = epoll_create1(0), ends[2];
	int sems = semget(IPC_PRIVATE, 1, 0600), queue = msgget(IPC_PRIVATE, 0600);
	char text[64];
	sigset_t mask;
	sem_t sem;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sem_init(&sem, 0, 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	timeout.tv_usec = 1;
	MUST(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
	COUNT_EINTR("poll", poll(NULL, 0, n % 2));
	COUNT_EINTR("ppoll", ppoll(NULL, 0, &none, NULL));
	COUNT_EINTR("ppoll, mask", ppoll(NULL, 0, &none, &mask));
	COUNT_EINTR("select", select(0, NULL, NULL, NULL, &zero));
	COUNT_EINTR("pselect", pselect(0, NULL, NULL, NULL, &none, &mask));
	COUNT_EINTR("epoll_wait", epoll_wait(epoll, &event, 1, n % 2));
	COUNT_EINTR("epoll_pwait", epoll_pwait(epoll, &event, 1, n % 2, &mask));
	COUNT_EINTR("nanosleep", nanosleep(&short_time, NULL));
	COUNT_EINTR(
		"clock_nanosleep", (errno = clock_nanosleep(CLOCK_REALTIME, 0, &short_time, NULL)));
	COUNT_EINTR("clock_nanosleep, absolute",
		(errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL)));
	COUNT_EINTR("usleep", usleep(1));
	COUNT_EINTR("thrd_sleep", thrd_sleep(&short_time, NULL) == -1 ? (errno = EINTR) : 0);
	COUNT_EINTR("sem_timedwait", sem_timedwait(&sem, &past));
	COUNT_EINTR("sigtimedwait", sigtimedwait(&mask, NULL, &none));
	COUNT_EINTR("recv", (int)recv(ends[0], text, sizeof(text), 0));
	COUNT_EINTR("read", (int)read(ends[0], text, sizeof(text)));
	COUNT_EINTR("semtimedop", semtimedop(sems, &take, 1, &short_time));
	COUNT_EINTR("msgrcv", (int)msgrcv(queue, text, 8, 0, IPC_NOWAIT));
	semctl(sems, 0, IPC_RMID);
	msgctl(queue, IPC_RMID, NULL);
	return 0;
}

/* Timeouts are neither cut short nor begun anew. */
static int run_timeouts(void)
{
	struct timespec time = { 0, 100000000 }, rest;
	struct timeval timeout = { 0, 100000 };
	volatile int is_over = 0;
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, burner, (void *)&is_over) == 0);
	for (int i = 0; i < 3; i++) {
		int64_t begin = now_ns(CLOCK_MONOTONIC);
		int64_t ns;

		burn(5);
		poll(NULL, 0, 100);
		nanosleep(&time, &rest);
		timeout.tv_usec = 100000;
		select(0, NULL, NULL, NULL, &timeout);
		usleep(100000);
		ns = now_ns(CLOCK_MONOTONIC) - begin;
		if (ns < 400000000)
			printf("%lld ns\n", (long long)ns);
	}
	is_over = 1;
	pthread_join(thread, NULL);
	printf("sleep: %u\n", sleep(1));
	return 0;
}

/* The program's own handlers end its calls, each of them. */
static int run_eintr_own(void)
{
	/* Long enough for a busy machine to get into the call before. */
	struct itimerval soon = { { 0, 0 }, { 0, 10000 } };
	int n_eintr = 0;

	handle(SIGALRM, 0);
	handle(SIGIO, 0);
	for (int i = 0; i < 100; i++) {
		burn(1);
		MUST(setitimer(ITIMER_REAL, &soon, NULL) == 0);
		if (i % 2)
			n_eintr += poll(NULL, 0, 5000) == -1 && errno == EINTR;
		else
			n_eintr +=
				nanosleep(&(struct timespec){ 5, 0 }, NULL) == -1 && errno == EINTR;
	}
	printf("%d of 100\n", n_eintr);
	printf("%d signals\n", (int)n_signals);
	return 0;
}

/* A long function under handlers of the program's that are long themselves, on a stack of their own. */
static void on_alarm(int number)
{
	n_signals++;
	burn(1);
}

static int run_handlers(void)
{
	struct itimerval every = { { 0, 3000 }, { 0, 3000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART };
	stack_t stack = { .ss_size = 65536, .ss_sp = malloc(65536) };

	MUST(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
	MUST(sigaction(SIGALRM, &action, NULL) == 0);
	MUST(setitimer(ITIMER_REAL, &every, NULL) == 0);
	while (n_signals < 60) {
		free(malloc(1000));
		burn(1);
	}
	MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
	printf("60 signals\n");
	return 0;
}

/* A signal of the program's own that waits, among those that are not. */
static int run_pending(void)
{
	sigset_t prof, set;
	int number, n_pending = 0, n_none = 0;

	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	MUST(pthread_sigmask(SIG_BLOCK, &prof, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		burn(5);
		MUST(sigpending(&set) == 0);
		n_none += !sigismember(&set, SIGPROF);
		/* The kernel drops one that is sent while a tick is pending, as it does with any two. */
		for (int k = 0; k < 5 && !sigismember(&set, SIGPROF); k++) {
			raise(SIGPROF);
			MUST(sigpending(&set) == 0);
		}
		burn(5);
		MUST(sigpending(&set) == 0);
		n_pending += sigismember(&set, SIGPROF);
		MUST(sigwait(&prof, &number) == 0 && number == SIGPROF);
	}
	printf("%d none, %d pending\n", n_none, n_pending);
	return 0;
}

static const struct test_case cases[] = {
	{ "show", run_show },
	{ "default", run_default },
	{ "handler", run_handler },
	{ "itimer", run_itimer },
	{ "exec_ignored", run_exec_ignored },
	{ "children_ignored", run_children_ignored },
	{ "exec_storm", run_exec_storm },
	{ "sigwait_all", run_sigwait_all },
	{ "eintr_none", run_eintr_none },
	{ "eintr_own", run_eintr_own },
	{ "timeouts", run_timeouts },
	{ "handlers", run_handlers },
	{ "pending", run_pending },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
