/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "proto/schema.h"
#include "viewer/export_walk.h"

/* Processes are made up for lanes that are of none. */
#define CPU_PID 0

struct chrome {
	const struct export_part *part;
	FILE *out;
	uint64_t n_events, n_flows;
};

static void put_text(FILE *out, const char *bytes)
{
	g_autofree char *valid = g_utf8_make_valid(bytes, -1);

	fputc('"', out);
	for (const char *at = valid; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static uint32_t pid_of(const struct trace *trace, uint32_t thread)
{
	return thread < trace->threads->len
		       ? trace_process(trace, trace_thread(trace, thread)->process)->pid
		       : 0;
}

static uint32_t tid_of(const struct trace *trace, uint32_t thread)
{
	return thread < trace->threads->len ? trace_thread(trace, thread)->tid : 0;
}

/* Opens an event up to its arguments; the caller closes the brace. */
static void begin(struct chrome *chrome, const char *phase, const char *category, const char *name,
	uint64_t pid, uint64_t tid, uint64_t time_ns)
{
	fprintf(chrome->out,
		"%s{\"ph\":\"%s\",\"cat\":\"%s\",\"name\":", chrome->n_events++ ? ",\n" : "", phase,
		category);
	put_text(chrome->out, name);
	fprintf(chrome->out, ",\"pid\":%" PRIu64 ",\"tid\":%" PRIu64 ",\"ts\":%" PRIu64 ".%03u",
		pid, tid, time_ns / 1000, (unsigned)(time_ns % 1000));
}

static void put_site(struct chrome *chrome, const char *key, uint64_t stack)
{
	struct stacks *stacks = &chrome->part->index->trace->stacks;

	if (stack == STACK_INDEX_NONE || stack >= stacks->stacks->len)
		return;
	fprintf(chrome->out, ",\"%s\":", key);
	put_text(chrome->out, strings_get(stacks->strings, stacks_site(stacks, (uint32_t)stack)));
}

static void put_interval(struct chrome *chrome, const struct export_item *item)
{
	const struct index *index = chrome->part->index;
	const struct lane_row *row = &item->interval;
	int is_cpu = item->lane.kind == LANE_CPU;
	uint64_t pid = is_cpu ? CPU_PID : pid_of(index->trace, item->lane.a);
	uint64_t tid = is_cpu ? item->lane.a : tid_of(index->trace, item->lane.a);
	const char *state = row->state == LANE_STATE_RUNNABLE  ? "runnable"
			    : row->state == LANE_STATE_BLOCKED ? "blocked"
							       : event_state_name(row->state);

	begin(chrome, "X",
		is_cpu				 ? "cpu"
		: item->lane.kind == LANE_REGION ? "region"
						 : state,
		export_name(index, item), pid, tid, row->start_ns);
	fprintf(chrome->out, ",\"dur\":%" PRIu64 ".%03u,\"args\":{\"dur_ns\":%" PRIu64,
		row->dur_ns / 1000, (unsigned)(row->dur_ns % 1000), row->dur_ns);
	if (!is_cpu)
		put_site(chrome, "at", row->stack);
	fputs("}}", chrome->out);
}

/* An arrow from who woke to who was woken. */
static void put_flow(struct chrome *chrome, uint32_t from, uint32_t to, uint64_t end, uint64_t wake)
{
	const struct trace *trace = chrome->part->index->trace;
	uint64_t id = ++chrome->n_flows, woke = end - MIN(wake, end);

	if (from >= trace->threads->len || !export_wants(chrome->part, from))
		return;
	begin(chrome, "s", "wake", "wake", pid_of(trace, from), tid_of(trace, from), woke);
	fprintf(chrome->out, ",\"id\":%" PRIu64 "}", id);
	begin(chrome, "f", "wake", "wake", pid_of(trace, to), tid_of(trace, to), end);
	fprintf(chrome->out, ",\"id\":%" PRIu64 ",\"bp\":\"e\"}", id);
}

static void put_task(struct chrome *chrome, uint64_t row, uint32_t thread, uint64_t end)
{
	const struct index *index = chrome->part->index;
	const char *type = strings_get(
		index->trace->strings, (uint32_t)export_get(index, INDEX_TASK, row, TASK_TYPE));
	uint64_t id = export_get(index, INDEX_TASK, row, TASK_ID);
	uint64_t times[] = { end - export_get(index, INDEX_TASK, row, INDEX_DUR), end };

	for (int i = 0; i < 2; i++) {
		begin(chrome, i ? "e" : "b", "task", *type ? type : "task",
			pid_of(index->trace, thread), tid_of(index->trace, thread), times[i]);
		fprintf(chrome->out, ",\"id\":\"0x%" PRIx64 "\"}", id);
	}
}

static void put_row(struct chrome *chrome, const struct export_item *item)
{
	const struct index *index = chrome->part->index;
	const struct trace *trace = index->trace;
	uint32_t thread = (uint32_t)export_get(index, item->table, item->row, WAIT_THREAD);
	uint64_t row = item->row;

	if (!export_wants(chrome->part, thread))
		return;
	switch (item->table) {
	case INDEX_WAIT:
		put_flow(chrome, (uint32_t)export_get(index, INDEX_WAIT, row, WAIT_HOLDER), thread,
			item->time_ns, export_get(index, INDEX_WAIT, row, WAIT_WAKE));
		break;
	case INDEX_WOKEN:
		put_flow(chrome, (uint32_t)export_get(index, INDEX_WOKEN, row, WOKEN_WAKER), thread,
			item->time_ns, export_get(index, INDEX_WOKEN, row, WOKEN_WAKE));
		break;
	case INDEX_TASK:
		put_task(chrome, row, thread, item->time_ns);
		break;
	case INDEX_LOG:
		begin(chrome, "i", "log",
			strings_get(trace->strings,
				(uint32_t)export_get(index, INDEX_LOG, row, LOG_MESSAGE)),
			pid_of(trace, thread), tid_of(trace, thread), item->time_ns);
		fputs(",\"s\":\"t\"}", chrome->out);
		break;
	case INDEX_COUNTER:
		begin(chrome, "C", "counter",
			strings_get(trace->strings,
				(uint32_t)export_get(index, INDEX_COUNTER, row, COUNTER_NAME)),
			pid_of(trace, thread), tid_of(trace, thread), item->time_ns);
		fprintf(chrome->out, ",\"args\":{\"value\":%" PRId64 "}}",
			(int64_t)export_get(index, INDEX_COUNTER, row, COUNTER_VALUE));
		break;
	default: /* INDEX_SAMPLE */
		begin(chrome, "i", "sample", "CPU sample", pid_of(trace, thread),
			tid_of(trace, thread), item->time_ns);
		fputs(",\"s\":\"t\",\"args\":{\"weight_ns\":", chrome->out);
		fprintf(chrome->out, "%" PRIu64,
			export_get(index, INDEX_SAMPLE, row, SAMPLE_WEIGHT));
		put_site(chrome, "at", export_get(index, INDEX_SAMPLE, row, SAMPLE_STACK));
		fputs("}}", chrome->out);
	}
}

static int on_item(void *user, const struct export_item *item)
{
	struct chrome *chrome = user;

	if (item->what == EXPORT_BEGIN)
		put_interval(chrome, item);
	else if (item->what == EXPORT_ROW)
		put_row(chrome, item);
	return ferror(chrome->out);
}

static void put_name(
	struct chrome *chrome, const char *what, uint64_t pid, uint64_t tid, const char *name)
{
	begin(chrome, "M", "__metadata", what, pid, tid, 0);
	fputs(",\"args\":{\"name\":", chrome->out);
	put_text(chrome->out, name);
	fputs("}}", chrome->out);
}

static void put_names(struct chrome *chrome)
{
	const struct index *index = chrome->part->index;
	const struct trace *trace = index->trace;
	int has_cpus = 0;

	for (guint i = 0; i < trace->processes->len; i++)
		put_name(chrome, "process_name", trace_process(trace, i)->pid, 0,
			trace_process_name(trace, i));
	for (guint i = 0; i < trace->threads->len; i++)
		if (export_wants(chrome->part, i))
			put_name(chrome, "thread_name", pid_of(trace, i), tid_of(trace, i),
				trace_thread_name(trace, i));
	for (uint32_t cpu = 0; cpu < 4096; cpu++) {
		g_autofree char *name = g_strdup_printf("CPU %u", cpu);

		if (!index_lane(index, LANE_CPU, cpu, 0))
			continue;
		if (!has_cpus++)
			put_name(chrome, "process_name", CPU_PID, 0, "CPUs");
		put_name(chrome, "thread_name", CPU_PID, cpu, name);
	}
}

void export_chrome(const struct export_part *part, FILE *out)
{
	struct chrome chrome = { .part = part, .out = out };

	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", out);
	put_names(&chrome);
	export_walk(part,
		1u << INDEX_WAIT | 1u << INDEX_WOKEN | 1u << INDEX_TASK | 1u << INDEX_LOG |
			1u << INDEX_COUNTER | 1u << INDEX_SAMPLE,
		on_item, &chrome);
	fputs("\n]}\n", out);
}
