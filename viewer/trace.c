/* SPDX-License-Identifier: MIT */
/*
 * Opening reads the state trace alone, so that every definition is known before the first event, whatever
 * times they carry; running reads the event streams, merged. Events may name processes and threads that
 * the state trace does not have (a blackbox was lost): they are made up, marked as not defined, and shown.
 */
#include "viewer/trace.h"

#include <string.h>

#include "proto/schema.h"

_Static_assert(EVENT_N <= 64, "trace_pass.kinds has a bit for each");

/* A thread's slot may be stamped a moment after its first event; a tid is not reused that fast. */
#define START_SLACK_NS 1000000

struct trace *trace_new(void)
{
	struct trace *trace = g_new0(struct trace, 1);

	trace->strings = strings_new();
	stacks_init(&trace->stacks, trace->strings);
	trace->processes = g_array_new(FALSE, FALSE, sizeof(struct process));
	trace->threads = g_array_new(FALSE, FALSE, sizeof(struct thread));
	trace->totals = g_array_new(FALSE, FALSE, sizeof(struct call_total));
	trace->lives = g_array_new(FALSE, FALSE, sizeof(struct live));
	trace->counters = g_array_new(FALSE, FALSE, sizeof(struct counter));
	trace->env = g_array_new(FALSE, FALSE, sizeof(struct pair));
	trace->receipt = g_array_new(FALSE, FALSE, sizeof(struct pair));
	trace->crashes = g_array_new(FALSE, FALSE, sizeof(struct crash));
	trace->triggers = g_array_new(FALSE, FALSE, sizeof(struct trigger));
	trace->notes = g_ptr_array_new_with_free_func(g_free);
	source_report_init(&trace->report);
	return trace;
}

void trace_free(struct trace *trace)
{
	if (!trace)
		return;
	GArray *arrays[] = { trace->processes, trace->threads, trace->totals, trace->lives,
		trace->counters, trace->env, trace->receipt, trace->crashes, trace->triggers };
	for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++)
		g_array_free(arrays[i], TRUE);
	idmap_fini(&trace->by_proc);
	idmap_fini(&trace->by_tid);
	idmap_fini(&trace->fds);
	g_ptr_array_free(trace->notes, TRUE);
	source_report_fini(&trace->report);
	unpack_fini(&trace->files);
	stacks_fini(&trace->stacks);
	strings_free(trace->strings);
	g_free(trace);
}

uint32_t trace_find_process(struct trace *trace, uint32_t proc)
{
	uint32_t index = idmap_get(&trace->by_proc, proc, 0);

	if (index == IDMAP_NONE) {
		struct process process = { .proc = proc };
		index = trace->processes->len;
		g_array_append_val(trace->processes, process);
		idmap_set(&trace->by_proc, proc, 0, index);
	}
	return index;
}

uint32_t trace_add_thread(struct trace *trace, struct thread thread)
{
	uint32_t proc = trace_process(trace, thread.process)->proc;
	uint32_t index = trace->threads->len;
	uint32_t first = idmap_get(&trace->by_tid, proc, thread.tid);

	if (first == IDMAP_NONE || trace_thread(trace, first)->start_ns > thread.start_ns) {
		thread.next = first == IDMAP_NONE ? THREAD_NONE : first;
		g_array_append_val(trace->threads, thread);
		idmap_set(&trace->by_tid, proc, thread.tid, index);
		return index;
	}
	uint32_t before = first;
	for (;;) {
		uint32_t next = trace_thread(trace, before)->next;
		if (next == THREAD_NONE || trace_thread(trace, next)->start_ns > thread.start_ns)
			break;
		before = next;
	}
	thread.next = trace_thread(trace, before)->next;
	g_array_append_val(trace->threads, thread);
	trace_thread(trace, before)->next = index;
	return index;
}

uint32_t trace_find_thread(
	const struct trace *trace, uint32_t process, uint32_t tid, uint64_t time_ns)
{
	uint32_t index = idmap_get(&trace->by_tid, trace_process(trace, process)->proc, tid);

	if (index == IDMAP_NONE)
		return THREAD_NONE;
	for (;;) {
		uint32_t next = trace_thread(trace, index)->next;
		if (next == THREAD_NONE ||
			trace_thread(trace, next)->start_ns > time_ns + START_SLACK_NS)
			return index;
		index = next;
	}
}

static const char *find_pair(const struct trace *trace, const GArray *pairs, const char *key)
{
	for (guint i = 0; i < pairs->len; i++) {
		const struct pair *pair = &g_array_index(pairs, struct pair, i);
		if (g_str_equal(strings_get(trace->strings, pair->key), key))
			return strings_get(trace->strings, pair->value);
	}
	return NULL;
}

const char *trace_env(const struct trace *trace, const char *key)
{
	return find_pair(trace, trace->env, key);
}

const char *trace_receipt(const struct trace *trace, const char *key)
{
	return find_pair(trace, trace->receipt, key);
}

static uint64_t receipt_number(const struct trace *trace, const char *key)
{
	const char *text = trace_receipt(trace, key);

	return text ? g_ascii_strtoull(text, NULL, 10) : 0;
}

void trace_defined(struct trace *trace)
{
	stacks_resolve(&trace->stacks);
	for (guint i = 0; i < trace->threads->len; i++) {
		struct thread *thread = trace_thread(trace, i);
		thread->stack = trace_stack(trace, thread->process, thread->stack);
		thread->creator_stack = trace_stack(trace, thread->process, thread->creator_stack);
	}
	for (guint i = 0; i < trace->lives->len; i++) {
		struct live *live = &g_array_index(trace->lives, struct live, i);
		live->stack = trace_stack(trace, live->process, live->stack);
	}
	for (guint i = 0; i < trace->crashes->len; i++) {
		struct crash *crash = &g_array_index(trace->crashes, struct crash, i);
		crash->stack = trace_stack(trace, crash->process, crash->stack);
	}
	for (guint i = 0; i < trace->triggers->len; i++) {
		struct trigger *trigger = &g_array_index(trace->triggers, struct trigger, i);
		trigger->stack = trace_stack(trace, trigger->process, trigger->stack);
	}
	trace->begin_ns = receipt_number(trace, "window.begin_ns");
	trace->end_ns = receipt_number(trace, "window.end_ns");
	if (trace->end_ns < trace->begin_ns)
		trace->end_ns = 0;
}

void trace_narrow(struct trace *trace, uint64_t begin_ns, uint64_t end_ns)
{
	trace->begin_ns = MAX(begin_ns, trace->begin_ns);
	trace->end_ns = trace->end_ns ? MIN(end_ns, trace->end_ns) : end_ns;
	trace->end_ns = MAX(trace->end_ns, trace->begin_ns);
	trace->is_narrowed = 1;
	for (guint i = 0; i < trace->threads->len; i++) {
		struct thread *thread = trace_thread(trace, i);
		thread->cpu_ns = thread->delay_ns = -1;
		thread->n_slices = thread->n_voluntary = thread->n_involuntary = -1;
	}
	g_array_set_size(trace->totals, 0);
}

/* Brings the tables up to date with an event that itself defines something. */
static void learn(struct trace *trace, const struct event *event, uint32_t process_index,
	struct thread *thread)
{
	struct process *process = trace_process(trace, process_index);

	thread->is_seen |= !event_is_kernel(event->kind);
	switch (event->kind) {
	case EVENT_START:
		if (!thread->is_defined) {
			thread->start_ns = event->time_ns;
			thread->creator = event->start.creator;
			thread->start_routine = event->start.start_routine;
			thread->name = strings_add(trace->strings, event->start.name);
		}
		break;
	case EVENT_NAME:
		if (!thread->is_defined)
			thread->name = strings_add(trace->strings, event->name.name);
		break;
	case EVENT_EXIT:
		thread->is_exited = 1;
		if (!thread->end_ns)
			thread->end_ns = event->time_ns;
		break;
	case EVENT_PROCESS:
		if (!process->is_defined) {
			process->pid = event->process.pid;
			process->ppid = event->process.ppid;
			process->parent_proc = event->process.parent_proc;
			process->start_ns = event->time_ns;
			process->exe = strings_add(trace->strings, event->process.exe);
		}
		break;
	default:
		break;
	}
}

static uint32_t event_thread(struct trace *trace, const struct event *event, uint32_t process)
{
	uint32_t index = trace_find_thread(trace, process, event->tid, event->time_ns);

	if (index != THREAD_NONE) {
		const struct thread *thread = trace_thread(trace, index);
		if (thread->is_defined || !thread->is_exited || event->kind != EVENT_START)
			return index;
	}
	struct thread thread = { .process = process, .tid = event->tid, .fd = -1 };

	thread.cpu_ns = thread.delay_ns = -1;
	thread.n_slices = thread.n_voluntary = thread.n_involuntary = -1;
	if (event->kind == EVENT_START)
		thread.start_ns = event->time_ns;
	return trace_add_thread(trace, thread);
}

static uint64_t event_dur(const struct event *event)
{
	switch (event->kind) {
	case EVENT_WAIT:
		return event->wait.dur;
	case EVENT_CALL:
	case EVENT_PATH:
		return event->call.dur;
	case EVENT_REGION_END:
		return event->region.dur;
	case EVENT_WOKEN:
		return event->woken.dur;
	case EVENT_DELAY:
		return event->delay.interval;
	default:
		return 0;
	}
}

int trace_feed(struct trace *trace, const struct event *event, const struct trace_pass *passes,
	size_t n_passes)
{
	struct trace_event at = { .event = event };
	uint64_t dur = event_dur(event), end = event->time_ns;
	int is_enough = 0;

	if (event->kind >= EVENT_FIRST_DEF)
		return 0;
	if (event->proc == 0 && event_is_kernel(event->kind)) {
		trace->n_untraced++;
		return 0;
	}
	at.process = trace_find_process(trace, event->proc);
	at.thread = event_thread(trace, event, at.process);
	learn(trace, event, at.process, trace_thread(trace, at.thread));
	if (!trace->first_ns)
		trace->first_ns = end;
	trace->last_ns = end;
	if (!trace->begin_ns)
		trace->begin_ns = end > dur ? end - dur : 0;
	at.begin_ns = end > dur ? end - dur : 0;
	at.is_outside = end < trace->begin_ns || (trace->end_ns && at.begin_ns > trace->end_ns);
	at.begin_ns = MAX(at.begin_ns, trace->begin_ns);
	if (trace->end_ns)
		end = MIN(end, trace->end_ns);
	at.dur_ns = end > at.begin_ns ? end - at.begin_ns : 0;
	/* The scheduler's records may reach further back on purpose. */
	trace->n_outside += at.is_outside && !event_is_kernel(event->kind);
	trace->n_events += !at.is_outside;
	for (size_t i = 0; i < n_passes; i++)
		if ((!at.is_outside || passes[i].is_unclipped) &&
			(!passes[i].kinds || passes[i].kinds & TRACE_KIND(event->kind)))
			is_enough |= passes[i].event(passes[i].self, trace, &at);
	return is_enough;
}

static int define_event(void *user, const struct event *event)
{
	trace_define(user, event);
	return unpack_is_interrupted();
}

static void take_notes(struct trace *trace, GPtrArray *notes)
{
	/* A second run finds the same faults. */
	for (guint i = 0; i < notes->len; i++)
		if (!g_ptr_array_find_with_equal_func(
			    trace->notes, notes->pdata[i], g_str_equal, NULL))
			g_ptr_array_add(trace->notes, g_strdup(notes->pdata[i]));
	g_ptr_array_set_size(notes, 0);
}

struct trace *trace_open(const char *path, uint64_t max_size, GError **error)
{
	struct trace *trace = trace_new();
	const char *const *state;
	int ret = 0;

	if (!unpack_open(path, max_size, &trace->files, error))
		goto fail;
	state = (const char *const *)&trace->files.state;
	if (trace->files.state)
		ret = source_read(trace->files.dir, state, 1, define_event, trace, &trace->report);
	take_notes(trace, trace->files.notes);
	if (ret < 0) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM, "%s cannot be read: %s", path,
			(char *)g_ptr_array_index(trace->report.notes, 0));
		goto fail;
	}
	if (trace->files.state && trace->report.n_events == 0 && trace->files.events->len == 0) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
			"%s holds nothing that can be read: %s", path,
			trace->report.notes->len ? (char *)trace->report.notes->pdata[0]
						 : "its state trace is empty");
		goto fail;
	}
	take_notes(trace, trace->report.notes);
	trace_defined(trace);
	return trace;
fail:
	trace_free(trace);
	return NULL;
}

struct run {
	struct trace *trace;
	const struct trace_pass *passes;
	size_t n_passes;
};

static int run_event(void *user, const struct event *event)
{
	struct run *run = user;

	return trace_feed(run->trace, event, run->passes, run->n_passes) || unpack_is_interrupted();
}

static int has_packets_around(const struct trace *trace)
{
	const char *schema = trace_env(trace, "schema");

	return schema && g_ascii_strtoull(schema, NULL, 10) >= 2;
}

gboolean trace_run(
	struct trace *trace, const struct trace_pass *passes, size_t n_passes, GError **error)
{
	struct run run = { trace, passes, n_passes };
	int ret, is_clipped = 0;

	source_report_fini(&trace->report);
	source_report_init(&trace->report);
	trace->n_events = trace->n_outside = trace->n_untraced = 0;
	trace->first_ns = trace->last_ns = 0;
	if (trace->files.events->len == 0)
		return TRUE;
	ret = source_read(trace->files.dir, (const char *const *)trace->files.events->pdata,
		trace->files.events->len, run_event, &run, &trace->report);
	if (unpack_is_interrupted()) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INTERRUPTED, "interrupted");
		return FALSE;
	}
	if (ret < 0) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM, "%s",
			(char *)g_ptr_array_index(trace->report.notes, 0));
		return FALSE;
	}
	take_notes(trace, trace->report.notes);
	for (size_t i = 0; i < n_passes; i++)
		is_clipped |= !passes[i].is_unclipped;
	/* Windows of today's recorder come in whole packets, with events around them. */
	if (trace->n_outside && is_clipped && !trace->is_narrowed && !has_packets_around(trace))
		g_ptr_array_add(
			trace->notes, g_strdup_printf("%" G_GUINT64_FORMAT
						      " events outside the window are left out",
					      trace->n_outside));
	if (!trace->end_ns)
		trace->end_ns = trace->last_ns;
	return TRUE;
}

const char *trace_process_name(const struct trace *trace, uint32_t process)
{
	const char *exe = strings_get(trace->strings, trace_process(trace, process)->exe);
	const char *slash = strrchr(exe, '/');

	if (slash && slash[1])
		return slash + 1;
	return *exe ? exe : "unknown";
}

const char *trace_thread_name(const struct trace *trace, uint32_t index)
{
	const struct thread *thread = trace_thread(trace, index);
	const char *name = strings_get(trace->strings, thread->name);

	if (!trace_thread_is_traced(trace, index))
		return "(untraced)";
	return *name ? name : trace_process_name(trace, thread->process);
}
