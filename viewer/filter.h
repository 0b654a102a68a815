/* SPDX-License-Identifier: MIT */
/*
 * Which threads, and which of their time, an analysis looks at. Regions, tasks and labels are intervals of a thread's time,
 * found by a run of their own before the analysis, because a region's beginning may lie before the window. Single-threaded.
 */
#pragma once

#include "viewer/trace.h"

/* Spans kept in all; what is beyond is left out and said. */
#define FILTER_MAX_SPANS 8000000

/* What is wanted; NULL and 0: all. Texts borrowed. Names are globs. */
struct filter_wish {
	const char *thread; /* name or tid */
	const char *
		task; /* type or id: regions of the task; its beginner's time where one thread begins and ends it */
	const char *region; /* type */
	const char *label;  /* "k=v" or "k" */
	uint32_t pid;
};

/* Of a thread's time; end UINT64_MAX: open. */
struct filter_span {
	uint64_t begin_ns, end_ns;
};

struct filter;

struct filter *filter_new(const struct filter_wish *wish);
void filter_free(struct filter *filter);

/* Whether it wants everything, as NULL does. */
int filter_is_all(const struct filter *filter);

/* Whether trace_run() with filter_pass() is needed before the analysis. filter_ready() is then called after it. */
int filter_needs_scan(const struct filter *filter);
struct trace_pass filter_pass(struct filter *filter);
void filter_ready(struct filter *filter, struct trace *trace);

/* Whether the thread is wanted at all. NULL filters want everything, here and below. */
int filter_thread(struct filter *filter, const struct trace *trace, uint32_t thread);

/*
 * The wanted spans of a wanted thread, in order and disjoint; NULL: all of its time. is_label 0: without what
 * labels say, for events that carry their own.
 */
const struct filter_span *filter_spans(
	const struct filter *filter, uint32_t thread, int is_label, size_t *n_out);

/* How much of [begin, end] is wanted. */
uint64_t filter_overlap(struct filter *filter, const struct trace *trace, uint32_t thread,
	uint64_t begin, uint64_t end);

/* Whether a moment is wanted; `labels` are the event's own set, NULL: it has none. */
int filter_moment(struct filter *filter, const struct trace *trace, uint32_t thread, uint64_t time,
	const char *labels);
