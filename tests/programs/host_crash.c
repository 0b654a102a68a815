/* SPDX-License-Identifier: MIT */
/*
 * Programs that die of a signal, or handle it: what a parent sees, what the program sees of its own dispositions. `die HOW` is
 * one crash in the program itself, for those who look at its record.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "host_crash.h"

const int fatal_signals[N_FATAL] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };

/* ---- Every signal, every disposition, every way to come by it ---- */
static const char *const ways[] = { "fault", "raise", "thread", "kill", "queue" };
static const char *const dispositions[] = { "default", "handler", "once", "ignored", "blocked" };
enum { FAULT, RAISE, THREAD, KILL, QUEUE, N_WAYS };
enum { DEFAULT, HANDLER, ONCE, IGNORED, BLOCKED, N_DISPOSITIONS };

void say(const char *text)
{
	write(1, text, strlen(text));
}

static void on_signal_end(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	say(info->si_code > 0 ? "  handler: a fault\n" : "  handler: sent\n");
	_exit(33);
}

void on_signal(int number)
{
	(void)number;
	say("  handler\n");
}

static void dispose(int number, int how)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	sigset_t set;

	switch (how) {
	case HANDLER:
		action.sa_sigaction = on_signal_end;
		MUST(sigaction(number, &action, NULL) == 0);
		break;
	case ONCE:
		action.sa_handler = on_signal;
		action.sa_flags = SA_RESETHAND;
		MUST(sigaction(number, &action, NULL) == 0);
		break;
	case IGNORED:
		MUST(signal(number, SIG_IGN) == SIG_DFL);
		break;
	case BLOCKED:
		sigemptyset(&set);
		sigaddset(&set, number);
		MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
		break;
	default:
		break;
	}
}

static void *fault_in_thread(void *number)
{
	fault((int)(intptr_t)number);
	return NULL;
}

static void come_by(int number, int way)
{
	union sigval value = { .sival_int = 5 };
	pthread_t thread;

	switch (way) {
	case FAULT:
		fault(number);
		break;
	case RAISE:
		raise(number);
		break;
	case THREAD:
		MUST(pthread_create(&thread, NULL, fault_in_thread, (void *)(intptr_t)number) == 0);
		pthread_join(thread, NULL);
		break;
	case KILL:
		kill(getpid(), number);
		break;
	default:
		sigqueue(getpid(), number, value);
		break;
	}
}

void report(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid);
	printf("  status %x%s\n", (unsigned)status, WCOREDUMP(status) ? ", core" : "");
	fflush(stdout);
}

static int run_matrix(const int *numbers, size_t n)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	for (size_t i = 0; i < n; i++)
		for (int how = 0; how < N_DISPOSITIONS; how++)
			for (int way = 0; way < N_WAYS; way++) {
				pid_t pid;

				/* A handler that returns from a fault that goes on is one without end. */
				printf("%d, %s, %s\n", numbers[i], dispositions[how], ways[way]);
				fflush(stdout);
				pid = fork();
				MUST(pid >= 0);
				if (pid == 0) {
					alarm(20);
					dispose(numbers[i], how);
					come_by(numbers[i], way);
					_exit(44);
				}
				report(pid);
			}
	return 0;
}

static int run_matrix_memory(void)
{
	return run_matrix(fatal_signals, 2);
}

static int run_matrix_code(void)
{
	return run_matrix(fatal_signals + 2, 3);
}

static int run_matrix_calls(void)
{
	return run_matrix(fatal_signals + 5, 2);
}

/* ---- Faults of other kinds ---- */
void in_child(const char *what, void (*act)(void))
{
	pid_t pid;

	printf("%s\n", what);
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		alarm(20);
		act();
		_exit(44);
	}
	report(pid);
}

static int run_others(void)
{
	struct rlimit none = { 0, 0 }, stack = { 1 << 20, RLIM_INFINITY };

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_STACK, &stack);
	in_child("a call of NULL", act_jump);
	in_child("a call of data", act_data);
	in_child("stack overflow", act_deep);
	in_child("stack overflow of a thread", act_deep_thread);
	in_child("stack overflow, alternate stack", act_deep_on_stack);
	in_child("no such address", act_wild);
	in_child("a broken stack pointer", act_lost);
	in_child("eight threads", act_together);
	return 0;
}

/* With a core, which the kernel puts into this folder. */
static int run_cores(void)
{
	struct rlimit much = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_CORE, &much) < 0)
		printf("no cores here\n");
	in_child("fault", act_wild);
	in_child("abort", crash_abort);
	in_child("trap", crash_trap);
	return 0;
}

/* What waitid() says. */
static int run_waitid(void)
{
	for (size_t i = 0; i < N_FATAL; i++) {
		siginfo_t info = { 0 };
		pid_t pid = fork();

		MUST(pid >= 0);
		if (pid == 0) {
			struct rlimit none = { 0, 0 };

			setrlimit(RLIMIT_CORE, &none);
			fault(fatal_signals[i]);
			_exit(44);
		}
		MUST(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0);
		printf("code %d, status %d\n", info.si_code, info.si_status);
	}
	return 0;
}

static const struct test_case cases[] = {
	{ "matrix_memory", run_matrix_memory },
	{ "matrix_code", run_matrix_code },
	{ "matrix_calls", run_matrix_calls },
	{ "others", run_others },
	{ "cores", run_cores },
	{ "waitid", run_waitid },
	{ "dispositions", run_dispositions },
	{ "children", run_children },
	{ "vfork", run_vfork },
	{ "ends", run_ends },
};

/* `die HOW`, in the program itself: a thread that works and one that waits besides. */
static void *work(void *unused)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
	return unused;
}

static void *await(void *unused)
{
	pause();
	return unused;
}

static int die(const char *how)
{
	static const struct {
		const char *name;
		void (*act)(void);
	} acts[] = {
		{ "jump", act_jump },
		{ "data", act_data },
		{ "deep", act_deep },
		{ "deep_on_stack", act_deep_on_stack },
		{ "wild", act_wild },
		{ "lost", act_lost },
		{ "abort", crash_abort },
		{ "bus", crash_bus },
		{ "fpe", crash_fpe },
		{ "ill", crash_ill },
		{ "trap", crash_trap },
		{ "sys", crash_sys },
	};
	struct timespec used = { 0, 0 };
	pthread_t thread, worker;
	clockid_t clock;

	end_by(how);
	if (strcmp(how, "return") == 0)
		return 9;
	MUST(pthread_create(&worker, NULL, work, NULL) == 0);
	MUST(pthread_create(&thread, NULL, await, NULL) == 0);
	/* Some samples of the CPU long, at any rate from 10 on. */
	MUST(pthread_getcpuclockid(worker, &clock) == 0);
	while (used.tv_sec == 0 && used.tv_nsec < 200000000) {
		usleep(10000);
		clock_gettime(clock, &used);
	}
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (strcmp(how, acts[i].name) == 0)
			acts[i].act();
	if (strcmp(how, "kill") == 0)
		kill(getpid(), SIGSEGV);
	if (strcmp(how, "segv") == 0)
		crash_segv();
	fprintf(stderr, "no such end: %s\n", how);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "die") == 0)
		return die(argv[2]);
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
