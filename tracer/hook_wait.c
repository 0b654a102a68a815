/* SPDX-License-Identifier: MIT */
/* Calls that wait by wish: sleeping, children, System V IPC; and small ones about time and events. */
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include "tracer/call.h"

/*
 * An interrupted sleep says what is left, to the kernel's own reckoning and on whatever clock: the next one is that long.
 * `rest` takes it where the program does not ask.
 */
FR_REAL(nanosleep)
static int sleep_on(const struct timespec *wanted, struct timespec *left, uintptr_t frame)
{
	struct timespec rest = { 0, 0 };
	int ret;

	for (;;) {
		eintr_begin();
		ret = REAL(nanosleep)(wanted, left ? left : &rest);
		if (likely(!CALL_IS_EINTR(ret)) || !eintr_is_ours(frame))
			return ret;
		wanted = left ? left : &rest;
	}
}

FR_EXPORT int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_nanosleep, -1);
	int ret = sleep_on(wanted, left, FR_FRAME());

	if (is_traced)
		call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_REAL(clock_nanosleep)
FR_EXPORT int clock_nanosleep(
	clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left)
{
	struct timespec rest = { 0, 0 };
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_clock_nanosleep, -1), ret;

	for (;;) {
		eintr_begin();
		ret = REAL(clock_nanosleep)(clock, flags, wanted, left ? left : &rest);
		if (likely(ret != EINTR) || !eintr_is_ours(FR_FRAME()))
			break;
		if (!(flags & TIMER_ABSTIME))
			wanted = left ? left : &rest;
	}
	if (is_traced)
		call_end(&call, -(int64_t)ret, NULL);
	return ret;
}

/* Says -1 when it was interrupted, and leaves errno alone. */
FR_REAL(thrd_sleep)
FR_EXPORT int thrd_sleep(const struct timespec *wanted, struct timespec *left)
{
	struct timespec rest = { 0, 0 };
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_nanosleep, -1), ret;

	for (;;) {
		eintr_begin();
		ret = REAL(thrd_sleep)(wanted, left ? left : &rest);
		if (likely(ret != -1) || !eintr_is_ours(FR_FRAME()))
			break;
		wanted = left ? left : &rest;
	}
	if (is_traced)
		call_end(&call, ret == -1 ? -EINTR : ret, NULL);
	return ret;
}

/* As libc makes them: of nanosleep(). sleep() that is interrupted returns the whole seconds left. */
FR_EXPORT int usleep(useconds_t us)
{
	struct timespec wanted = { us / 1000000, (long)(us % 1000000) * 1000 };
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_usleep, -1);
	int ret = sleep_on(&wanted, NULL, FR_FRAME());

	if (is_traced)
		call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_EXPORT unsigned sleep(unsigned seconds)
{
	struct timespec left = { seconds, 0 };
	int saved_errno = errno;
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_sleep, -1);
	unsigned ret = 0;

	if (sleep_on(&left, &left, FR_FRAME()) < 0)
		ret = (unsigned)left.tv_sec;
	else
		errno = saved_errno;
	if (is_traced)
		call_end(&call, ret, NULL);
	return ret;
}

CALL_HOOK_SAME(int, pause, pause, -1, (void), ())
CALL_HOOK_SAME(int, sigsuspend, sigsuspend, -1, (const sigset_t *set), (set))

/* System V IPC: not recorded, but interrupted like the others. */
#define IPC_HOOK(type, name, again, params, args)                              \
	FR_REAL(name)                                                          \
	FR_EXPORT type name params                                             \
	{                                                                      \
		struct eintr_wait wait = { .begin_ns = call_now() };           \
		type ret;                                                      \
                                                                               \
		for (;;) {                                                     \
			eintr_begin();                                         \
			ret = REAL(name) args;                                 \
			if (!CALL_IS_EINTR(ret) || !eintr_is_ours(FR_FRAME())) \
				break;                                         \
			again;                                                 \
		}                                                              \
		(void)wait;                                                    \
		return ret;                                                    \
	}

IPC_HOOK(int, semop, (void)0, (int id, struct sembuf *operations, size_t n), (id, operations, n))
IPC_HOOK(int, semtimedop, timeout = eintr_left_time(&wait, timeout),
	(int id, struct sembuf *operations, size_t n, const struct timespec *timeout),
	(id, operations, n, timeout))
IPC_HOOK(int, msgsnd, (void)0, (int id, const void *message, size_t n, int flags),
	(id, message, n, flags))
IPC_HOOK(ssize_t, msgrcv, (void)0, (int id, void *message, size_t n, long type, int flags),
	(id, message, n, type, flags))

CALL_HOOK(pid_t, wait, wait, -1, (int *status), (status))
CALL_HOOK(
	pid_t, waitpid, waitpid, -1, (pid_t pid, int *status, int options), (pid, status, options))
CALL_HOOK(pid_t, wait3, wait3, -1, (int *status, int options, struct rusage *usage),
	(status, options, usage))
CALL_HOOK(pid_t, wait4, wait4, -1, (pid_t pid, int *status, int options, struct rusage *usage),
	(pid, status, options, usage))
CALL_HOOK(int, waitid, waitid, -1, (idtype_t type, id_t id, siginfo_t *info, int options),
	(type, id, info, options))

CALL_HOOK(int, eventfd_read, eventfd_read, fd, (int fd, eventfd_t *value), (fd, value))
CALL_HOOK(int, eventfd_write, eventfd_write, fd, (int fd, eventfd_t value), (fd, value))
CALL_HOOK(int, timerfd_create, timerfd_create, -1, (clockid_t clock, int flags), (clock, flags))
CALL_HOOK(int, timerfd_settime, timerfd_settime, fd,
	(int fd, int flags, const struct itimerspec *new, struct itimerspec *old),
	(fd, flags, new, old))
CALL_HOOK(int, timerfd_gettime, timerfd_gettime, fd, (int fd, struct itimerspec *now), (fd, now))
CALL_HOOK(int, inotify_init1, inotify_init1, -1, (int flags), (flags))
CALL_HOOK(int, inotify_init, inotify_init1, -1, (void), ())
CALL_HOOK_PATH(int, inotify_add_watch, inotify_add_watch, fd, path,
	(int fd, const char *path, uint32_t mask), (fd, path, mask))
CALL_HOOK(int, inotify_rm_watch, inotify_rm_watch, fd, (int fd, int watch), (fd, watch))
CALL_HOOK(int, memfd_create, memfd_create, -1, (const char *name, unsigned flags), (name, flags))
CALL_HOOK(int, sched_yield, sched_yield, -1, (void), ())
CALL_HOOK(ssize_t, getrandom, getrandom, -1, (void *buf, size_t n, unsigned flags), (buf, n, flags))
CALL_HOOK(int, kill, kill, -1, (pid_t pid, int sig), (pid, sig))
