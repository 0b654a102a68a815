/* SPDX-License-Identifier: MIT */
/*
 * Names and numbers that both ends of a trace must agree on. proto/schema.md says in prose when each
 * event is emitted and what its fields mean. Ids are append-only: a number never changes its meaning.
 */
#pragma once

#define FR_SCHEMA_VERSION 2

/* Event classes, as in --events; bit positions in fr_control.events. */
#define FR_EVENTS_LOCK (1u << 0)
#define FR_EVENTS_SYSCALL (1u << 1)
#define FR_EVENTS_ALLOC (1u << 2)
#define FR_EVENTS_THREAD (1u << 3)
#define FR_EVENTS_USER (1u << 4)
#define FR_EVENTS_SCHED (1u << 5) /* context switches, delays, who woke whom */
#define FR_EVENTS_ALL 0x3fu

/*
 * What a thread does. Kept in its slot of the blackbox, in flightrec_state:thread and in the viewer.
 * X(ID, name): name is what users see.
 */
#define FR_STATE_TABLE(X)                                                                          \
	X(FR_STATE_RUNNING, "running")                                                             \
	X(FR_STATE_MUTEX, "mutex")                                                                 \
	X(FR_STATE_RWLOCK, "rwlock")                                                               \
	X(FR_STATE_SPIN, "spin")                                                                   \
	X(FR_STATE_COND, "cond")                                                                   \
	X(FR_STATE_SEM, "sem")                                                                     \
	X(FR_STATE_BARRIER, "barrier")                                                             \
	X(FR_STATE_JOIN, "join")                                                                   \
	X(FR_STATE_ONCE, "once")                                                                   \
	X(FR_STATE_SLEEP, "sleep")                                                                 \
	X(FR_STATE_POLL, "poll")                                                                   \
	X(FR_STATE_NET, "net")                                                                     \
	X(FR_STATE_FILE, "file")                                                                   \
	X(FR_STATE_CHILD, "child")                                                                 \
	X(FR_STATE_SIGNAL, "signal")                                                               \
	X(FR_STATE_SYSCALL, "syscall")                                                             \
	X(FR_STATE_EXITED, "exited")

enum fr_state {
#define FR_X(id, name) id,
	FR_STATE_TABLE(FR_X)
#undef FR_X
		FR_STATE_N,
};

/* Kinds of lock wait: field `kind` of flightrec_lock:wait. X(ID, name, state while waiting). */
#define FR_LOCK_TABLE(X)                                                                           \
	X(FR_LOCK_MUTEX, "mutex", FR_STATE_MUTEX)                                                  \
	X(FR_LOCK_RWLOCK_RD, "rwlock_rd", FR_STATE_RWLOCK)                                         \
	X(FR_LOCK_RWLOCK_WR, "rwlock_wr", FR_STATE_RWLOCK)                                         \
	X(FR_LOCK_SPIN, "spin", FR_STATE_SPIN)                                                     \
	X(FR_LOCK_COND, "cond", FR_STATE_COND)                                                     \
	X(FR_LOCK_SEM, "sem", FR_STATE_SEM)                                                        \
	X(FR_LOCK_BARRIER, "barrier", FR_STATE_BARRIER)                                            \
	X(FR_LOCK_JOIN, "join", FR_STATE_JOIN)                                                     \
	X(FR_LOCK_ONCE, "once", FR_STATE_ONCE)

enum fr_lock {
#define FR_X(id, name, state) id,
	FR_LOCK_TABLE(FR_X)
#undef FR_X
		FR_LOCK_N,
};

/* Allocation calls: field `kind` of flightrec_alloc:sample. X(ID, name). */
#define FR_ALLOC_TABLE(X)                                                                          \
	X(FR_ALLOC_MALLOC, "malloc")                                                               \
	X(FR_ALLOC_CALLOC, "calloc")                                                               \
	X(FR_ALLOC_REALLOC, "realloc")                                                             \
	X(FR_ALLOC_REALLOCARRAY, "reallocarray")                                                   \
	X(FR_ALLOC_MEMALIGN, "memalign")                                                           \
	X(FR_ALLOC_ALIGNED_ALLOC, "aligned_alloc")                                                 \
	X(FR_ALLOC_POSIX_MEMALIGN, "posix_memalign")                                               \
	X(FR_ALLOC_VALLOC, "valloc")                                                               \
	X(FR_ALLOC_PVALLOC, "pvalloc")                                                             \
	X(FR_ALLOC_USER, "user")

enum fr_alloc {
#define FR_X(id, name) id,
	FR_ALLOC_TABLE(FR_X)
#undef FR_X
		FR_ALLOC_N,
};

/*
 * libc calls: field `call` of flightrec_syscall:*. Aliases (read and __read_chk, open and open64, …)
 * share one id. The class says how a reader treats the time spent inside:
 *   FR_CALL_NET   waiting for the network (poll family, recv, send, accept, connect): profile `net`
 *   FR_CALL_SLEEP sleeping by wish: in no derived profile
 *   all others    profile `syscall`
 * X(name, class, thread state while inside)
 */
enum fr_call_class {
	FR_CALL_FILE,
	FR_CALL_NET,
	FR_CALL_SLEEP,
	FR_CALL_CHILD,
	FR_CALL_PROC,
	FR_CALL_MEM,
	FR_CALL_OTHER,
};

#define FR_CALL_TABLE(X)                                                                           \
	X(syscall, FR_CALL_OTHER, FR_STATE_SYSCALL)                                                \
	X(read, FR_CALL_FILE, FR_STATE_FILE)                                                       \
	X(write, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(pread64, FR_CALL_FILE, FR_STATE_FILE)                                                    \
	X(pwrite64, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(readv, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(writev, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(preadv, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(pwritev, FR_CALL_FILE, FR_STATE_FILE)                                                    \
	X(preadv2, FR_CALL_FILE, FR_STATE_FILE)                                                    \
	X(pwritev2, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(open, FR_CALL_FILE, FR_STATE_FILE)                                                       \
	X(openat, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(creat, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(close, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(closefrom, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(close_range, FR_CALL_FILE, FR_STATE_FILE)                                                \
	X(lseek, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fsync, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fdatasync, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(sync, FR_CALL_FILE, FR_STATE_FILE)                                                       \
	X(syncfs, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(sync_file_range, FR_CALL_FILE, FR_STATE_FILE)                                            \
	X(truncate, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(ftruncate, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(stat, FR_CALL_FILE, FR_STATE_FILE)                                                       \
	X(lstat, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fstat, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fstatat, FR_CALL_FILE, FR_STATE_FILE)                                                    \
	X(statx, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(statfs, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(fstatfs, FR_CALL_FILE, FR_STATE_FILE)                                                    \
	X(access, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(faccessat, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(unlink, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(unlinkat, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(rename, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(renameat, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(renameat2, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(mkdir, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(mkdirat, FR_CALL_FILE, FR_STATE_FILE)                                                    \
	X(rmdir, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(link, FR_CALL_FILE, FR_STATE_FILE)                                                       \
	X(linkat, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(symlink, FR_CALL_FILE, FR_STATE_FILE)                                                    \
	X(symlinkat, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(readlink, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(readlinkat, FR_CALL_FILE, FR_STATE_FILE)                                                 \
	X(chmod, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fchmod, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(fchmodat, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(chown, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fchown, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(lchown, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(fchownat, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(utimensat, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(futimens, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(dup, FR_CALL_FILE, FR_STATE_FILE)                                                        \
	X(dup2, FR_CALL_FILE, FR_STATE_FILE)                                                       \
	X(dup3, FR_CALL_FILE, FR_STATE_FILE)                                                       \
	X(pipe, FR_CALL_FILE, FR_STATE_FILE)                                                       \
	X(pipe2, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fcntl, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(ioctl, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(flock, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(lockf, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fallocate, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(posix_fallocate, FR_CALL_FILE, FR_STATE_FILE)                                            \
	X(posix_fadvise, FR_CALL_FILE, FR_STATE_FILE)                                              \
	X(readahead, FR_CALL_FILE, FR_STATE_FILE)                                                  \
	X(sendfile, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(splice, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(tee, FR_CALL_FILE, FR_STATE_FILE)                                                        \
	X(vmsplice, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(copy_file_range, FR_CALL_FILE, FR_STATE_FILE)                                            \
	X(getdents64, FR_CALL_FILE, FR_STATE_FILE)                                                 \
	X(chdir, FR_CALL_FILE, FR_STATE_FILE)                                                      \
	X(fchdir, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(getcwd, FR_CALL_FILE, FR_STATE_FILE)                                                     \
	X(memfd_create, FR_CALL_FILE, FR_STATE_FILE)                                               \
	X(eventfd, FR_CALL_FILE, FR_STATE_FILE)                                                    \
	X(eventfd_read, FR_CALL_FILE, FR_STATE_FILE)                                               \
	X(eventfd_write, FR_CALL_FILE, FR_STATE_FILE)                                              \
	X(timerfd_create, FR_CALL_FILE, FR_STATE_FILE)                                             \
	X(timerfd_settime, FR_CALL_FILE, FR_STATE_FILE)                                            \
	X(timerfd_gettime, FR_CALL_FILE, FR_STATE_FILE)                                            \
	X(signalfd, FR_CALL_FILE, FR_STATE_FILE)                                                   \
	X(inotify_init1, FR_CALL_FILE, FR_STATE_FILE)                                              \
	X(inotify_add_watch, FR_CALL_FILE, FR_STATE_FILE)                                          \
	X(inotify_rm_watch, FR_CALL_FILE, FR_STATE_FILE)                                           \
	X(socket, FR_CALL_OTHER, FR_STATE_SYSCALL)                                                 \
	X(socketpair, FR_CALL_OTHER, FR_STATE_SYSCALL)                                             \
	X(bind, FR_CALL_OTHER, FR_STATE_SYSCALL)                                                   \
	X(listen, FR_CALL_OTHER, FR_STATE_SYSCALL)                                                 \
	X(accept, FR_CALL_NET, FR_STATE_NET)                                                       \
	X(accept4, FR_CALL_NET, FR_STATE_NET)                                                      \
	X(connect, FR_CALL_NET, FR_STATE_NET)                                                      \
	X(shutdown, FR_CALL_OTHER, FR_STATE_SYSCALL)                                               \
	X(send, FR_CALL_NET, FR_STATE_NET)                                                         \
	X(sendto, FR_CALL_NET, FR_STATE_NET)                                                       \
	X(sendmsg, FR_CALL_NET, FR_STATE_NET)                                                      \
	X(sendmmsg, FR_CALL_NET, FR_STATE_NET)                                                     \
	X(recv, FR_CALL_NET, FR_STATE_NET)                                                         \
	X(recvfrom, FR_CALL_NET, FR_STATE_NET)                                                     \
	X(recvmsg, FR_CALL_NET, FR_STATE_NET)                                                      \
	X(recvmmsg, FR_CALL_NET, FR_STATE_NET)                                                     \
	X(getsockopt, FR_CALL_OTHER, FR_STATE_SYSCALL)                                             \
	X(setsockopt, FR_CALL_OTHER, FR_STATE_SYSCALL)                                             \
	X(getsockname, FR_CALL_OTHER, FR_STATE_SYSCALL)                                            \
	X(getpeername, FR_CALL_OTHER, FR_STATE_SYSCALL)                                            \
	X(poll, FR_CALL_NET, FR_STATE_POLL)                                                        \
	X(ppoll, FR_CALL_NET, FR_STATE_POLL)                                                       \
	X(select, FR_CALL_NET, FR_STATE_POLL)                                                      \
	X(pselect, FR_CALL_NET, FR_STATE_POLL)                                                     \
	X(epoll_create, FR_CALL_OTHER, FR_STATE_SYSCALL)                                           \
	X(epoll_create1, FR_CALL_OTHER, FR_STATE_SYSCALL)                                          \
	X(epoll_ctl, FR_CALL_OTHER, FR_STATE_SYSCALL)                                              \
	X(epoll_wait, FR_CALL_NET, FR_STATE_POLL)                                                  \
	X(epoll_pwait, FR_CALL_NET, FR_STATE_POLL)                                                 \
	X(epoll_pwait2, FR_CALL_NET, FR_STATE_POLL)                                                \
	X(nanosleep, FR_CALL_SLEEP, FR_STATE_SLEEP)                                                \
	X(clock_nanosleep, FR_CALL_SLEEP, FR_STATE_SLEEP)                                          \
	X(usleep, FR_CALL_SLEEP, FR_STATE_SLEEP)                                                   \
	X(sleep, FR_CALL_SLEEP, FR_STATE_SLEEP)                                                    \
	X(pause, FR_CALL_SLEEP, FR_STATE_SIGNAL)                                                   \
	X(sigsuspend, FR_CALL_SLEEP, FR_STATE_SIGNAL)                                              \
	X(sigwait, FR_CALL_SLEEP, FR_STATE_SIGNAL)                                                 \
	X(sigwaitinfo, FR_CALL_SLEEP, FR_STATE_SIGNAL)                                             \
	X(sigtimedwait, FR_CALL_SLEEP, FR_STATE_SIGNAL)                                            \
	X(wait, FR_CALL_CHILD, FR_STATE_CHILD)                                                     \
	X(waitpid, FR_CALL_CHILD, FR_STATE_CHILD)                                                  \
	X(wait3, FR_CALL_CHILD, FR_STATE_CHILD)                                                    \
	X(wait4, FR_CALL_CHILD, FR_STATE_CHILD)                                                    \
	X(waitid, FR_CALL_CHILD, FR_STATE_CHILD)                                                   \
	X(fork, FR_CALL_PROC, FR_STATE_SYSCALL)                                                    \
	X(daemon, FR_CALL_PROC, FR_STATE_SYSCALL)                                                  \
	X(exec, FR_CALL_PROC, FR_STATE_SYSCALL)                                                    \
	X(posix_spawn, FR_CALL_PROC, FR_STATE_SYSCALL)                                             \
	X(system, FR_CALL_CHILD, FR_STATE_CHILD)                                                   \
	X(popen, FR_CALL_PROC, FR_STATE_SYSCALL)                                                   \
	X(pclose, FR_CALL_CHILD, FR_STATE_CHILD)                                                   \
	X(kill, FR_CALL_PROC, FR_STATE_SYSCALL)                                                    \
	X(sched_yield, FR_CALL_OTHER, FR_STATE_SYSCALL)                                            \
	X(getrandom, FR_CALL_OTHER, FR_STATE_SYSCALL)                                              \
	X(mmap, FR_CALL_MEM, FR_STATE_SYSCALL)                                                     \
	X(munmap, FR_CALL_MEM, FR_STATE_SYSCALL)                                                   \
	X(mremap, FR_CALL_MEM, FR_STATE_SYSCALL)                                                   \
	X(mprotect, FR_CALL_MEM, FR_STATE_SYSCALL)                                                 \
	X(madvise, FR_CALL_MEM, FR_STATE_SYSCALL)                                                  \
	X(msync, FR_CALL_MEM, FR_STATE_FILE)                                                       \
	X(mlock, FR_CALL_MEM, FR_STATE_SYSCALL)                                                    \
	X(munlock, FR_CALL_MEM, FR_STATE_SYSCALL)                                                  \
	X(brk, FR_CALL_MEM, FR_STATE_SYSCALL)                                                      \
	X(sbrk, FR_CALL_MEM, FR_STATE_SYSCALL)

enum fr_call {
#define FR_X(name, class, state) FR_CALL_##name,
	FR_CALL_TABLE(FR_X)
#undef FR_X
		FR_CALL_N,
};

/*
 * How scheduling is known, by falling precision: receipt key scheduling.step. X(ID, name).
 */
#define FR_SCHED_TABLE(X)                                                             \
	X(FR_SCHED_NONE, "none")	   /* switched off */                         \
	X(FR_SCHED_SCHEDSTAT, "schedstat") /* totals, and delays around long waits */ \
	X(FR_SCHED_SWITCH, "switch")	   /* every switch, by perf_event_open() */   \
	X(FR_SCHED_BPF, "bpf")		   /* every switch, and every waker */

enum fr_sched_step {
#define FR_X(id, name) id,
	FR_SCHED_TABLE(FR_X)
#undef FR_X
		FR_SCHED_N,
};

/* Why a snapshot was written without being asked for: kind of a trigger. X(ID, name). */
#define FR_TRIGGER_TABLE(X)                                                  \
	X(FR_TRIGGER_ASKED, "asked")	   /* flightrec_trigger() */         \
	X(FR_TRIGGER_SIGNAL, "signal")	   /* --on-signal */                 \
	X(FR_TRIGGER_SLOW, "slow")	   /* --on-slow: a region or task */ \
	X(FR_TRIGGER_LOCK, "lock")	   /* --on-lock: a wait */           \
	X(FR_TRIGGER_CALL, "call")	   /* --on-call */                   \
	X(FR_TRIGGER_THREADS, "threads")   /* --on-threads */                \
	X(FR_TRIGGER_RSS, "rss")	   /* --on-rss */                    \
	X(FR_TRIGGER_HEAP, "heap")	   /* --on-heap */                   \
	X(FR_TRIGGER_DEADLOCK, "deadlock") /* --on-deadlock */               \
	X(FR_TRIGGER_DEATH, "death")	   /* a traced process ended abnormally */

enum fr_trigger_kind {
#define FR_X(id, name) id,
	FR_TRIGGER_TABLE(FR_X)
#undef FR_X
		FR_TRIGGER_N,
};

/* Bits of a stack's `flags` (blackbox record and flightrec_state:stack). */
#define FR_STACK_CUT 0x1     /* deeper than the limit: the outermost frames are missing */
#define FR_STACK_GUESSED 0x2 /* a frame rests on a guess (frame pointer in a range without rules) */
#define FR_STACK_BROKEN 0x4  /* the walk stopped before the thread's first function */

/* Ids 0 and 1 of every process's stack table are reserved. */
#define FR_STACK_NONE 0     /* no stack was taken */
#define FR_STACK_OVERFLOW 1 /* the table was full: the stack is unknown */
