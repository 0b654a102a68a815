/* SPDX-License-Identifier: MIT */
/*
 * Spans are collected in any order and made disjoint at the end. A region's end says when it began, so only those
 * that never ended have to be followed.
 */
#include "viewer/filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/label_set.h"
#include "viewer/task.h"

struct begun {
	uint64_t time_ns;
	uint32_t type; /* string */
	int is_wanted;
};

struct lane {
	GArray *spans, *labelled, *both; /* struct filter_span; NULL: none */
	GArray *regions;		 /* struct begun: open ones; NULL: none yet */
	uint64_t label_ns;		 /* since when it has the label */
	int has_label_events, is_labelled;
	int8_t is_wanted; /* by thread and pid; -1: not asked yet */
};

struct task_seen {
	uint64_t begin_ns;
	uint32_t thread;
	int is_wanted;
};

struct filter {
	struct filter_wish wish;
	char *label_key, *label_value; /* value NULL: any */
	GPtrArray *lanes;	       /* owned struct lane *, by thread; NULL */
	GArray *tasks;		       /* struct task_seen */
	struct idmap by_task;	       /* (process, task) → tasks */
	uint64_t n_spans, n_left_out;
};

static void array_free(GArray *array)
{
	if (array)
		g_array_free(array, TRUE);
}

static void lane_free(gpointer of)
{
	struct lane *lane = of;

	if (!lane)
		return;
	array_free(lane->spans);
	array_free(lane->labelled);
	array_free(lane->both);
	array_free(lane->regions);
	g_free(lane);
}

struct filter *filter_new(const struct filter_wish *wish)
{
	struct filter *filter = g_new0(struct filter, 1);
	const char *equals = wish->label ? strchr(wish->label, '=') : NULL;

	filter->wish = *wish;
	if (wish->label) {
		filter->label_key = equals ? g_strndup(wish->label, (gsize)(equals - wish->label))
					   : g_strdup(wish->label);
		filter->label_value = equals ? g_strdup(equals + 1) : NULL;
	}
	filter->lanes = g_ptr_array_new_with_free_func(lane_free);
	filter->tasks = g_array_new(FALSE, FALSE, sizeof(struct task_seen));
	return filter;
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	g_ptr_array_free(filter->lanes, TRUE);
	g_array_free(filter->tasks, TRUE);
	idmap_fini(&filter->by_task);
	g_free(filter->label_key);
	g_free(filter->label_value);
	g_free(filter);
}

static struct lane *filter_lane(struct filter *filter, uint32_t thread)
{
	if (thread >= filter->lanes->len)
		g_ptr_array_set_size(filter->lanes, (gint)thread + 1);
	if (!filter->lanes->pdata[thread]) {
		struct lane *lane = g_new0(struct lane, 1);
		lane->is_wanted = -1;
		filter->lanes->pdata[thread] = lane;
	}
	return filter->lanes->pdata[thread];
}

int filter_is_all(const struct filter *filter)
{
	return !filter || (!filter->wish.thread && !filter->wish.pid && !filter_needs_scan(filter));
}

int filter_needs_scan(const struct filter *filter)
{
	return filter && (filter->wish.task || filter->wish.region || filter->wish.label);
}

static void add_span(struct filter *filter, GArray **spans, uint64_t begin, uint64_t end)
{
	struct filter_span span = { begin, end };

	if (filter->n_spans >= FILTER_MAX_SPANS) {
		filter->n_left_out++;
		return;
	}
	filter->n_spans++;
	if (!*spans)
		*spans = g_array_new(FALSE, FALSE, sizeof(struct filter_span));
	g_array_append_val(*spans, span);
}

static int name_fits(const char *glob, const char *name)
{
	return fnmatch(glob, name, 0) == 0;
}

static int number_fits(const char *text, uint64_t number)
{
	g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, number);

	return g_str_equal(text, digits);
}

static int task_fits(struct filter *filter, uint32_t process, uint64_t task)
{
	uint32_t index;

	if (!filter->wish.task)
		return 1;
	if (task == 0)
		return 0;
	index = idmap_get(&filter->by_task, process, task);
	return number_fits(filter->wish.task, task) ||
	       (index != IDMAP_NONE &&
		       g_array_index(filter->tasks, struct task_seen, index).is_wanted);
}

static int region_fits(struct filter *filter, const struct trace_event *at)
{
	const struct event *event = at->event;

	return (!filter->wish.region || name_fits(filter->wish.region, event->region.type)) &&
	       task_fits(filter, at->process, event->region.task);
}

static void on_task_begin(struct filter *filter, const struct trace_event *at)
{
	struct task_seen seen = { at->event->time_ns, at->thread,
		name_fits(filter->wish.task, at->event->task.type) ||
			number_fits(filter->wish.task, at->event->task.task) };

	/* The number of a task that is not wanted is enough to be forgotten. */
	if (!seen.is_wanted || filter->tasks->len >= TASKS_MAX_OPEN)
		return;
	idmap_set(&filter->by_task, at->process, at->event->task.task, filter->tasks->len);
	g_array_append_val(filter->tasks, seen);
}

static void on_task_end(struct filter *filter, struct lane *lane, const struct trace_event *at)
{
	uint32_t index = idmap_get(&filter->by_task, at->process, at->event->task.task);

	if (index == IDMAP_NONE || filter->wish.region)
		return;
	const struct task_seen *seen = &g_array_index(filter->tasks, struct task_seen, index);
	if (seen->thread == at->thread)
		add_span(filter, &lane->spans, seen->begin_ns, at->event->time_ns);
}

static void on_region_begin(
	struct filter *filter, struct trace *trace, struct lane *lane, const struct trace_event *at)
{
	struct begun begun = { at->event->time_ns,
		strings_add(trace->strings, at->event->region.type), region_fits(filter, at) };

	if (!lane->regions)
		lane->regions = g_array_new(FALSE, FALSE, sizeof(struct begun));
	if (lane->regions->len < REGIONS_MAX_DEPTH)
		g_array_append_val(lane->regions, begun);
}

static void on_region_end(
	struct filter *filter, struct trace *trace, struct lane *lane, const struct trace_event *at)
{
	uint64_t end = at->event->time_ns, dur = MIN(at->event->region.dur, end);
	uint32_t type = strings_add(trace->strings, at->event->region.type);

	if (region_fits(filter, at))
		add_span(filter, &lane->spans, end - dur, end);
	for (guint i = lane->regions ? lane->regions->len : 0; i-- > 0;)
		if (g_array_index(lane->regions, struct begun, i).type == type) {
			g_array_set_size(lane->regions, i);
			break;
		}
}

static void on_label(struct filter *filter, struct lane *lane, const struct event *event)
{
	int is_labelled =
		label_set_has(event->label.labels, filter->label_key, filter->label_value);

	lane->has_label_events = 1;
	if (lane->is_labelled && !is_labelled)
		add_span(filter, &lane->labelled, lane->label_ns, event->time_ns);
	if (!lane->is_labelled)
		lane->label_ns = event->time_ns;
	lane->is_labelled = is_labelled;
}

static int scan_event(void *self, struct trace *trace, const struct trace_event *at)
{
	struct filter *filter = self;
	struct lane *lane = filter_lane(filter, at->thread);
	int is_span = filter->wish.task || filter->wish.region;

	if (at->event->kind == EVENT_TASK_BEGIN && filter->wish.task)
		on_task_begin(filter, at);
	else if (at->event->kind == EVENT_TASK_END && filter->wish.task)
		on_task_end(filter, lane, at);
	else if (at->event->kind == EVENT_REGION_BEGIN && is_span)
		on_region_begin(filter, trace, lane, at);
	else if (at->event->kind == EVENT_REGION_END && is_span)
		on_region_end(filter, trace, lane, at);
	else if (at->event->kind == EVENT_LABEL && filter->wish.label)
		on_label(filter, lane, at->event);
	return 0;
}

struct trace_pass filter_pass(struct filter *filter)
{
	return (struct trace_pass){ .event = scan_event, .self = filter, .is_unclipped = 1 };
}

static int span_compare(const void *a_, const void *b_)
{
	const struct filter_span *a = a_, *b = b_;

	return a->begin_ns < b->begin_ns ? -1 : a->begin_ns > b->begin_ns;
}

/* Sorts and joins what touches. */
static void tidy(GArray *spans)
{
	guint to = 0;

	if (!spans || spans->len == 0)
		return;
	struct filter_span *all = (struct filter_span *)(void *)spans->data;
	qsort(all, spans->len, sizeof(*all), span_compare);
	for (guint i = 1; i < spans->len; i++) {
		if (all[i].begin_ns <= all[to].end_ns)
			all[to].end_ns = MAX(all[to].end_ns, all[i].end_ns);
		else
			all[++to] = all[i];
	}
	g_array_set_size(spans, to + 1);
}

static GArray *intersect(const GArray *a, const GArray *b)
{
	GArray *both = g_array_new(FALSE, FALSE, sizeof(struct filter_span));

	for (guint i = 0, j = 0; a && b && i < a->len && j < b->len;) {
		const struct filter_span *x = &g_array_index(a, struct filter_span, i);
		const struct filter_span *y = &g_array_index(b, struct filter_span, j);
		struct filter_span span = { MAX(x->begin_ns, y->begin_ns),
			MIN(x->end_ns, y->end_ns) };
		if (span.begin_ns < span.end_ns)
			g_array_append_val(both, span);
		if (x->end_ns < y->end_ns)
			i++;
		else
			j++;
	}
	return both;
}

void filter_ready(struct filter *filter, struct trace *trace)
{
	int is_span = filter->wish.task || filter->wish.region;

	for (guint i = 0; i < trace->threads->len; i++) {
		struct lane *lane = filter_lane(filter, i);
		const char *labels = strings_get(trace->strings, trace_thread(trace, i)->labels);
		for (guint j = 0; lane->regions && j < lane->regions->len; j++) {
			const struct begun *begun = &g_array_index(lane->regions, struct begun, j);
			if (begun->is_wanted)
				add_span(filter, &lane->spans, begun->time_ns, UINT64_MAX);
		}
		if (filter->wish.label) {
			if (lane->is_labelled)
				add_span(filter, &lane->labelled, lane->label_ns, UINT64_MAX);
			else if (!lane->has_label_events &&
				 label_set_has(labels, filter->label_key, filter->label_value))
				add_span(filter, &lane->labelled, 0, UINT64_MAX);
		}
		tidy(lane->spans);
		tidy(lane->labelled);
		if (is_span && filter->wish.label)
			lane->both = intersect(lane->spans, lane->labelled);
	}
	if (filter->n_left_out)
		g_ptr_array_add(trace->notes,
			g_strdup_printf("%" G_GUINT64_FORMAT
					" regions, tasks or labels beyond the limit of %d are left "
					"out",
				filter->n_left_out, FILTER_MAX_SPANS));
}

int filter_thread(struct filter *filter, const struct trace *trace, uint32_t index)
{
	if (!filter)
		return 1;
	struct lane *lane = filter_lane(filter, index);
	if (lane->is_wanted >= 0)
		return lane->is_wanted;
	const struct thread *thread = trace_thread(trace, index);
	const struct filter_wish *wish = &filter->wish;
	lane->is_wanted =
		(!wish->thread || name_fits(wish->thread, trace_thread_name(trace, index)) ||
			number_fits(wish->thread, thread->tid)) &&
		(!wish->pid || trace_process(trace, thread->process)->pid == wish->pid);
	return lane->is_wanted;
}

const struct filter_span *filter_spans(
	const struct filter *filter, uint32_t thread, int is_label, size_t *n_out)
{
	static const struct filter_span none;
	const struct lane *lane;
	const GArray *spans;

	*n_out = 0;
	if (!filter ||
		!(filter->wish.task || filter->wish.region || (is_label && filter->wish.label)))
		return NULL;
	lane = thread < filter->lanes->len ? filter->lanes->pdata[thread] : NULL;
	if (!lane)
		return &none;
	if (!(is_label && filter->wish.label))
		spans = lane->spans;
	else if (filter->wish.task || filter->wish.region)
		spans = lane->both;
	else
		spans = lane->labelled;
	if (!spans || spans->len == 0)
		return &none;
	*n_out = spans->len;
	return (const struct filter_span *)(const void *)spans->data;
}

static uint64_t spans_overlap(
	const struct filter_span *spans, size_t n, uint64_t begin, uint64_t end)
{
	size_t low = 0, high = n;
	uint64_t sum = 0;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (spans[middle].end_ns <= begin)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < n && spans[low].begin_ns < end; low++)
		sum += MIN(end, spans[low].end_ns) - MAX(begin, spans[low].begin_ns);
	return sum;
}

uint64_t filter_overlap(struct filter *filter, const struct trace *trace, uint32_t thread,
	uint64_t begin, uint64_t end)
{
	const struct filter_span *spans;
	size_t n;

	if (end <= begin || !filter_thread(filter, trace, thread))
		return 0;
	spans = filter_spans(filter, thread, 1, &n);
	return spans ? spans_overlap(spans, n, begin, end) : end - begin;
}

int filter_moment(struct filter *filter, const struct trace *trace, uint32_t thread, uint64_t time,
	const char *labels)
{
	const struct filter_span *spans;
	size_t n;

	if (!filter_thread(filter, trace, thread))
		return 0;
	if (filter && filter->wish.label && labels &&
		!label_set_has(labels, filter->label_key, filter->label_value))
		return 0;
	spans = filter_spans(filter, thread, labels == NULL, &n);
	return !spans || spans_overlap(spans, n, time, time + 1) > 0;
}
