/* SPDX-License-Identifier: MIT */
/* Calls that wait by wish: sleeping, signals, children; and small ones about time and events. */
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include "tracer/call.h"

CALL_HOOK(int, nanosleep, nanosleep, -1, (const struct timespec *wanted, struct timespec *left),
	(wanted, left))
CALL_HOOK_RC(int, clock_nanosleep, clock_nanosleep, -1,
	(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left),
	(clock, flags, wanted, left))
CALL_HOOK(int, usleep, usleep, -1, (useconds_t us), (us))
CALL_HOOK(unsigned, sleep, sleep, -1, (unsigned seconds), (seconds))
CALL_HOOK(int, thrd_sleep, nanosleep, -1, (const struct timespec *wanted, struct timespec *left),
	(wanted, left))
CALL_HOOK(int, pause, pause, -1, (void), ())
CALL_HOOK(int, sigsuspend, sigsuspend, -1, (const sigset_t *set), (set))
CALL_HOOK_RC(int, sigwait, sigwait, -1, (const sigset_t *set, int *signal_out), (set, signal_out))
CALL_HOOK(int, sigwaitinfo, sigwaitinfo, -1, (const sigset_t *set, siginfo_t *info), (set, info))
CALL_HOOK(int, sigtimedwait, sigtimedwait, -1,
	(const sigset_t *set, siginfo_t *info, const struct timespec *timeout),
	(set, info, timeout))

CALL_HOOK(pid_t, wait, wait, -1, (int *status), (status))
CALL_HOOK(
	pid_t, waitpid, waitpid, -1, (pid_t pid, int *status, int options), (pid, status, options))
CALL_HOOK(pid_t, wait3, wait3, -1, (int *status, int options, struct rusage *usage),
	(status, options, usage))
CALL_HOOK(pid_t, wait4, wait4, -1, (pid_t pid, int *status, int options, struct rusage *usage),
	(pid, status, options, usage))
CALL_HOOK(int, waitid, waitid, -1, (idtype_t type, id_t id, siginfo_t *info, int options),
	(type, id, info, options))

CALL_HOOK(int, eventfd, eventfd, -1, (unsigned n, int flags), (n, flags))
CALL_HOOK(int, eventfd_read, eventfd_read, fd, (int fd, eventfd_t *value), (fd, value))
CALL_HOOK(int, eventfd_write, eventfd_write, fd, (int fd, eventfd_t value), (fd, value))
CALL_HOOK(int, timerfd_create, timerfd_create, -1, (clockid_t clock, int flags), (clock, flags))
CALL_HOOK(int, timerfd_settime, timerfd_settime, fd,
	(int fd, int flags, const struct itimerspec *new, struct itimerspec *old),
	(fd, flags, new, old))
CALL_HOOK(int, timerfd_gettime, timerfd_gettime, fd, (int fd, struct itimerspec *now), (fd, now))
CALL_HOOK(int, signalfd, signalfd, fd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
CALL_HOOK(int, inotify_init1, inotify_init1, -1, (int flags), (flags))
CALL_HOOK(int, inotify_init, inotify_init1, -1, (void), ())
CALL_HOOK_PATH(int, inotify_add_watch, inotify_add_watch, fd, path,
	(int fd, const char *path, uint32_t mask), (fd, path, mask))
CALL_HOOK(int, inotify_rm_watch, inotify_rm_watch, fd, (int fd, int watch), (fd, watch))
CALL_HOOK(int, memfd_create, memfd_create, -1, (const char *name, unsigned flags), (name, flags))
CALL_HOOK(int, sched_yield, sched_yield, -1, (void), ())
CALL_HOOK(ssize_t, getrandom, getrandom, -1, (void *buf, size_t n, unsigned flags), (buf, n, flags))
CALL_HOOK(int, kill, kill, -1, (pid_t pid, int sig), (pid, sig))
