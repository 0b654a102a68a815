/* SPDX-License-Identifier: MIT */
/*
 * flightrec: what a program can say about itself, and ask of its recorder. Everything here does nothing, at the cost of a
 * call and a test, when the program is not traced, and may be called from any thread at any time after main()'s
 * constructors began. The functions of the first part (what a program says) do not block, allocate or set
 * errno, flightrec_profile_new() apart. Strings are copied; they are cut at 255 bytes (types at 39). Times
 * are taken inside. The second part asks the recorder, and waits for its answer.
 *
 * The semantics of tasks, regions, logs, traces and the recorder are those of Go's runtime/trace, those of labels and
 * profiles of Go's runtime/pprof, with a thread where Go has a goroutine. Functions that can fail return an error
 * number below 0, such as -EBUSY; -ENOTCONN: the program is not traced, or its recorder is gone.
 */
#ifndef FLIGHTREC_H
#define FLIGHTREC_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A logical operation (a request, a job) that may pass through many threads. 0 is "no task". */
typedef uint64_t flightrec_task_t;

/* A stretch of one thread's time. 0 is "no region". */
typedef uint64_t flightrec_region_t;

/* Is somebody recording? Advice only: to spare the work of making a message. */
int flightrec_is_enabled(void);

/*
 * Begins a task of a type ("checkout", "compaction"; few distinct types are expected, details belong into a
 * log). An id is always given, also while nothing is recorded, so that it can be handed on. `parent` may be 0.
 */
flightrec_task_t flightrec_task_begin(flightrec_task_t parent, const char *type);

/* Ends a task, from any thread. Only the first end of a task counts. */
void flightrec_task_end(flightrec_task_t task);

/*
 * The task that the calling thread now works on: regions and logs with task 0 belong to it. Returns the one
 * before, to be put back. New threads do not inherit it.
 */
flightrec_task_t flightrec_task_enter(flightrec_task_t task);

/*
 * Begins a region in the calling thread. Regions of a thread nest strictly: one that is ended while later ones are open
 * ends those, too (counted as misnested). At most 32 deep; deeper ones are not recorded.
 */
flightrec_region_t flightrec_region_begin(flightrec_task_t task, const char *type);

/* Ends it, in the same thread. 0 and regions that are not open here are ignored (counted). */
void flightrec_region_end(flightrec_region_t region);

/* A message of a category, attached to the task and to the thread. */
void flightrec_log(flightrec_task_t task, const char *category, const char *message);

/* The same, formatted; the format is not looked at while nothing is recorded. */
void flightrec_logf(flightrec_task_t task, const char *category, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void flightrec_vlogf(flightrec_task_t task, const char *category, const char *format, va_list list)
	__attribute__((format(printf, 3, 0)));

/* The value of a quantity now; each name is one curve. */
void flightrec_counter(const char *name, int64_t value);

/*
 * Labels of the calling thread: they stand on its samples in CPU and thread profiles. A new thread, and the child of a
 * fork, begins with the set of its creator. At most 2048 distinct sets per process are told apart on samples; those beyond
 * are shown without labels (counted). So labels are for kinds of work, not for the number of a request.
 *
 * flightrec_label_push() adds key=value to the set; a key given again hides the older one. Returns a depth for
 * flightrec_label_pop(), which puts back what was before, or -1 when 16 sets are open or the text (at most
 * 159 bytes in all) has no room: nothing is changed then, and popping -1 is harmless.
 */
int flightrec_label_push(const char *key, const char *value);
void flightrec_label_pop(int depth);

/* A set of labels, to be handed to the thread that goes on with the work. 0: none. Void in the child of a fork. */
typedef uint64_t flightrec_labels_t;

/* The set of the calling thread; 0 also when it is one beyond the 2048. */
flightrec_labels_t flightrec_labels_get(void);

/*
 * Replaces the whole set of the calling thread, until the pop of the last push, or for good where nothing is pushed.
 * Returns the one before, to be put back.
 */
flightrec_labels_t flightrec_labels_set(flightrec_labels_t labels);

/* flightrec_labels_set(0): for a thread that shall not keep what it inherited. */
void flightrec_label_clear(void);

/*
 * The value of a label of the calling thread: its length, and as much of it as fits, ended by a 0; -1 when there is no such
 * label. flightrec_label_each() calls `each` per label until it returns other than 0, and returns that.
 */
int flightrec_label_get(const char *key, char *value_out, size_t size);
int flightrec_label_each(
	int (*each)(void *argument, const char *key, const char *value), void *argument);

/*
 * Something happened that is worth a look: has the recorder write a snapshot, what the ring holds now, which names the
 * reason (at most 95 bytes) and marks this moment, thread and stack. Returns at once, a snapshot is the recorder's work;
 * it writes no more of them than its limit (one a minute unless it was told otherwise). 0; -EAGAIN: less than a millisecond
 * after another one, or called by a signal handler that interrupted the tracer; -ENOTCONN.
 */
int flightrec_trigger(const char *reason);

/* Names the calling thread in traces; the kernel's name stays. At most 15 bytes. */
void flightrec_thread_name(const char *name);

/*
 * Memory that the program hands out itself (an arena, a pool, an allocator that is not malloc): p was given out, n bytes
 * were asked for; p is given back. Sampled into the profiles heap and allocs as malloc is, by the stack of the caller;
 * a few nanoseconds where nothing is sampled. A block that malloc gave to the arena is counted on its own. From any
 * thread; NULL and addresses that were not told are ignored. Before the memory can be given out again, call flightrec_free().
 */
void flightrec_alloc(const void *p, size_t n);
void flightrec_free(const void *p);

/* A profile: one of those that are always there, or one that the program made. Never freed. */
typedef struct flightrec_profile flightrec_profile_t;

/*
 * Makes a profile of something that the program has and gives back (connections, sessions, temporary files): it shows the
 * stacks that added what is in it now, under /debug/pprof/NAME. The name has 1 to 63 printable ASCII characters without
 * blanks, as in "myproject/sessions". NULL and errno: EINVAL (name), EEXIST (there already, or a name of flightrec's own),
 * ENOSPC (64 are there), ENOTCONN. All functions take that NULL. In the child of a fork profiles begin empty.
 */
flightrec_profile_t *flightrec_profile_new(const char *name);

/*
 * Adds the calling thread's stack under a key, which is never dereferenced; `skip` leaves out that many frames, 0 begins with the
 * caller. 0; -EEXIST: the key is in the profile (of two threads that add it at once one is refused, or both); -EPERM: not a
 * profile of the program; -EINVAL: `skip` below 0; -ENOSPC: no room (16384 entries in all, counted); -EAGAIN: called by a
 * signal handler that interrupted the tracer; -ENOTCONN.
 */
int flightrec_profile_add(flightrec_profile_t *profile, const void *key, int skip);

/* Takes a key out; nothing when it is not there, or the profile is not one of the program. */
void flightrec_profile_remove(flightrec_profile_t *profile, const void *key);

/* A profile by name: allocs, block, goroutine, heap, mutex, threadcreate, or the program's own. NULL: none; errno stays. */
flightrec_profile_t *flightrec_profile_lookup(const char *name);

/*
 * Entries: what was added and not removed; of heap, allocs, block and mutex the distinct records; of goroutine the threads that
 * live, of threadcreate those that ever were.
 */
int64_t flightrec_profile_count(const flightrec_profile_t *profile);

/* Its name, valid as long as the process; "" for NULL. */
const char *flightrec_profile_name(const flightrec_profile_t *profile);

/* All profiles, sorted by name: the one after another, the first one after NULL; NULL at the end. */
flightrec_profile_t *flightrec_profile_next(const flightrec_profile_t *profile);

/*
 * ---- Asking the recorder ----
 *
 * These send a request to the recorder and wait for its answer: milliseconds for rates, seconds where a profile of a large
 * program has to be put together or a trace be packed. They are no cancellation points, leave errno alone, may be
 * interrupted by signal handlers and called by many threads, but not from handlers; they need 12 KiB of stack.
 * Nothing that they do is traced. Besides the errors named: -EIO (the recorder failed; its log says why), -EACCES (it is
 * another user's), -EAGAIN (it is busy, or cannot now), -EINVAL, -ETIMEDOUT (silent for two minutes), and what
 * writing to the descriptor gave.
 */

/*
 * Starts the CPU profile of this process: `hz` samples per second of CPU time in each thread, 0 for the recorder's setting
 * (100). It is written to `fd` by flightrec_cpu_profile_stop(), a gzip-compressed profile.proto; the descriptor is
 * copied, so it may be closed meanwhile. -EBUSY: one is running already, here or by HTTP.
 */
int flightrec_cpu_profile_start(int fd, int hz);

/* Ends it, and returns when all is written. 0 also when none was started here. */
int flightrec_cpu_profile_stop(void);

/*
 * Writes a profile of this process, as it is now. `name` as in /debug/pprof/ (heap, goroutine, …, the program's own);
 * debug 0: gzip-compressed profile.proto; 1: text; 2: every thread's stack (goroutine). -ENOENT: no such profile.
 */
int flightrec_profile_write(const char *name, int fd, int debug);

/* The same for the heap, debug 0. */
int flightrec_heap_profile_write(int fd);

/*
 * Rates of the sampled profiles, of all processes of this recorder; each returns the one before.
 * Block: waits of `ns` and more are recorded, shorter ones with probability wait / ns and scaled; 1 all, 0 and below off.
 * Mutex: one of n waits is recorded, and counts n times; 1 all, 0 off, below 0 only asks.
 * Allocations: one sample in so many bytes; 1 all, 0 and below off; a thread follows within its next megabyte.
 */
int64_t flightrec_set_block_rate(int64_t ns);
int flightrec_set_mutex_fraction(int n);
int64_t flightrec_set_alloc_rate(int64_t bytes);

/*
 * Records everything from now on. The trace.out (of all processes of the recorder) is written to `fd` by
 * flightrec_trace_stop(); the descriptor is copied. -EBUSY: "execution tracer already enabled".
 */
int flightrec_trace_start(int fd);

/* Ends it, and returns when all is written. 0 also when none was started here. */
int flightrec_trace_stop(void);

/* Does a run or trace record everything at this moment? Reads one word; nobody is asked. */
int flightrec_recorder_is_enabled(void);

/*
 * A run of the flight recorder: everything of the next `ms` milliseconds, then the recorder writes its trace.out.
 * flightrec_recorder_stop() ends it early. -EBUSY: a run or trace is on; of stop: none is. -EINVAL: not above 0, or longer than
 * the recorder allows.
 */
int flightrec_recorder_start(int64_t ms);
int flightrec_recorder_stop(void);

/*
 * What the ring holds now, the last seconds to minutes, as a trace.out: to a descriptor, or to a file, which appears under its
 * name when it is complete. The ring goes on. -EBUSY: another snapshot or a run is on.
 */
int flightrec_recorder_snapshot(int fd);
int flightrec_recorder_snapshot_file(const char *path);

#ifdef __cplusplus
}
#endif

#endif
