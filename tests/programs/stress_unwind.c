/* SPDX-License-Identifier: MIT */
/*
 * stress_unwind SECONDS PLUGIN-A PLUGIN-B [TASK TO LEAVE OUT]…: threads that do, over and over, what is hard on a stack walk: objects
 * loaded and unloaded at reused addresses, by dlopen and by iconv; exceptions; forks; cancelled threads;
 * longjmp, out of signal handlers, too; coroutines on stacks that come and go; signals on alternate stacks; and
 * an exit() while all of it goes on. Prints what each thread got done; exit 1 when one got nothing done.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "stress_unwind.h"

#define TASKS(X)    \
	X(load)     \
	X(convert)  \
	X(throw_up) \
	X(fork_off) X(cancel) X(jump) X(jump_from_handler) X(switch_stacks) X(come_and_go)

enum task {
#define TASK_X(name) TASK_##name,
	TASKS(TASK_X)
#undef TASK_X
		N_TASKS,
};

static const char *plugins[2];
static int scratch_fd; /* a file for the plugins */
static int null_fd, empty_pipe[2];
static unsigned long done[N_TASKS];
static volatile sig_atomic_t is_over;

static void count(enum task task)
{
	__atomic_fetch_add(&done[task], 1, __ATOMIC_RELAXED);
}

static void fail(const char *what)
{
	fprintf(stderr, "stress_unwind: %s: %s\n", what, strerror(errno));
	_exit(2);
}

static void use_plugin(const char *path, int depth)
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	long (*entry)(int, int);

	if (!object) {
		fprintf(stderr, "stress_unwind: %s\n", dlerror());
		_exit(2);
	}
	*(void **)&entry = dlsym(object, "stress_entry");
	entry(scratch_fd, depth);
	dlclose(object);
}

static void *load(void *argument)
{
	for (unsigned i = 0; !is_over; i++) {
		use_plugin(plugins[i % 2], (int)(i % 7));
		count(TASK_load);
	}
	return argument;
}

static void *convert(void *argument)
{
	static const char *const names[] = { "UTF-16", "EUC-JP", "ISO-8859-15", "KOI8-R", "BIG5",
		"SHIFT_JIS", "CP1250", "UTF-7" };

	for (unsigned i = 0; !is_over; i++) {
		char in[] = "some text", out[128], *from = in, *to = out;
		size_t n_in = sizeof(in), n_out = sizeof(out);
		iconv_t how = iconv_open(names[i % 8], "UTF-8");

		if (how == (iconv_t)-1)
			continue;
		iconv(how, &from, &n_in, &to, &n_out);
		if (write(null_fd, out, sizeof(out) - n_out) < 0)
			fail("write");
		iconv_close(how);
		count(TASK_convert);
	}
	return argument;
}

static void *throw_up(void *argument)
{
	for (int i = 0; !is_over; i++)
		if (stress_throw(null_fd, i % 12))
			count(TASK_throw_up);
	return argument;
}

static void *fork_off(void *argument)
{
	for (unsigned i = 0; !is_over; i++) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			if (i % 2)
				execl("/bin/true", "true", (char *)NULL);
			_exit(write(null_fd, "c", 1) != 1);
		}
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			fprintf(stderr, "stress_unwind: a child ended with status %x\n",
				(unsigned)status);
			_exit(3);
		}
		count(TASK_fork_off);
		usleep(20000);
	}
	return argument;
}

/*
 * Ticks while a thread's destructors run are a test of their own, which STRESS_TICKS_AT_EXIT=1 asks for: there
 * they meet code of other libraries that is not made for handlers.
 */
static void end_ticks(void)
{
	sigset_t set;

	if (getenv("STRESS_TICKS_AT_EXIT"))
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void clean_up(void *argument)
{
	end_ticks();
	if (write(null_fd, argument, 1) < 0)
		fail("write");
}

static void *wait_forever(void *argument)
{
	char byte;

	pthread_cleanup_push(clean_up, "x");
	for (;;)
		if (read(empty_pipe[0], &byte, 1) < 0 && errno != EINTR)
			break;
	pthread_cleanup_pop(1);
	return argument;
}

static void *cancel(void *argument)
{
	while (!is_over) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, wait_forever, NULL) != 0)
			fail("pthread_create");
		usleep(done[TASK_cancel] % 3 * 100);
		pthread_cancel(thread);
		pthread_join(thread, NULL);
		count(TASK_cancel);
	}
	return argument;
}

static void descend(jmp_buf *back, int depth)
{
	volatile char room[200];

	room[depth] = 1;
	if (write(null_fd, (const void *)room, 1) < 0)
		fail("write");
	if (depth < 0)
		return;
	if (depth == 0)
		longjmp(*back, 1);
	descend(back, depth - 1);
	room[0] = 2;
}

static void *jump(void *argument)
{
	jmp_buf back;

	for (volatile int i = 0; !is_over; i++) {
		if (setjmp(back) == 0)
			descend(&back, i % 20);
		count(TASK_jump);
	}
	return argument;
}

static __thread sigjmp_buf handler_back;
static __thread volatile sig_atomic_t may_jump;
static pthread_t jumper;

static void on_usr1(int signal)
{
	if (may_jump) {
		may_jump = 0;
		siglongjmp(handler_back, 1);
	}
}

static void *jump_from_handler(void *argument)
{
	char byte;

	while (!is_over) {
		if (sigsetjmp(handler_back, 1) == 0) {
			may_jump = 1;
			if (read(empty_pipe[0], &byte, 1) < 0 && errno != EINTR)
				fail("read");
		}
		may_jump = 0;
		count(TASK_jump_from_handler);
	}
	return argument;
}

/* Runs on every tick, wherever a thread is, half of the time on an alternate stack. */
static void on_tick(int signal)
{
	int saved_errno = errno;

	if (write(null_fd, "t", 1) < 0)
		_exit(4);
	errno = saved_errno;
}

static __thread ucontext_t home, away;

static void coroutine(void)
{
	for (int i = 0; i < 3; i++) {
		if (write(null_fd, "s", 1) < 0)
			fail("write");
		swapcontext(&away, &home);
	}
}

static void *switch_stacks(void *argument)
{
	const size_t size = 64u << 10;

	while (!is_over) {
		char *stack = mmap(
			NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (stack == MAP_FAILED)
			fail("mmap");
		getcontext(&away);
		away.uc_stack.ss_sp = stack;
		away.uc_stack.ss_size = size;
		away.uc_link = &home;
		makecontext(&away, coroutine, 0);
		for (int i = 0; i < 4; i++)
			swapcontext(&home, &away);
		munmap(stack, size);
		count(TASK_switch_stacks);
	}
	return argument;
}

static void *short_life(void *argument)
{
	stack_t alternate = { .ss_sp = malloc(64u << 10), .ss_size = 64u << 10 };

	if (!alternate.ss_sp || sigaltstack(&alternate, NULL) != 0)
		fail("sigaltstack");
	use_plugin(plugins[0], 1);
	if (write(null_fd, "l", 1) < 0)
		fail("write");
	alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
	free(alternate.ss_sp);
	end_ticks();
	pthread_exit(argument);
}

static void *come_and_go(void *argument)
{
	while (!is_over) {
		pthread_t threads[4];

		for (int i = 0; i < 4; i++)
			if (pthread_create(&threads[i], NULL, short_life, NULL) != 0)
				fail("pthread_create");
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		count(TASK_come_and_go);
	}
	return argument;
}

static struct {
	const char *name;
	void *(*run)(void *);
	bool is_left_out;
} tasks[N_TASKS] = {
#define TASK_X(name) { #name, name, false },
	TASKS(TASK_X)
#undef TASK_X
};

/* Interrupts the thread that jumps, and every now and then waits. */
static void run_for(unsigned seconds)
{
	time_t end = time(NULL) + (time_t)seconds;

	while (time(NULL) < end) {
		for (int i = 0; i < 50; i++) {
			if (!tasks[TASK_jump_from_handler].is_left_out)
				pthread_kill(jumper, SIGUSR1);
			usleep(1000);
		}
	}
}

int main(int argc, char **argv)
{
	struct sigaction tick = { .sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK };
	struct sigaction usr1 = { .sa_handler = on_usr1 };
	struct itimerspec period = { { 0, 500000 }, { 0, 500000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF };
	char name[] = "/tmp/stress_unwind.XXXXXX";
	bool is_idle = false;
	timer_t timer;

	if (argc < 4) {
		fprintf(stderr,
			"usage: stress_unwind SECONDS PLUGIN-A PLUGIN-B [TASK TO LEAVE OUT]...\n");
		return 2;
	}
	plugins[0] = argv[2];
	plugins[1] = argv[3];
	scratch_fd = mkstemp(name);
	null_fd = open("/dev/null", O_WRONLY);
	if (scratch_fd < 0 || null_fd < 0 || pipe(empty_pipe) != 0 ||
		write(scratch_fd, "12345678", 8) != 8)
		fail("setting up");
	unlink(name);
	sigaction(SIGPROF, &tick, NULL);
	sigaction(SIGUSR1, &usr1, NULL);
	if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0)
		timer_settime(timer, 0, &period, NULL);
	for (int i = 0; i < N_TASKS; i++) {
		pthread_t thread;

		for (int k = 4; k < argc; k++)
			tasks[i].is_left_out |= strcmp(argv[k], tasks[i].name) == 0;
		if (tasks[i].is_left_out)
			continue;
		if (pthread_create(&thread, NULL, tasks[i].run, NULL) != 0)
			fail("pthread_create");
		if (i == TASK_jump_from_handler)
			jumper = thread;
	}
	run_for((unsigned)atoi(argv[1]));
	for (int i = 0; i < N_TASKS; i++) {
		printf("%-18s %lu\n", tasks[i].name, done[i]);
		is_idle |= done[i] == 0 && !tasks[i].is_left_out;
	}
	/* The threads go on: exit() runs beside them. */
	exit(is_idle);
}
