/* SPDX-License-Identifier: MIT */
/* Processes: fork and its relatives, exec, spawn. vfork: vfork.S; clone: hook_clone.c. */
#include <alloca.h>
#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lttng/ust-fork.h>

#include "tracer/call.h"
#include "tracer/exit.h"
#include "tracer/delay.h"
#include "tracer/fork.h"
#include "tracer/hook_close.h"
#include "tracer/process.h"
#include "tracer/sigprof.h"
#include "tracer/sys.h"

void fork_before(struct fork_state *state)
{
	int saved_errno = errno;

	state->had_guard = guard_enter(&fr_self, FR_FRAME());
	lttng_ust_before_fork(&state->signals);
	errno = saved_errno;
}

void fork_after(struct fork_state *state, int is_child)
{
	int saved_errno = errno;

	if (is_child) {
		fr_answers_dlopen = 1;
		lttng_ust_after_fork_child(&state->signals);
		fr_answers_dlopen = 0;
		process_after_fork();
	} else {
		lttng_ust_after_fork_parent(&state->signals);
	}
	if (state->had_guard)
		guard_leave(&fr_self);
	errno = saved_errno;
}

FR_REAL(fork)
FR_EXPORT pid_t fork(void)
{
	struct fork_state state;
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_fork, -1);
	pid_t pid;

	/* liblttng-ust's own: it makes a file by a child that ends at once. */
	if (!process_is_ready() || fr_is_lttng(FR_RETURN()))
		return REAL(fork)();
	fork_before(&state);
	pid = REAL(fork)();
	fork_after(&state, pid == 0);
	if (is_traced && pid != 0)
		call_end(&call, CALL_RESULT(pid), NULL);
	return pid;
}

/* Safe in signal handlers, which the fork protocol is not: the child stays untraced. */
FR_REAL(_Fork)
FR_EXPORT pid_t _Fork(void)
{
	pid_t pid = REAL(_Fork)();

	if (pid == 0)
		process_is_raw_child();
	return pid;
}

FR_REAL(forkpty)
FR_EXPORT int forkpty(
	int *master, char *name, const struct termios *terminal, const struct winsize *size)
{
	struct fork_state state;
	int pid;

	if (!process_is_ready())
		return REAL(forkpty)(master, name, terminal, size);
	fork_before(&state);
	pid = REAL(forkpty)(master, name, terminal, size);
	fork_after(&state, pid == 0);
	return pid;
}

/* Forks inside libc; the parent never comes back. */
FR_REAL(daemon)
FR_EXPORT int daemon(int keep_directory, int keep_files)
{
	struct fork_state state;
	int ret;

	if (!process_is_ready())
		return REAL(daemon)(keep_directory, keep_files);
	fork_before(&state);
	ret = REAL(daemon)(keep_directory, keep_files);
	fork_after(&state, ret == 0);
	return ret;
}

struct exec {
	struct call call;
	struct sigprof_exec sigprof;
	int is_traced;
};

/* The image is about to be replaced. A path that the kernel could not read is not read by us either. */
static void exec_begin(struct exec *exec, int fd, const char *path, char *const *env,
	uintptr_t frame, uintptr_t caller)
{
	int saved_errno = errno;

	exec->is_traced = call_begin(&exec->call, FR_CALL_exec, fd, frame, caller);
	sigprof_before_exec(&exec->sigprof);
	if (exec->is_traced) {
		if (path && sys(SYS_faccessat, AT_FDCWD, path, F_OK) == -EFAULT)
			path = NULL;
		call_announce(&exec->call, path && path[0] ? path : "-");
		process_exec(exit_is_env_traced(env));
	}
	errno = saved_errno;
}

static void exec_failed(struct exec *exec, const char *path)
{
	sigprof_exec_failed(&exec->sigprof);
	if (!exec->is_traced)
		return;
	process_exec_failed();
	call_end(&exec->call, -(int64_t)errno, path);
}

#define EXEC_HOOK(name, fd, path, env, params, args)                       \
	FR_REAL(name)                                                      \
	FR_EXPORT int name params                                          \
	{                                                                  \
		struct exec exec;                                          \
		int ret;                                                   \
                                                                           \
		exec_begin(&exec, fd, path, env, FR_FRAME(), FR_RETURN()); \
		ret = REAL(name) args;                                     \
		exec_failed(&exec, path);                                  \
		return ret;                                                \
	}

EXEC_HOOK(execve, -1, path, env, (const char *path, char *const argv[], char *const env[]),
	(path, argv, env))
EXEC_HOOK(execv, -1, path, environ, (const char *path, char *const argv[]), (path, argv))
EXEC_HOOK(execvp, -1, path, environ, (const char *path, char *const argv[]), (path, argv))
EXEC_HOOK(execvpe, -1, path, env, (const char *path, char *const argv[], char *const env[]),
	(path, argv, env))
EXEC_HOOK(fexecve, fd, NULL, env, (int fd, char *const argv[], char *const env[]), (fd, argv, env))
EXEC_HOOK(execveat, dir, path, env,
	(int dir, const char *path, char *const argv[], char *const env[], int flags),
	(dir, path, argv, env, flags))

/* Collects the arguments of an execl-like call, the first one included, up to and with the NULL. */
#define COLLECT(argv, first, list)                       \
	do {                                             \
		va_list count;                           \
		size_t n = 1, i;                         \
                                                         \
		va_copy(count, list);                    \
		while (va_arg(count, char *))            \
			n++;                             \
		va_end(count);                           \
		argv = alloca((n + 1) * sizeof(char *)); \
		argv[0] = (char *)first;                 \
		for (i = 1; i <= n; i++)                 \
			argv[i] = va_arg(list, char *);  \
	} while (0)

#define EXECL_HOOK(name, real, env, ...)                                         \
	FR_EXPORT int name(const char *path, const char *first, ...)             \
	{                                                                        \
		struct exec exec;                                                \
		char *const *variables;                                          \
		va_list list;                                                    \
		char **argv;                                                     \
		int ret;                                                         \
                                                                                 \
		va_start(list, first);                                           \
		COLLECT(argv, first, list);                                      \
		variables = (env);                                               \
		va_end(list);                                                    \
		exec_begin(&exec, -1, path, variables, FR_FRAME(), FR_RETURN()); \
		ret = REAL(real)(path, argv __VA_ARGS__);                        \
		exec_failed(&exec, path);                                        \
		return ret;                                                      \
	}

EXECL_HOOK(execl, execv, environ)
EXECL_HOOK(execlp, execvp, environ)
EXECL_HOOK(execle, execve, va_arg(list, char **), , variables)

#define SPAWN_HOOK(name)                                                                        \
	FR_REAL(name)                                                                           \
	FR_EXPORT int name(pid_t *pid_out, const char *path,                                    \
		const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes, \
		char *const argv[], char *const env[])                                          \
	{                                                                                       \
		struct call call;                                                               \
		int is_traced = CALL_BEGIN(&call, FR_CALL_posix_spawn, -1);                     \
		int is_shown = sigprof_before_spawn(), ret;                                     \
		pid_t pid = 0;                                                                  \
                                                                                                \
		if (!is_traced)                                                                 \
			ret = REAL(name)(pid_out, path, actions, attributes, argv, env);        \
		else                                                                            \
			ret = REAL(name)(&pid, path, actions, attributes, argv, env);           \
		if (is_shown)                                                                   \
			sigprof_after_spawn();                                                  \
		if (!is_traced)                                                                 \
			return ret;                                                             \
		if (ret == 0 && pid_out)                                                        \
			*pid_out = pid;                                                         \
		call_end(&call, ret ? -(int64_t)ret : pid, path);                               \
		return ret;                                                                     \
	}

SPAWN_HOOK(posix_spawn)
SPAWN_HOOK(posix_spawnp)

FR_REAL(system)
FR_EXPORT int system(const char *command)
{
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_system, -1);
	int is_shown = sigprof_before_spawn(), ret;

	ret = REAL(system)(command);
	if (is_shown)
		sigprof_after_spawn();
	if (is_traced)
		call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_REAL(popen)
FR_EXPORT FILE *popen(const char *command, const char *mode)
{
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_popen, -1);
	int is_shown = sigprof_before_spawn();
	FILE *ret;

	ret = REAL(popen)(command, mode);
	if (is_shown)
		sigprof_after_spawn();
	if (is_traced)
		call_end(&call, ret ? 0 : -(int64_t)errno, NULL);
	return ret;
}

CALL_HOOK(int, pclose, pclose, -1, (FILE * stream), (stream))

/*
 * syscall(2) itself: `fd` of the event is its number. Arguments that were not passed are registers and stack
 * that nobody looks at. A fork made this way is one that liblttng-ust does not know of.
 */
long fr_hook_syscall(long nr, long a, long b, long c, long d, long e, long f) __asm__("syscall");
static long (*fr_real_syscall)(long, ...);
__attribute__((used, section("fr_reals"))) static const struct fr_real fr_entry_syscall = {
	"syscall", (void **)&fr_real_syscall
};

static int is_fork(long nr)
{
#ifdef SYS_fork
	if (nr == SYS_fork)
		return 1;
#endif
	return nr == SYS_clone || nr == SYS_clone3;
}

/* By number, closing is guarded as by name; a new image must find no signal of ours. */
static long make(long (*real)(long, ...), long nr, const long args[6])
{
	struct sigprof_exec exec;
	long ret;

#ifdef SYS_dup2
	if (nr == SYS_dup2)
		return dup2_guarded((int)args[0], (int)args[1]);
#endif
	if (nr == SYS_dup3)
		return dup3_guarded((int)args[0], (int)args[1], (int)args[2]);
	if (nr == SYS_close)
		return close_guarded((int)args[0]);
	if (nr == SYS_seccomp)
		delay_stop();
	if (nr == SYS_close_range)
		return close_range_guarded((unsigned)args[0], (unsigned)args[1], (int)args[2]);
	if (nr == SYS_exit_group)
		process_end(FR_EXIT_DIRECT, (int)args[0]);
	if (nr != SYS_execve && nr != SYS_execveat)
		return real(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	sigprof_before_exec(&exec);
	process_exec(exit_is_env_traced((char *const *)args[nr == SYS_execve ? 2 : 3]));
	ret = real(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	process_exec_failed();
	sigprof_exec_failed(&exec);
	return ret;
}

FR_EXPORT long fr_hook_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long (*real)(long, ...) = fr_real_syscall;
	const long args[6] = { a, b, c, d, e, f };
	struct call call;
	long ret;

	if (unlikely(!real))
		real = (long (*)(long, ...))real_find(&fr_entry_syscall);
	if (!CALL_BEGIN(&call, FR_CALL_syscall, (int)nr)) {
		ret = fr_is_lttng(FR_RETURN()) ? real(nr, a, b, c, d, e, f) : make(real, nr, args);
	} else {
		ret = make(real, nr, args);
		if (ret != 0 || !is_fork(nr))
			call_end(&call, CALL_RESULT(ret), NULL);
	}
	if (ret == 0 && is_fork(nr))
		process_is_raw_child();
	return ret;
}
