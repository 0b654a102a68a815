/* SPDX-License-Identifier: MIT */
/* Starting the program exactly as if trace-record were not there, and passing signals on to it. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/*
 * What trace-record was started with and changes for itself, so that the program gets it back.
 * Taken by process_inherit() before anything else in main().
 */
struct inherited {
	sigset_t mask;
	struct sigaction on_pipe, on_child;
	struct rlimit files;
	int *fds; /* owned: descriptors the program inherits, ascending; never freed */
	int n_fds;
};

/*
 * Notes the inherited state, then blocks all signals (every later thread inherits that, so that only
 * process_wait() sees them), ignores SIGPIPE, restores SIGCHLD's default, and allows itself as many open files as it may: a
 * look at many processes opens a file of each.
 */
void process_inherit(struct inherited *inherited_out);

/* The program's process exists and waits. Runs on the thread that calls process_start(); the program waits as long. */
typedef void (*process_before_exec)(pid_t pid, void *user);

/*
 * Starts `path` with `argv` and `envp` in our process group. Returns 0, or the positive errno of fork or exec;
 * then no process remains. `before` (or NULL) is called between the two.
 */
int process_start(const struct inherited *inherited, const char *path, char *const argv[],
	char *const envp[], process_before_exec before, void *user, pid_t *pid_out);

/* Something ended that is not the program. Runs on the waiting thread. */
typedef void (*process_other_exit)(pid_t pid, int status, void *user);

/* The signal that is for us came. Runs on the waiting thread. */
typedef void (*process_own_signal)(const siginfo_t *info, void *user);

/*
 * Waits for the program to end and returns its wait status. Meanwhile signals sent to trace-record are sent
 * on to it, but for `own` (0: none), of which `on_own` is told; those of the terminal reach it by themselves, since it is
 * in the same process group. When job
 * control stops the program, trace-record stops too, so that the shell notices.
 */
int process_wait(pid_t pid, int own, process_own_signal on_own, process_other_exit on_other,
	void *user);

/* The exit status a shell gives for a wait status: the program's own, or 128 + signal. */
int process_exit_code(int status);
