/* SPDX-License-Identifier: MIT */
/*
 * trace-record must not be noticed: the program keeps the descriptors, signal mask, dispositions, process
 * group and umask that trace-record itself was given.
 */
#include "recorder/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static void note_descriptors(struct inherited *inherited)
{
	GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		int flags = fcntl(fd, F_GETFD);

		if (entry->d_name[0] != '.' && fd != dirfd(dir) && flags >= 0 &&
			!(flags & FD_CLOEXEC))
			g_array_append_val(fds, fd);
	}
	if (dir)
		closedir(dir);
	g_array_sort(fds, compare_ints);
	inherited->n_fds = (int)fds->len;
	inherited->fds = (int *)(void *)g_array_free(fds, FALSE);
}

void process_inherit(struct inherited *inherited_out)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, reset = { .sa_handler = SIG_DFL };
	struct rlimit files;
	sigset_t all;

	note_descriptors(inherited_out);
	getrlimit(RLIMIT_NOFILE, &inherited_out->files);
	files = inherited_out->files;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	sigaction(SIGPIPE, &ignore, &inherited_out->on_pipe);
	sigaction(SIGCHLD, &reset, &inherited_out->on_child);
	sigfillset(&all);
	/* A fault of our own must end us, not hang us. */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	sigprocmask(SIG_SETMASK, &all, &inherited_out->mask);
}

/* Marks every descriptor that we opened, whoever forgot O_CLOEXEC. Async-signal-safe. */
static void close_own_descriptors(const struct inherited *inherited)
{
	unsigned first = 0;

	for (int i = 0; i < inherited->n_fds; i++) {
		unsigned fd = (unsigned)inherited->fds[i];

		if (fd > first)
			close_range(first, fd - 1, CLOSE_RANGE_CLOEXEC);
		first = fd + 1;
	}
	close_range(first, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

/* What the child needs; all borrowed. */
struct start {
	const struct inherited *inherited;
	const char *path;
	char *const *argv, *const *envp, *const *shell_argv;
	int error_fds[2]; /* pipe: the errno of exec(), or nothing */
	int go_fds[2];	  /* pipe: a byte, or the parent's death, lets the child go on */
};

/* After fork in a process with threads: only async-signal-safe calls. */
static void __attribute__((noreturn)) run_child(const struct start *start)
{
	const struct inherited *inherited = start->inherited;
	char byte;
	int err;

	/* Signals are blocked still, so nothing interrupts this. Ours would keep the pipe open. */
	close(start->go_fds[1]);
	while (read(start->go_fds[0], &byte, 1) < 0 && errno == EINTR)
		continue;

	close_own_descriptors(inherited);
	setrlimit(RLIMIT_NOFILE, &inherited->files);
	sigaction(SIGPIPE, &inherited->on_pipe, NULL);
	sigaction(SIGCHLD, &inherited->on_child, NULL);
	sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
	execve(start->path, start->argv, start->envp);
	/* A script without #! is a shell script, as execvp() and every shell have it. */
	if (errno == ENOEXEC)
		execve("/bin/sh", start->shell_argv, start->envp);
	err = errno;
	if (write(start->error_fds[1], &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* Waits for exec(). Returns 0, or its positive errno, when the child is gone. */
static int await_exec(const struct start *start, pid_t pid)
{
	int err = 0;
	ssize_t n;

	do
		n = read(start->error_fds[0], &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(err))
		return 0;
	waitpid(pid, NULL, 0);
	return err;
}

int process_start(const struct inherited *inherited, const char *path, char *const argv[],
	char *const envp[], process_before_exec before, void *user, pid_t *pid_out)
{
	/* "/bin/sh PATH ARG…", for a script without #!. All borrowed. */
	g_autoptr(GPtrArray) shell_argv = g_ptr_array_new();
	struct start start = { inherited, path, argv, envp, NULL, { -1, -1 }, { -1, -1 } };
	int err = 0;
	pid_t pid;

	g_ptr_array_add(shell_argv, (void *)(uintptr_t) "/bin/sh");
	g_ptr_array_add(shell_argv, (void *)(uintptr_t)path);
	for (size_t i = 1; argv[0] && argv[i]; i++)
		g_ptr_array_add(shell_argv, argv[i]);
	g_ptr_array_add(shell_argv, NULL);
	start.shell_argv = (char **)shell_argv->pdata;
	if (pipe2(start.error_fds, O_CLOEXEC) < 0 || pipe2(start.go_fds, O_CLOEXEC) < 0 ||
		(pid = fork()) < 0) {
		err = errno;
		pid = -1;
	}
	if (pid == 0)
		run_child(&start);
	if (pid > 0) {
		close(start.error_fds[1]);
		start.error_fds[1] = -1;
		if (before)
			before(pid, user);
		/* A child that was killed meanwhile reads nothing; SIGPIPE is ignored. */
		while (write(start.go_fds[1], "", 1) < 0 && errno == EINTR)
			continue;
		err = await_exec(&start, pid);
	}
	for (int i = 0; i < 2; i++) {
		if (start.error_fds[i] >= 0)
			close(start.error_fds[i]);
		if (start.go_fds[i] >= 0)
			close(start.go_fds[i]);
	}
	if (!err)
		*pid_out = pid;
	return err;
}

static bool is_job_stop(int sig)
{
	return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* Without a terminal there is no shell to notice, and nobody to wake us up again. */
static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/*
 * Collects whatever changed. True when the program ended. A program that job control stopped takes
 * us with it: the shell waits for us, not for it.
 */
static bool reap(pid_t pid, process_other_exit on_other, void *user, int *status_out)
{
	bool is_over = false;
	int status;
	pid_t child;

	while ((child = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (WIFSTOPPED(status)) {
			if (child == pid && is_job_stop(WSTOPSIG(status)) && has_terminal()) {
				kill(getpid(), SIGSTOP);
				kill(pid, SIGCONT);
			}
		} else if (child == pid) {
			*status_out = status;
			is_over = true;
		} else {
			on_other(child, status, user);
		}
	}
	return is_over;
}

static void forward(pid_t pid, const siginfo_t *info)
{
	/* The terminal and the kernel signal the whole group: the program has it already. */
	if (info->si_code == SI_KERNEL)
		return;
	if (info->si_code == SI_QUEUE)
		sigqueue(pid, info->si_signo, info->si_value);
	else
		kill(pid, info->si_signo);
}

int process_wait(pid_t pid, int own, process_own_signal on_own, process_other_exit on_other,
	void *user)
{
	static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2,
		SIGWINCH, SIGCONT, SIGTSTP, SIGALRM, SIGURG, SIGIO, SIGPWR };
	sigset_t set;
	int status = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < G_N_ELEMENTS(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigaddset(&set, sig);
	/* The program may have ended before we came here. */
	while (!reap(pid, on_other, user, &status)) {
		siginfo_t info;
		int sig = sigwaitinfo(&set, &info);

		if (sig > 0 && sig == own)
			on_own(&info, user);
		else if (sig > 0 && sig != SIGCHLD)
			forward(pid, &info);
	}
	return status;
}

int process_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
