/* SPDX-License-Identifier: MIT */
/*
 * A task may begin and end on different threads, so open ones are found by id; regions nest strictly within a
 * thread, so a stack per thread is enough, and a region's end event carries its duration itself.
 */
#include "viewer/task.h"

struct begun {
	uint32_t type; /* string */
	uint64_t time_ns;
	int is_used;
};

static void type_fini(gpointer type)
{
	latency_fini(&((struct task_type *)type)->latency);
}

static void nesting_free(gpointer nesting)
{
	if (nesting)
		g_array_free(nesting, TRUE);
}

void tasks_init(struct tasks *tasks)
{
	*tasks = (struct tasks){ 0 };
	tasks->tasks = g_array_new(FALSE, FALSE, sizeof(struct task_type));
	tasks->regions = g_array_new(FALSE, FALSE, sizeof(struct task_type));
	g_array_set_clear_func(tasks->tasks, type_fini);
	g_array_set_clear_func(tasks->regions, type_fini);
	tasks->counters = g_array_new(FALSE, FALSE, sizeof(struct user_counter));
	tasks->begun = g_array_new(FALSE, FALSE, sizeof(struct begun));
	tasks->free_begun = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	tasks->nesting = g_ptr_array_new_with_free_func(nesting_free);
}

void tasks_fini(struct tasks *tasks)
{
	if (!tasks->tasks)
		return;
	g_array_free(tasks->tasks, TRUE);
	g_array_free(tasks->regions, TRUE);
	g_array_free(tasks->counters, TRUE);
	g_array_free(tasks->begun, TRUE);
	g_array_free(tasks->free_begun, TRUE);
	g_ptr_array_free(tasks->nesting, TRUE);
	idmap_fini(&tasks->task_types);
	idmap_fini(&tasks->region_types);
	idmap_fini(&tasks->counter_names);
	idmap_fini(&tasks->open);
	*tasks = (struct tasks){ 0 };
}

static struct task_type *find_type(GArray *types, struct idmap *map, uint32_t type)
{
	uint32_t index = idmap_get(map, type, 0);

	if (index == IDMAP_NONE) {
		struct task_type new = { .type = type };
		index = types->len;
		g_array_append_val(types, new);
		idmap_set(map, type, 0, index);
	}
	return &g_array_index(types, struct task_type, index);
}

static void task_begin(struct tasks *tasks, struct trace *trace, const struct trace_event *at)
{
	struct begun begun = { strings_add(trace->strings, at->event->task.type),
		at->event->time_ns, 1 };
	uint32_t index;

	if (tasks->open.n >= TASKS_MAX_OPEN) {
		tasks->n_dropped++;
		return;
	}
	if (tasks->free_begun->len > 0) {
		index = g_array_index(tasks->free_begun, uint32_t, tasks->free_begun->len - 1);
		g_array_set_size(tasks->free_begun, tasks->free_begun->len - 1);
		g_array_index(tasks->begun, struct begun, index) = begun;
	} else {
		index = tasks->begun->len;
		g_array_append_val(tasks->begun, begun);
	}
	idmap_set(&tasks->open, at->process, at->event->task.task, index);
}

static void task_end(struct tasks *tasks, const struct trace_event *at)
{
	uint32_t index = idmap_get(&tasks->open, at->process, at->event->task.task);

	if (index == IDMAP_NONE) {
		tasks->n_ended_only++;
		return;
	}
	struct begun *begun = &g_array_index(tasks->begun, struct begun, index);
	struct task_type *type = find_type(tasks->tasks, &tasks->task_types, begun->type);
	latency_add(&type->latency, at->event->time_ns - begun->time_ns);
	begun->is_used = 0;
	g_array_append_val(tasks->free_begun, index);
	idmap_remove(&tasks->open, at->process, at->event->task.task);
}

static GArray *thread_nesting(struct tasks *tasks, uint32_t thread)
{
	if (thread >= tasks->nesting->len)
		g_ptr_array_set_size(tasks->nesting, (gint)thread + 1);
	if (!tasks->nesting->pdata[thread])
		tasks->nesting->pdata[thread] = g_array_new(FALSE, FALSE, sizeof(struct begun));
	return tasks->nesting->pdata[thread];
}

static void region_begin(struct tasks *tasks, struct trace *trace, const struct trace_event *at)
{
	struct begun begun = { strings_add(trace->strings, at->event->region.type),
		at->event->time_ns, 1 };
	GArray *nesting = thread_nesting(tasks, at->thread);

	if (nesting->len < REGIONS_MAX_DEPTH)
		g_array_append_val(nesting, begun);
	else
		tasks->n_dropped++;
}

static void region_end(struct tasks *tasks, struct trace *trace, const struct trace_event *at)
{
	uint32_t name = strings_add(trace->strings, at->event->region.type);
	struct task_type *type = find_type(tasks->regions, &tasks->region_types, name);
	GArray *nesting = thread_nesting(tasks, at->thread);

	latency_add(&type->latency, at->event->region.dur);
	/* Ends may be missing (lost events): everything above the one that ends is over too. */
	for (guint i = nesting->len; i-- > 0;)
		if (g_array_index(nesting, struct begun, i).type == name) {
			g_array_set_size(nesting, i);
			break;
		}
}

static void counter_value(struct tasks *tasks, struct trace *trace, const struct trace_event *at)
{
	uint32_t name = strings_add(trace->strings, at->event->counter.name);
	uint32_t index = idmap_get(&tasks->counter_names, at->process, name);
	int64_t value = at->event->counter.value;

	if (index == IDMAP_NONE) {
		struct user_counter new = { at->process, name, 0, value, value, value, value };
		index = tasks->counters->len;
		g_array_append_val(tasks->counters, new);
		idmap_set(&tasks->counter_names, at->process, name, index);
	}
	struct user_counter *counter = &g_array_index(tasks->counters, struct user_counter, index);
	counter->n++;
	counter->last = value;
	counter->min = MIN(counter->min, value);
	counter->max = MAX(counter->max, value);
}

static int tasks_event(void *self, struct trace *trace, const struct trace_event *at)
{
	struct tasks *tasks = self;

	switch (at->event->kind) {
	case EVENT_TASK_BEGIN:
		task_begin(tasks, trace, at);
		break;
	case EVENT_TASK_END:
		task_end(tasks, at);
		break;
	case EVENT_REGION_BEGIN:
		region_begin(tasks, trace, at);
		break;
	case EVENT_REGION_END:
		region_end(tasks, trace, at);
		break;
	case EVENT_COUNTER:
		counter_value(tasks, trace, at);
		break;
	case EVENT_LOG:
		tasks->n_logs++;
		break;
	default:
		break;
	}
	return 0;
}

struct trace_pass tasks_pass(struct tasks *tasks)
{
	return (struct trace_pass){
		.event = tasks_event,
		.self = tasks,
		.kinds = TRACE_KIND(EVENT_TASK_BEGIN) | TRACE_KIND(EVENT_TASK_END) |
			 TRACE_KIND(EVENT_REGION_BEGIN) | TRACE_KIND(EVENT_REGION_END) |
			 TRACE_KIND(EVENT_COUNTER) | TRACE_KIND(EVENT_LOG),
	};
}

static void count_open(struct task_type *type, const struct begun *begun)
{
	if (type->n_open == 0 || begun->time_ns < type->oldest_ns)
		type->oldest_ns = begun->time_ns;
	type->n_open++;
}

void tasks_finish(struct tasks *tasks, struct trace *trace)
{
	for (guint i = 0; i < tasks->begun->len; i++) {
		const struct begun *begun = &g_array_index(tasks->begun, struct begun, i);
		if (begun->is_used)
			count_open(find_type(tasks->tasks, &tasks->task_types, begun->type), begun);
	}
	for (guint i = 0; i < tasks->nesting->len; i++) {
		const GArray *nesting = tasks->nesting->pdata[i];
		for (guint j = 0; nesting && j < nesting->len; j++) {
			const struct begun *begun = &g_array_index(nesting, struct begun, j);
			count_open(find_type(tasks->regions, &tasks->region_types, begun->type),
				begun);
		}
	}
}
