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
 * Adds key=value to the labels of the calling thread; a key given again hides the older one. New threads inherit
 * the labels. Returns a depth for flightrec_label_pop(), which puts back what was before, or -1 when
 * 8 sets are open or the text (at most 159 bytes in all) has no room: nothing is changed then, and popping -1 is harmless.
 */
int flightrec_label_push(const char *key, const char *value);
void flightrec_label_pop(int depth);

/* Names the calling thread in traces; the kernel's name stays. At most 15 bytes. */
void flightrec_thread_name(const char *name);

#ifdef __cplusplus
}
#endif

#endif
