/* SPDX-License-Identifier: MIT */
/*
 * Programs that die of a signal, or handle it: what a parent sees, what the program sees of its own dispositions. `die HOW` is
 * one crash in the program itself, for those who look at its record.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "cases.h"

extern char **environ;
typedef void (*handler_fn)(int);
int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
handler_fn __sysv_signal(int number, handler_fn handler);
handler_fn sysv_signal(int number, handler_fn handler);
handler_fn bsd_signal(int number, handler_fn handler);

static const int all[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
#define N_ALL (sizeof(all) / sizeof(all[0]))

static volatile int zero;
static void (*volatile nowhere)(void);

/* Faults that the processor or the kernel raises. Noinline: their names are looked for in crash records. */
static __attribute__((noinline)) int crash_segv(void)
{
	return *(volatile int *)(uintptr_t)(16 + zero);
}

static __attribute__((noinline)) void crash_bus(void)
{
	char path[] = "/tmp/flightrec-bus-XXXXXX";
	int fd = mkstemp(path);
	volatile char *map;

	MUST(fd >= 0 && unlink(path) == 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	MUST(map != MAP_FAILED);
	zero = map[5];
}

static __attribute__((noinline)) void crash_fpe(void)
{
#ifdef __x86_64__
	zero = 7 / zero;
#else
	raise(SIGFPE);
#endif
}

static __attribute__((noinline)) void crash_ill(void)
{
#ifdef __x86_64__
	__asm__ volatile("ud2");
#else
	__asm__ volatile("udf #0");
#endif
}

static __attribute__((noinline)) void crash_trap(void)
{
#ifdef __x86_64__
	__asm__ volatile("int3");
#else
	__asm__ volatile("brk #0");
#endif
}

/* A filter that turns one system call into SIGSYS. */
static __attribute__((noinline)) void crash_sys(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	syscall(SYS_getpriority, 0, 0);
}

static __attribute__((noinline)) void crash_abort(void)
{
	abort();
}

static __attribute__((noinline)) void crash_jump(void)
{
	nowhere();
	zero = 1;
}

static __attribute__((noinline)) int crash_deep(int n)
{
	volatile char frame[500];

	frame[n % 500] = 1;
	return n < 1 << 28 ? crash_deep(n + 1) + frame[n % 500] : 0;
}

/* An address that no page table can have: the kernel has no fault address to tell. */
static __attribute__((noinline)) int crash_wild(void)
{
	return *(volatile int *)(uintptr_t)(0x4242424242424242ull + (unsigned)zero);
}

static void fault(int number)
{
	switch (number) {
	case SIGSEGV:
		crash_segv();
		break;
	case SIGBUS:
		crash_bus();
		break;
	case SIGFPE:
		crash_fpe();
		break;
	case SIGILL:
		crash_ill();
		break;
	case SIGTRAP:
		crash_trap();
		break;
	case SIGSYS:
		crash_sys();
		break;
	default:
		crash_abort();
		break;
	}
}

/* ---- Every signal, every disposition, every way to come by it ---- */
static const char *const ways[] = { "fault", "raise", "thread", "kill", "queue" };
static const char *const dispositions[] = { "default", "handler", "once", "ignored", "blocked" };
enum { FAULT, RAISE, THREAD, KILL, QUEUE, N_WAYS };
enum { DEFAULT, HANDLER, ONCE, IGNORED, BLOCKED, N_DISPOSITIONS };

static void say(const char *text)
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

static void on_signal(int number)
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

static void report(pid_t pid)
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
	return run_matrix(all, 2);
}

static int run_matrix_code(void)
{
	return run_matrix(all + 2, 3);
}

static int run_matrix_calls(void)
{
	return run_matrix(all + 5, 2);
}

/* ---- Faults of other kinds ---- */
static void in_child(const char *what, void (*act)(void))
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

static void act_jump(void)
{
	crash_jump();
}

static void act_deep(void)
{
	crash_deep(0);
}

static void *deep_thread(void *unused)
{
	crash_deep(0);
	return unused;
}

static void act_deep_thread(void)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, deep_thread, NULL) == 0);
	pthread_join(thread, NULL);
}

static void act_deep_on_stack(void)
{
	stack_t stack = { .ss_size = 65536, .ss_sp = malloc(65536) };

	MUST(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
	crash_deep(0);
}

static void act_wild(void)
{
	crash_wild();
}

static void act_data(void)
{
	static char code[4096];

	nowhere = (void (*)(void))(uintptr_t)(code + 64);
	crash_jump();
}

/* sp and everything else point nowhere. */
static void act_lost(void)
{
#ifdef __x86_64__
	__asm__ volatile("mov $0x1000, %rsp; xor %ebp, %ebp; call *%rbp");
#else
	crash_segv();
#endif
}

static void *crash_after(void *moment)
{
	while (!__atomic_load_n((int *)moment, __ATOMIC_RELAXED))
		;
	crash_segv();
	return NULL;
}

/* Many at once. */
static void act_together(void)
{
	static int moment;
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		MUST(pthread_create(&threads[i], NULL, crash_after, &moment) == 0);
	__atomic_store_n(&moment, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
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
	for (size_t i = 0; i < N_ALL; i++) {
		siginfo_t info = { 0 };
		pid_t pid = fork();

		MUST(pid >= 0);
		if (pid == 0) {
			struct rlimit none = { 0, 0 };

			setrlimit(RLIMIT_CORE, &none);
			fault(all[i]);
			_exit(44);
		}
		MUST(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0);
		printf("code %d, status %d\n", info.si_code, info.si_status);
	}
	return 0;
}

/* ---- What the program sees of its own dispositions ---- */
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

static int run_dispositions(void)
{
	struct sigaction own = { .sa_handler = on_signal, .sa_flags = SA_NODEFER }, old;
	stack_t stack;
	sigset_t set;

	for (size_t i = 0; i < N_ALL; i++) {
		int number = all[i];

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

static int run_children(void)
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
static int run_vfork(void)
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

/* ---- Ways to end ---- */
static void on_exit_status(int status, void *text)
{
	say(text);
	if (status != 7)
		say("  another status\n");
}

static void on_atexit(void)
{
	say("  atexit\n");
}

static __attribute__((destructor)) void on_destruction(void)
{
	if (getenv("SAY_DESTRUCTOR"))
		say("  destructor\n");
}

static void *exit_last(void *unused)
{
	usleep(10000);
	return unused;
}

static int end_how;

static void end(void)
{
	pthread_t thread;

	setenv("SAY_DESTRUCTOR", "1", 1);
	MUST(on_exit(on_exit_status, (void *)"  on_exit\n") == 0);
	MUST(atexit(on_atexit) == 0);
	MUST(at_quick_exit(on_atexit) == 0);
	switch (end_how) {
	case 0:
		exit(7);
	case 1:
		_exit(7);
	case 2:
		_Exit(7);
	case 3:
		quick_exit(7);
	case 4:
		syscall(SYS_exit_group, 7);
		break;
	case 5:
		exit(7 + 256);
	default:
		MUST(pthread_create(&thread, NULL, exit_last, NULL) == 0);
		pthread_exit(NULL);
	}
}

static int run_ends(void)
{
	for (end_how = 0; end_how < 7; end_how++)
		in_child("an end", end);
	return 7;
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
		zero = 0;
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

	for (end_how = 0; end_how < 7; end_how++) {
		static const char *const ends[] = { "exit", "_exit", "_Exit", "quick_exit",
			"exit_group", "exit_more", "last_thread" };

		if (strcmp(how, ends[end_how]) == 0)
			end();
	}
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
