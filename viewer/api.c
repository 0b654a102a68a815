/* SPDX-License-Identifier: MIT */
/* Parameters, and what a trace has: processes, threads, lanes. */
#include "viewer/api.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/schema.h"

int64_t api_number(const struct api_request *request, const char *key, int64_t otherwise)
{
	const char *text = request->query(request->user, key);
	char *end;
	int64_t value;

	if (!text || !*text)
		return otherwise;
	errno = 0;
	value = g_ascii_strtoll(text, &end, 10);
	return errno || *end ? otherwise : value;
}

void api_range(const struct api_request *request, uint64_t *from_out, uint64_t *to_out)
{
	const struct trace *trace = request->indexed->trace;
	int64_t window = (int64_t)(trace->end_ns - trace->begin_ns);
	int64_t from = api_number(request, "from", 0), to = api_number(request, "to", window);

	from = CLAMP(from, 0, window);
	to = CLAMP(to, from, window);
	*from_out = (uint64_t)from;
	*to_out = (uint64_t)to;
}

uint8_t *api_threads(const struct api_request *request)
{
	const char *text = request->query(request->user, "threads");
	guint n = request->indexed->trace->threads->len;
	uint8_t *wanted = g_malloc0((gsize)n + 1);

	if (!text || !*text) {
		memset(wanted, 1, n);
		return wanted;
	}
	while (*text) {
		char *end;
		uint64_t thread = g_ascii_strtoull(text, &end, 10);

		if (end == text)
			break;
		if (thread < n)
			wanted[thread] = 1;
		text = *end == ',' ? end + 1 : end;
	}
	return wanted;
}

json_t *api_text(const char *bytes)
{
	g_autofree char *valid = g_utf8_make_valid(bytes ? bytes : "", -1);

	return json_string(valid);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* A moment of the trace's clock in the index's time; null for 0. */
static json_t *moment(const struct index *index, uint64_t time_ns)
{
	return time_ns ? json_integer((json_int_t)(time_ns - index->origin_ns)) : json_null();
}

json_t *api_frames(const struct index *index, uint32_t stack_index)
{
	const struct stacks *stacks = &index->trace->stacks;
	json_t *list = json_array();
	const struct stack *stack;

	if (stack_index >= stacks->stacks->len)
		return list;
	stack = stacks_get(stacks, stack_index);
	for (uint32_t k = 0; k < stack->n_frames; k++) {
		const struct location *location = stacks_frame(stacks, stack, k);

		for (uint32_t i = 0; i < MAX(location->n_lines, 1); i++) {
			g_autoptr(GString) function = g_string_new(NULL);
			const struct line *line =
				i < location->n_lines ? &g_array_index(stacks->lines, struct line,
								location->first_line + i)
						      : NULL;
			const char *module =
				location->module == MODULE_NONE
					? ""
					: strings_get(stacks->strings,
						  g_array_index(stacks->modules, struct module,
							  location->module)
							  .path);

			stacks_append_function(stacks, location, i, function);
			json_array_append_new(list,
				json_pack("{s:o, s:o, s:i, s:o}", "function",
					api_text(function->str), "file",
					api_text(line ? strings_get(stacks->strings, line->file)
						      : ""),
					"line", line ? (int)line->line : 0, "module",
					api_text(module)));
		}
	}
	return list;
}

json_t *api_stack(const struct api_request *request, const char **why_out)
{
	int64_t id = api_number(request, "id", -1);

	if (id < 0 || id >= request->indexed->trace->stacks.stacks->len) {
		*why_out = "no such stack";
		return NULL;
	}
	return api_frames(request->indexed->index, (uint32_t)id);
}

/* Nesting depth of a thread's regions: its lanes. */
static unsigned region_depth(const struct index *index, uint32_t thread)
{
	unsigned depth = 0;

	while (depth < 64 && index_lane(index, LANE_REGION, thread, depth))
		depth++;
	return depth;
}

static json_t *threads_of(const struct index *index)
{
	const struct trace *trace = index->trace;
	json_t *list = json_array();

	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		const struct series *lane = index_lane(index, LANE_THREAD, i, 0);

		json_array_append_new(list,
			json_pack("{s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:i}", "id",
				(int)i, "process", (int)thread->process, "tid",
				(json_int_t)thread->tid, "name",
				api_text(trace_thread_name(trace, i)), "labels",
				api_text(strings_get(trace->strings, thread->labels)), "start",
				moment(index, thread->start_ns), "end",
				moment(index, thread->end_ns), "cpu", (json_int_t)thread->cpu_ns,
				"rows", (json_int_t)(lane ? series_n(lane) : 0), "regions",
				(int)region_depth(index, i)));
	}
	return list;
}

/* What people call a process: its first thread's name where that is known; files may have several names. */
static const char *process_name(const struct trace *trace, uint32_t index)
{
	const struct process *process = trace_process(trace, index);
	uint32_t first = trace_find_thread(trace, index, process->pid, trace->end_ns);

	return first != THREAD_NONE && process->pid ? trace_thread_name(trace, first)
						    : trace_process_name(trace, index);
}

static json_t *processes_of(const struct index *index)
{
	const struct trace *trace = index->trace;
	json_t *list = json_array();

	for (guint i = 0; i < trace->processes->len; i++) {
		const struct process *process = trace_process(trace, i);

		json_array_append_new(
			list, json_pack("{s:i, s:I, s:I, s:o, s:o, s:o, s:o}", "id", (int)i, "pid",
				      (json_int_t)process->pid, "ppid", (json_int_t)process->ppid,
				      "name", api_text(process_name(trace, i)), "exe",
				      api_text(strings_get(trace->strings, process->exe)), "start",
				      moment(index, process->start_ns), "end",
				      moment(index, process->end_ns)));
	}
	return list;
}

static json_t *states_of(void)
{
	json_t *list = json_array();

	for (int i = 0; i < LANE_N_STATES; i++) {
		const char *name = i < FR_STATE_N	      ? event_state_name((uint32_t)i)
				   : i == LANE_STATE_RUNNABLE ? "runnable"
				   : i == LANE_STATE_BLOCKED  ? "blocked"
				   : i == LANE_STATE_GAP      ? "running"
							      : "";

		json_array_append_new(list, json_string(name));
	}
	return list;
}

static json_t *cpus_of(const struct index *index)
{
	json_t *list = json_array();

	for (uint32_t cpu = 0; cpu < 4096; cpu++)
		if (index_lane(index, LANE_CPU, cpu, 0))
			json_array_append_new(list, json_integer(cpu));
	return list;
}

/* The names of counters, each once. */
static json_t *counters_of(const struct index *index)
{
	const struct series *table = index->tables[INDEX_COUNTER];
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
	json_t *list = json_array();

	for (uint64_t row = 0; row < series_n(table);) {
		struct series_span span = series_span(table, row);

		for (uint64_t i = row - span.first; i < span.n; i++, row++) {
			uint32_t name = (uint32_t)pool_load(span.columns[COUNTER_NAME], 4, i);

			if (!g_hash_table_add(seen, GUINT_TO_POINTER(name)))
				continue;
			json_array_append_new(
				list, json_pack("{s:i, s:o}", "id", (int)name, "name",
					      api_text(strings_get(index->trace->strings, name))));
		}
	}
	return list;
}

static json_t *pairs_of(const struct trace *trace, const GArray *pairs)
{
	json_t *object = json_object();

	for (guint i = 0; i < pairs->len; i++) {
		const struct pair *pair = &g_array_index(pairs, struct pair, i);
		g_autofree char *key =
			g_utf8_make_valid(strings_get(trace->strings, pair->key), -1);

		json_object_set_new(
			object, key, api_text(strings_get(trace->strings, pair->value)));
	}
	return object;
}

static json_t *notes_of(const struct trace *trace)
{
	json_t *list = json_array();

	for (guint i = 0; i < trace->notes->len; i++)
		json_array_append_new(list, api_text(trace->notes->pdata[i]));
	return list;
}

static json_t *sizes_of(const struct index *index)
{
	json_t *object = json_object();

	for (int i = 0; i < INDEX_N_TABLES; i++)
		json_object_set_new(
			object, index_tables[i].name, number(series_n(index->tables[i])));
	return object;
}

json_t *api_trace(const struct api_request *request, const char **why_out)
{
	const struct index *index = request->indexed->index;
	const struct trace *trace = index->trace;
	const char *step = trace_receipt(trace, "scheduling.step");
	json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"window", number(trace->end_ns - trace->begin_ns), "processes", processes_of(index),
		"threads", threads_of(index), "cpus", cpus_of(index), "states", states_of(),
		"counters", counters_of(index), "env", pairs_of(trace, trace->env), "receipt",
		pairs_of(trace, trace->receipt), "notes", notes_of(trace), "rows", sizes_of(index),
		"step", api_text(step ? step : "none"));

	(void)why_out;
	json_object_set_new(object, "begin_wall_ns",
		trace->report.has_clock
			? json_integer((json_int_t)trace->begin_ns + trace->report.wall_offset_ns)
			: json_null());
	json_object_set_new(object, "events", number(trace->n_events));
	return object;
}
