/* SPDX-License-Identifier: MIT */
/* Births and deaths: fork, vfork, exec, spawn, daemon, and each way to end. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>

#include "cases.h"

extern char **environ;

static int run_fork(void)
{
	printf("before fork\n");
	fflush(stdout);
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		MUST(pid >= 0);
		if (pid == 0) {
			printf("child %d\n", i);
			exit(i);
		}
		report_child("child", pid);
	}
	return 0;
}

static int run_fork_nested(void)
{
	int depth = 0;
	pid_t pid = 0;

	while (depth < 6 && (pid = fork()) == 0)
		depth++;
	MUST(pid >= 0);
	if (pid > 0)
		report_child("next", pid);
	printf("depth %d\n", depth);
	return depth;
}

static void *busy(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const volatile int *is_over = arg;

	while (!*is_over) {
		pthread_mutex_lock(&lock);
		free(malloc(100));
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

/* Children of a busy multi-threaded program leave through exit(), as buggy servers do. */
static int run_fork_threads(void)
{
	volatile int is_over = 0;
	pthread_t threads[3];
	int n_good = 0;

	for (int i = 0; i < 3; i++)
		MUST(pthread_create(&threads[i], NULL, busy, (void *)&is_over) == 0);
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();
		int status;

		MUST(pid >= 0);
		if (pid == 0)
			exit(7);
		MUST(waitpid(pid, &status, 0) == pid);
		n_good += WIFEXITED(status) && WEXITSTATUS(status) == 7;
	}
	is_over = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("%d of 40 children ended with 7\n", n_good);
	return 0;
}

static void vfork_once(int is_exec, int code)
{
	char *const args[] = { "true", NULL };
	pid_t pid = vfork();

	if (pid == 0) {
		if (is_exec)
			execv("/bin/true", args);
		_exit(code);
	}
	MUST(pid > 0);
	report_child("vfork", pid);
}

static int run_vfork(void)
{
	for (int i = 0; i < 5; i++)
		vfork_once(i % 2, 40 + i);
	return 0;
}

static char clone_stack[256 << 10] __attribute__((aligned(16)));
static int pipe_ends[2];

/* What a child does must not be taken for what its parent does. */
static int clone_child(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const char *text = arg;

	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
		if (lseek(0, 0, SEEK_CUR) == -2)
			_exit(1);
	}
	return write(pipe_ends[1], text, 1) == 1 ? 21 : 1;
}

static void clone_once(const char *text, int flags)
{
	char byte;
	pid_t pid;

	MUST(pipe(pipe_ends) == 0);
	pid = clone(clone_child, clone_stack + sizeof(clone_stack), flags | SIGCHLD, (void *)text);
	MUST(pid > 0);
	for (int i = 0; i < 1000; i++)
		MUST(getppid() > 0 && lseek(pipe_ends[0], 0, SEEK_CUR) < 0);
	MUST(read(pipe_ends[0], &byte, 1) == 1 && byte == text[0]);
	report_child(text, pid);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

static int run_clone(void)
{
	clone_once("fork", 0);
	clone_once("files shared", CLONE_FILES);
	clone_once("as vfork", CLONE_VM | CLONE_VFORK);
	clone_once("memory shared", CLONE_VM);
	clone_once("fork once more", 0);
	MUST(clone(NULL, clone_stack + sizeof(clone_stack), 0, NULL) < 0);
	printf("no function: %s\n", strerror(errno));
	return 0;
}

static int run_exec(void)
{
	printf("before exec\n");
	fflush(stdout);
	execl("/bin/sh", "sh", "-c", "echo after exec; exit 5", (char *)NULL);
	return 99;
}

static int run_exec_failed(void)
{
	char *const args[] = { "nothing", NULL };

	execv("/nonexistent/program", args);
	printf("execv: %s\n", strerror(errno));
	execvp("no-such-program-anywhere", args);
	printf("execvp: %s\n", strerror(errno));
	return 0;
}

static int run_exec_empty_environment(void)
{
	char *const args[] = { "sh", "-c", "echo \"preload=$LD_PRELOAD\"; exit 6", NULL };
	char *const none[] = { NULL };

	execve("/bin/sh", args, none);
	return 99;
}

static int run_spawn(void)
{
	char *const args[] = { "sh", "-c", "echo spawned; exit 3", NULL };
	pid_t pid;

	MUST(posix_spawn(&pid, "/bin/sh", NULL, NULL, args, environ) == 0);
	report_child("spawn", pid);
	MUST(posix_spawnp(&pid, "sh", NULL, NULL, args, environ) == 0);
	report_child("spawnp", pid);
	printf("missing: %s\n", strerror(posix_spawn(&pid, "/nowhere", NULL, NULL, args, environ)));
	return 0;
}

static int run_system_popen(void)
{
	char line[64];
	FILE *pipe;
	int status;

	fflush(stdout);
	status = system("echo from system; exit 4");
	printf("system: %d\n", WEXITSTATUS(status));
	pipe = popen("echo from popen; exit 9", "r");
	MUST(pipe && fgets(line, sizeof(line), pipe));
	status = pclose(pipe);
	printf("popen: %s%d\n", line, WEXITSTATUS(status));
	return 0;
}

/* The daemon reports through a pipe, which its starter reads to the end. */
static int run_daemon(void)
{
	char text[64] = "";
	int ends[2];
	pid_t pid;

	MUST(pipe(ends) == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		const char *answer;

		close(ends[0]);
		MUST(daemon(0, 0) == 0);
		answer = getppid() != 0 && open("/dev/null", O_RDONLY) >= 0 ? "daemon runs" : "?";
		if (write(ends[1], answer, strlen(answer)) < 0)
			_exit(1);
		_exit(0);
	}
	close(ends[1]);
	report_child("starter", pid);
	MUST(read(ends[0], text, sizeof(text) - 1) > 0);
	printf("%s\n", text);
	return 0;
}

static void say_at_exit(void)
{
	printf("atexit runs\n");
}

static int run_exit(void)
{
	atexit(say_at_exit);
	printf("exit with 17\n");
	exit(17);
}

static int run_quick_exit(void)
{
	atexit(say_at_exit);
	write(1, "_exit with 18\n", 14);
	_exit(18);
}

static void no_core(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	fflush(stdout);
}

static int run_abort(void)
{
	printf("abort\n");
	no_core();
	abort();
}

static int run_segv(void)
{
	printf("raise SIGSEGV\n");
	no_core();
	raise(SIGSEGV);
	return 0;
}

static int run_kill_self(void)
{
	printf("kill -9\n");
	fflush(stdout);
	kill(getpid(), SIGKILL);
	pause();
	return 0;
}

static int run_sigterm_self(void)
{
	printf("kill -TERM\n");
	fflush(stdout);
	raise(SIGTERM);
	return 0;
}

static void *exit_from_thread(void *arg)
{
	printf("exit from a thread\n");
	exit(21);
}

static int run_exit_thread(void)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, exit_from_thread, NULL) == 0);
	pause();
	return 0;
}

/* The first thread leaves; the process ends with the last one. */
static void *last_thread(void *arg)
{
	pthread_join(*(pthread_t *)arg, NULL);
	printf("main thread is gone\n");
	return NULL;
}

static int run_main_pthread_exit(void)
{
	static pthread_t self;
	pthread_t thread;

	self = pthread_self();
	MUST(pthread_create(&thread, NULL, last_thread, &self) == 0);
	pthread_exit(NULL);
}

static const struct test_case cases[] = {
	{ "fork", run_fork },
	{ "fork_nested", run_fork_nested },
	{ "fork_threads", run_fork_threads },
	{ "vfork", run_vfork },
	{ "clone", run_clone },
	{ "exec", run_exec },
	{ "exec_failed", run_exec_failed },
	{ "exec_empty_environment", run_exec_empty_environment },
	{ "spawn", run_spawn },
	{ "system_popen", run_system_popen },
	{ "daemon", run_daemon },
	{ "exit", run_exit },
	{ "quick_exit", run_quick_exit },
	{ "abort", run_abort },
	{ "segv", run_segv },
	{ "kill_self", run_kill_self },
	{ "sigterm_self", run_sigterm_self },
	{ "exit_thread", run_exit_thread },
	{ "main_pthread_exit", run_main_pthread_exit },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
