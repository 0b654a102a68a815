/* SPDX-License-Identifier: MIT */
/*
 * flightrec: what a program can say about itself. Everything here does nothing, at the cost of a call and a
 * test, when the program is not traced, and may be called from any thread at any time after main()'s
 * constructors began. Nothing blocks, allocates or sets errno. Strings are copied; they are cut at 255
 * bytes (types at 39). Times are taken inside.
 *
 * The semantics of tasks, regions and logs are those of Go's runtime/trace, those of labels of Go's
 * runtime/pprof, with a thread where Go has a goroutine.
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

#ifdef __cplusplus
}
#endif

#endif
