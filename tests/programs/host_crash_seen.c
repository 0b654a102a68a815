/* SPDX-License-Identifier: MIT */
/* What the program sees of its own dispositions, and what its children get of them. */
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>

#include "host_crash.h"

extern char **environ;
typedef void (*handler_fn)(int);
int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
handler_fn __sysv_signal(int number, handler_fn handler);
handler_fn sysv_signal(int number, handler_fn handler);
handler_fn bsd_signal(int number, handler_fn handler);

static const char *name_of(handler_fn handler)
{
	return handler == SIG_DFL     ? "default"
	       : handler == SIG_IGN   ? "ignored"
	       : handler == SIG_ERR   ? "error"
	       : handler == SIG_HOLD  ? "hold"
	       : handler == on_signal ? "own"
				      : "a handler";
}

static void show(int number)
{
	struct sigaction action;
	int n_masked = 0;

	MUST(sigaction(number, NULL, &action) == 0);
	for (int i = 1; i < 65; i++)
		n_masked += sigismember(&action.sa_mask, i) == 1;
	printf("  %d: %s, flags %x, %d masked\n", number, name_of(action.sa_handler),
		(unsigned)action.sa_flags, n_masked);
}

static void by_function(int number, const char *name, handler_fn (*function)(int, handler_fn))
{
	printf("%s\n", name);
	show(number);
	printf("  was %s\n", name_of(function(number, on_signal)));
	show(number);
	printf("  was %s\n", name_of(function(number, SIG_DFL)));
	show(number);
	printf("  was %s\n", name_of(function(number, SIG_DFL)));
	show(number);
	printf("  was %s\n", name_of(function(number, SIG_IGN)));
	show(number);
	printf("  was %s\n", name_of(function(number, SIG_DFL)));
	show(number);
}

int run_dispositions(void)
{
	struct sigaction own = { .sa_handler = on_signal, .sa_flags = SA_NODEFER }, old;
	stack_t stack;
	sigset_t set;

	for (size_t i = 0; i < N_FATAL; i++) {
		int number = fatal_signals[i];

		by_function(number, "signal", signal);
		by_function(number, "bsd_signal", bsd_signal);
		by_function(number, "ssignal", ssignal);
		by_function(number, "sysv_signal", sysv_signal);
		by_function(number, "__sysv_signal", __sysv_signal);
		by_function(number, "sigset", sigset);
		printf("hold: was %s\n", name_of(sigset(number, SIG_HOLD)));
		show(number);
		MUST(sigpending(&set) == 0 && sigprocmask(SIG_BLOCK, NULL, &set) == 0);
		printf("  blocked %d\n", sigismember(&set, number));
		printf("release: was %s\n", name_of(sigset(number, SIG_DFL)));
		MUST(sigprocmask(SIG_BLOCK, NULL, &set) == 0);
		printf("  blocked %d\n", sigismember(&set, number));
		sigaddset(&own.sa_mask, SIGUSR1);
		MUST(__sigaction(number, &own, &old) == 0);
		printf("__sigaction: was %s, %x\n", name_of(old.sa_handler),
			(unsigned)old.sa_flags);
		show(number);
		MUST(sigaction(number, &old, &own) == 0);
		printf("sigaction: was %s, %x\n", name_of(own.sa_handler), (unsigned)own.sa_flags);
		show(number);
		MUST(siginterrupt(number, 1) == 0);
		show(number);
		MUST(siginterrupt(number, 0) == 0);
		show(number);
		MUST(sigignore(number) == 0);
		show(number);
		MUST(signal(number, SIG_DFL) == SIG_IGN);
		own.sa_handler = on_signal;
	}
	printf("bad: %s\n", name_of(signal(SIGKILL, on_signal)));
	MUST(sigaltstack(NULL, &stack) == 0);
	printf("alternate stack: %x, %zu\n", (unsigned)stack.ss_flags, stack.ss_size);
	MUST(sigprocmask(SIG_BLOCK, NULL, &set) == 0);
	for (int i = 1; i < 65; i++)
		if (sigismember(&set, i))
			printf("%d is blocked\n", i);
	return 0;
}

/* What a new image is given: its blocked and ignored signals, 1 to 32; libc uses those after it. */
static const char look[] = "sed -nE 's/^(Sig(Blk|Ign)).*(.{8})$/\\1 \\3/p' /proc/self/status";

int run_children(void)
{
	char *argv[] = { "sh", "-c", (char *)look, NULL };
	sigset_t set;
	pid_t pid;

	signal(SIGABRT, SIG_IGN);
	signal(SIGFPE, on_signal);
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	MUST(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0);
	report_child("spawned", pid);
	fflush(stdout);
	pid = vfork();
	if (pid == 0) {
		execv("/bin/sh", argv);
		_exit(127);
	}
	report_child("vforked", pid);
	pid = fork();
	if (pid == 0) {
		execv("/bin/sh", argv);
		_exit(127);
	}
	report_child("forked", pid);
	return 0;
}

/* A child on its parent's memory: what it sets is its own, and it dies alone. */
int run_vfork(void)
{
	struct rlimit none = { 0, 0 };
	pid_t pid;

	setrlimit(RLIMIT_CORE, &none);
	pid = vfork();
	if (pid == 0)
		abort();
	report(pid);
	pid = vfork();
	if (pid == 0) {
		crash_segv();
		_exit(44);
	}
	report(pid);
	pid = vfork();
	if (pid == 0)
		_exit(signal(SIGSEGV, SIG_IGN) == SIG_DFL ? 5 : 6);
	report(pid);
	show(SIGSEGV);
	pid = fork();
	if (pid == 0)
		crash_segv();
	report(pid);
	return 0;
}
