/* SPDX-License-Identifier: MIT */
#include "viewer/index.h"

#include <errno.h>

#include "proto/schema.h"
#include "viewer/index_track.h"

struct open_region {
	uint64_t begin_ns, task;
	uint32_t type, stack;
};

struct open_task {
	uint64_t begin_ns, id, parent;
	uint32_t process, thread, type, stack;
};

struct index_builder {
	struct index *index;
	struct tracks *tracks;
	GPtrArray *regions; /* owned GArray of struct open_region, by thread; NULL none */
	GHashTable *tasks;  /* owned struct open_task, by (process, id) */
};

static void regions_free(void *data)
{
	if (data)
		g_array_unref(data);
}

static guint task_hash(gconstpointer data)
{
	const struct open_task *task = data;

	return (guint)(task->id * 0x9e3779b97f4a7c15ull >> 32) ^ task->process;
}

static gboolean task_equal(gconstpointer a, gconstpointer b)
{
	const struct open_task *x = a, *y = b;

	return x->id == y->id && x->process == y->process;
}

struct index_builder *index_builder_new(struct trace *trace, int fd)
{
	struct index_builder *builder = g_new0(struct index_builder, 1);
	struct index *index = g_new0(struct index, 1);

	index->trace = trace;
	index->pool = pool_new(fd);
	index->origin_ns = trace->begin_ns;
	for (int i = 0; i < INDEX_N_TABLES; i++)
		index->tables[i] = pool_add(index->pool, index_table_key((enum index_table_id)i),
			index_table_schema((enum index_table_id)i));
	builder->index = index;
	builder->tracks = tracks_new(index);
	builder->regions = g_ptr_array_new_with_free_func(regions_free);
	builder->tasks = g_hash_table_new_full(task_hash, task_equal, g_free, NULL);
	return builder;
}

void index_free(struct index *index)
{
	if (!index)
		return;
	pool_free(index->pool);
	g_free(index);
}

void index_builder_free(struct index_builder *builder)
{
	if (!builder)
		return;
	index_free(builder->index);
	tracks_free(builder->tracks);
	g_ptr_array_unref(builder->regions);
	g_hash_table_unref(builder->tasks);
	g_free(builder);
}

static GArray *regions_of(struct index_builder *builder, uint32_t thread)
{
	if (thread >= builder->regions->len)
		g_ptr_array_set_size(builder->regions, (gint)thread + 1);
	if (!builder->regions->pdata[thread])
		builder->regions->pdata[thread] =
			g_array_new(FALSE, FALSE, sizeof(struct open_region));
	return builder->regions->pdata[thread];
}

static uint64_t relative(const struct index *index, uint64_t time_ns)
{
	return time_ns > index->origin_ns ? time_ns - index->origin_ns : 0;
}

static uint64_t append_row(struct index *index, enum index_table_id id, const uint64_t *values)
{
	uint64_t row = series_n(index->tables[id]);

	series_append(index->tables[id], values);
	return row;
}

static uint32_t other_thread(struct trace *trace, const struct trace_event *at, uint32_t tid)
{
	return tid ? trace_find_thread(trace, at->process, tid, at->event->time_ns) : INDEX_NONE;
}

static void on_wait(
	struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	struct index *index = builder->index;
	const struct event *event = at->event;
	uint64_t begin = relative(index, at->begin_ns), row;
	uint32_t stack = trace_stack(trace, at->process, event->stack);
	uint64_t values[WAIT_N] = {
		[INDEX_END] = begin + at->dur_ns,
		[INDEX_DUR] = at->dur_ns,
		[WAIT_THREAD] = at->thread,
		[WAIT_KIND] = event->wait.kind,
		[WAIT_OBJ] = event->wait.obj,
		[WAIT_STACK] = stack,
		[WAIT_HOLDER] = other_thread(trace, at, event->wait.holder),
		[WAIT_HOLDER_STACK] = trace_stack(trace, at->process, event->wait.holder_stack),
		[WAIT_RET] = (uint32_t)event->wait.ret,
		[WAIT_WAKE] = event->wait.wake,
	};

	row = append_row(index, INDEX_WAIT, values);
	tracks_add(builder->tracks, at->thread,
		(struct lane_row){ begin, at->dur_ns, stack, (uint32_t)row,
			(uint8_t)event_lock_state(event->wait.kind) },
		event->wait.wake);
}

static void on_call(
	struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	struct index *index = builder->index;
	const struct event *event = at->event;
	uint64_t begin = relative(index, at->begin_ns), row;
	uint32_t stack = trace_stack(trace, at->process, event->stack);
	uint64_t values[CALL_N] = {
		[INDEX_END] = begin + at->dur_ns,
		[INDEX_DUR] = at->dur_ns,
		[CALL_THREAD] = at->thread,
		[CALL_CALL] = event->call.call,
		[CALL_FD] = (uint32_t)event->call.fd,
		[CALL_RET] = (uint64_t)event->call.ret,
		[CALL_STACK] = stack,
		[CALL_PATH] = event->kind == EVENT_PATH
				      ? strings_add(trace->strings, event->call.path)
				      : 0,
	};

	row = append_row(index, INDEX_SYSCALL, values);
	tracks_add(builder->tracks, at->thread,
		(struct lane_row){ begin, at->dur_ns, stack, (uint32_t)row,
			(uint8_t)event_call_state(event->call.call) },
		0);
}

static void on_woken(
	struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint64_t values[WOKEN_N] = {
		[INDEX_END] = relative(builder->index, at->begin_ns) + at->dur_ns,
		[INDEX_DUR] = at->dur_ns,
		[WOKEN_THREAD] = at->thread,
		[WOKEN_CALL] = event->woken.call,
		[WOKEN_FD] = (uint32_t)event->woken.fd,
		[WOKEN_OBJ] = event->woken.obj,
		[WOKEN_STACK] = trace_stack(trace, at->process, event->stack),
		[WOKEN_WAKER] = other_thread(trace, at, event->woken.waker),
		[WOKEN_WAKER_STACK] = trace_stack(trace, at->process, event->woken.waker_stack),
		[WOKEN_WAKE] = event->woken.wake,
	};

	append_row(builder->index, INDEX_WOKEN, values);
}

static void on_cpu(struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint64_t values[SAMPLE_N] = { relative(builder->index, event->time_ns), 0, at->thread,
		event->cpu.weight, trace_stack(trace, at->process, event->stack),
		strings_add(trace->strings, event->cpu.labels) };

	append_row(builder->index, INDEX_SAMPLE, values);
}

static void on_alloc(
	struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint64_t end = relative(builder->index, event->time_ns);
	uint32_t stack = trace_stack(trace, at->process, event->stack);

	if (event->kind == EVENT_SAMPLE) {
		uint64_t values[ALLOC_N] = { end, 0, at->thread, event->sample.kind,
			event->sample.addr, event->sample.size, event->sample.rate, stack };

		append_row(builder->index, INDEX_ALLOC, values);
	} else {
		uint64_t values[FREE_N] = { end, event->free.age, at->thread, event->free.addr,
			event->free.size, stack };

		append_row(builder->index, INDEX_FREE, values);
	}
}

static void region_row(struct index_builder *builder, uint32_t thread, uint64_t begin, uint64_t end,
	struct open_region region, uint32_t depth, int is_open)
{
	uint64_t values[REGION_N] = { end, end - begin, thread, region.type, region.task, depth,
		region.stack, (uint64_t)is_open };
	uint64_t row = append_row(builder->index, INDEX_REGION, values);

	tracks_add_region(builder->tracks, thread, depth,
		(struct lane_row){ begin, end - begin, region.stack, (uint32_t)row,
			(uint8_t)(region.type % 32) });
}

static void on_region(
	struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	GArray *regions = regions_of(builder, at->thread);
	struct open_region region = {
		.begin_ns = relative(builder->index, event->time_ns),
		.task = event->region.task,
		.type = strings_add(trace->strings, event->region.type),
		.stack = trace_stack(trace, at->process, event->stack),
	};
	uint64_t begin = relative(builder->index, at->begin_ns);
	uint32_t depth;

	if (event->kind == EVENT_REGION_BEGIN) {
		g_array_append_val(regions, region);
		return;
	}
	/* One that began before the window was never put there. */
	depth = regions->len;
	if (depth) {
		const struct open_region *last =
			&g_array_index(regions, struct open_region, depth - 1);

		if (last->type == region.type)
			region.stack = last->stack;
		g_array_set_size(regions, --depth);
	}
	region_row(builder, at->thread, begin, begin + at->dur_ns, region, depth, 0);
}

static void task_row(struct index *index, const struct open_task *task, uint64_t end,
	uint32_t end_thread, int is_open)
{
	uint64_t values[TASK_N] = { end, end - task->begin_ns, task->thread, task->type, task->id,
		task->parent, end_thread, task->stack, (uint64_t)is_open };

	append_row(index, INDEX_TASK, values);
}

static void on_task(
	struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint64_t now = relative(builder->index, event->time_ns);
	struct open_task key = { .id = event->task.task, .process = at->process }, *task;

	if (event->kind == EVENT_TASK_BEGIN) {
		key.begin_ns = now;
		key.parent = event->task.parent;
		key.thread = at->thread;
		key.type = strings_add(trace->strings, event->task.type);
		key.stack = trace_stack(trace, at->process, event->stack);
		g_hash_table_add(builder->tasks, g_memdup2(&key, sizeof(key)));
		return;
	}
	task = g_hash_table_lookup(builder->tasks, &key);
	if (!task) {
		/* It began before the window: all that is known is its end. */
		key.thread = INDEX_NONE;
		task_row(builder->index, &key, now, at->thread, 0);
		return;
	}
	task_row(builder->index, task, now, at->thread, 0);
	g_hash_table_remove(builder->tasks, &key);
}

static void on_user(
	struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint64_t now = relative(builder->index, event->time_ns);

	if (event->kind == EVENT_LOG) {
		uint64_t values[LOG_N] = { now, 0, at->thread, event->log.task,
			strings_add(trace->strings, event->log.category),
			strings_add(trace->strings, event->log.message),
			trace_stack(trace, at->process, event->stack) };

		append_row(builder->index, INDEX_LOG, values);
	} else {
		uint64_t values[COUNTER_N] = { now, 0, at->thread,
			strings_add(trace->strings, event->counter.name),
			(uint64_t)event->counter.value };

		append_row(builder->index, INDEX_COUNTER, values);
	}
}

static void on_thread(
	struct index_builder *builder, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	const char *text = "";
	uint32_t other = INDEX_NONE;
	enum index_thread_event what;

	switch (event->kind) {
	case EVENT_START:
		what = INDEX_STARTED;
		text = event->start.name;
		other = other_thread(trace, at, event->start.creator);
		break;
	case EVENT_EXIT:
		what = INDEX_EXITED;
		break;
	case EVENT_NAME:
		what = INDEX_NAMED;
		text = event->name.name;
		break;
	default:
		what = INDEX_LABELLED;
		text = event->label.labels;
	}
	uint64_t values[EVENT_N_COLUMNS] = { relative(builder->index, event->time_ns), 0,
		at->thread, what, strings_add(trace->strings, text), other,
		trace_stack(trace, at->process, event->stack) };
	append_row(builder->index, INDEX_THREAD_EVENT, values);
}

static int on_event(void *self, struct trace *trace, const struct trace_event *at)
{
	struct index_builder *builder = self;

	tracks_event(builder->tracks, at);
	if (at->is_outside)
		return 0;
	switch (at->event->kind) {
	case EVENT_WAIT:
		on_wait(builder, trace, at);
		break;
	case EVENT_CALL:
	case EVENT_PATH:
		on_call(builder, trace, at);
		break;
	case EVENT_WOKEN:
		on_woken(builder, trace, at);
		break;
	case EVENT_CPU:
		on_cpu(builder, trace, at);
		break;
	case EVENT_SAMPLE:
	case EVENT_FREE:
		on_alloc(builder, trace, at);
		break;
	case EVENT_REGION_BEGIN:
	case EVENT_REGION_END:
		on_region(builder, trace, at);
		break;
	case EVENT_TASK_BEGIN:
	case EVENT_TASK_END:
		on_task(builder, trace, at);
		break;
	case EVENT_LOG:
	case EVENT_COUNTER:
		on_user(builder, trace, at);
		break;
	case EVENT_START:
	case EVENT_EXIT:
	case EVENT_NAME:
	case EVENT_LABEL:
		on_thread(builder, trace, at);
		break;
	default:
		break;
	}
	return 0;
}

struct trace_pass index_builder_pass(struct index_builder *builder)
{
	return (struct trace_pass){ .event = on_event, .self = builder, .is_unclipped = 1 };
}

/* What a thread waits for at the end of the window has no event: its state trace tells. */
static void finish_thread(struct index_builder *builder, uint32_t i, uint64_t end)
{
	struct index *index = builder->index;
	struct trace *trace = index->trace;
	const struct thread *thread = trace_thread(trace, i);
	const struct process *process = trace_process(trace, thread->process);
	uint64_t begin = relative(index, thread->since_ns);
	int is_open = thread->since_ns && !thread->end_ns && !process->end_ns &&
		      thread->state != FR_STATE_RUNNING && thread->state < FR_STATE_EXITED;
	struct lane_row open = { begin, end > begin ? end - begin : 0, thread->stack, INDEX_NONE,
		(uint8_t)thread->state };
	GArray *regions = i < builder->regions->len ? builder->regions->pdata[i] : NULL;

	tracks_finish_thread(builder->tracks, i, is_open && open.dur_ns ? &open : NULL, end);
	for (uint32_t depth = regions ? regions->len : 0; depth > 0; depth--) {
		struct open_region region = g_array_index(regions, struct open_region, depth - 1);

		region_row(builder, i, region.begin_ns, MAX(end, region.begin_ns), region,
			depth - 1, 1);
	}
}

static void finish_tasks(struct index_builder *builder, uint64_t end)
{
	GHashTableIter iter;
	void *task;

	g_hash_table_iter_init(&iter, builder->tasks);
	while (g_hash_table_iter_next(&iter, &task, NULL))
		task_row(builder->index, task, MAX(end, ((struct open_task *)task)->begin_ns),
			INDEX_NONE, 1);
}

static int build_tiles(struct index *index)
{
	uint32_t n = pool_n_series(index->pool);
	int err = pool_seal(index->pool);

	for (uint32_t i = 0; !err && i < n; i++) {
		struct series *series = pool_series(index->pool, i);

		if (series_key(series).kind < LANE_KIND_END)
			tile_build(index->pool, series);
	}
	return err ? err : pool_seal(index->pool);
}

struct index *index_builder_finish(struct index_builder *builder, GError **error)
{
	struct index *index = builder->index;
	uint64_t end = relative(index, index->trace->end_ns);
	int err;

	for (guint i = 0; i < index->trace->threads->len; i++)
		finish_thread(builder, i, end);
	tracks_finish(builder->tracks, end);
	finish_tasks(builder, end);
	builder->index = NULL;
	index_builder_free(builder);
	err = build_tiles(index);
	if (err) {
		g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-err),
			"The index cannot be written: %s; there is too little room for it, see "
			"--cache",
			g_strerror(-err));
		index_free(index);
		return NULL;
	}
	return index;
}

const struct series *index_lane(
	const struct index *index, enum lane_kind kind, uint32_t a, uint32_t b)
{
	return pool_find(index->pool, (struct pool_key){ kind, a, b });
}
