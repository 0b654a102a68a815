/* SPDX-License-Identifier: MIT */
/* Deaths, triggers, wakers and CPU samples of the summary as JSON. */
#include "viewer/summary_json.h"

static json_t *frames(const struct summary *summary, uint32_t index)
{
	const struct stacks *stacks = &summary->trace->stacks;
	const struct stack *stack = stacks_get(stacks, index);
	json_t *list = json_array();

	for (uint32_t i = 0; i < stack->n_frames; i++) {
		const struct location *location = stacks_frame(stacks, stack, i);
		for (uint32_t j = 0; j == 0 || j < location->n_lines; j++) {
			g_autoptr(GString) name = g_string_new(NULL);
			stacks_append_function(stacks, location, j, name);
			json_array_append_new(list, summary_json_text(name->str));
		}
	}
	return list;
}

/* Keys that say which thread. */
static void add_thread(const struct summary *summary, json_t *object, uint32_t process,
	uint32_t tid, uint64_t time_ns)
{
	const struct trace *trace = summary->trace;
	uint32_t thread = tid ? trace_find_thread(trace, process, tid, time_ns) : THREAD_NONE;

	json_object_set_new(object, "pid", summary_json_pid_of(summary, process));
	json_object_set_new(object, "tid", tid ? json_integer(tid) : json_null());
	json_object_set_new(object, "name",
		thread == THREAD_NONE ? json_null()
				      : summary_json_text(trace_thread_name(trace, thread)));
	json_object_set_new(object, "time_ns", json_integer((json_int_t)(trace->end_ns - time_ns)));
}

json_t *summary_json_death(const struct summary *summary)
{
	const char *reason = trace_receipt(summary->trace, "death");
	int64_t signal = summary_receipt_number(summary, "death.signal");
	json_t *object;

	if (!reason)
		return json_null();
	object = json_object();
	json_object_set_new(object, "reason", summary_json_text(reason));
	json_object_set_new(object, "signal", signal > 0 ? json_integer(signal) : json_null());
	return object;
}

json_t *summary_json_crashes(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	json_t *list = json_array();

	for (guint i = 0; i < trace->crashes->len; i++) {
		const struct crash *crash = &g_array_index(trace->crashes, struct crash, i);
		json_t *object = json_object();
		add_thread(summary, object, crash->process, crash->tid, crash->time_ns);
		json_object_set_new(object, "signal", json_integer(crash->signal));
		json_object_set_new(object, "code", json_integer(crash->code));
		json_object_set_new(object, "address", summary_json_number(crash->addr));
		json_object_set_new(object, "pc", summary_json_number(crash->pc));
		json_object_set_new(object, "sp", summary_json_number(crash->sp));
		json_object_set_new(object, "stack_overflow", json_boolean(crash->is_overflow));
		json_object_set_new(object, "sender_pid", json_integer(crash->sender_pid));
		json_object_set_new(object, "sender_uid", json_integer(crash->sender_uid));
		json_object_set_new(
			object, "registers", summary_json_string_of(summary, crash->registers));
		json_object_set_new(
			object, "code_bytes", summary_json_string_of(summary, crash->code_bytes));
		json_object_set_new(
			object, "stack_bytes", summary_json_string_of(summary, crash->stack_bytes));
		json_object_set_new(object, "stack", frames(summary, crash->stack));
		json_array_append_new(list, object);
	}
	return list;
}

json_t *summary_json_triggers(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	json_t *object = json_object(), *list = json_array();

	for (guint i = 0; i < trace->triggers->len; i++) {
		const struct trigger *trigger = &g_array_index(trace->triggers, struct trigger, i);
		json_t *moment = json_object();
		json_object_set_new(moment, "kind", summary_json_string_of(summary, trigger->kind));
		json_object_set_new(
			moment, "reason", summary_json_string_of(summary, trigger->reason));
		add_thread(summary, moment, trigger->process, trigger->tid, trigger->time_ns);
		json_object_set_new(moment, "value", summary_json_number(trigger->value));
		json_object_set_new(moment, "limit", summary_json_number(trigger->limit));
		json_object_set_new(moment, "stack", frames(summary, trigger->stack));
		json_array_append_new(list, moment);
	}
	json_object_set_new(
		object, "reason", summary_json_text_or_null(trace_receipt(trace, "trigger")));
	json_object_set_new(object, "moments", list);
	return object;
}

json_t *summary_json_wakers(const struct summary *summary, unsigned top)
{
	struct trace *trace = summary->trace;
	json_t *list = json_array();

	for (guint i = 0; i < summary->by_waker->len && (!top || i < top); i++) {
		const struct waker *waker = &g_array_index(summary->wakers.wakers, struct waker,
			g_array_index(summary->by_waker, uint32_t, i));
		json_t *object = json_object(), *kinds = json_array();
		int is_one = waker->thread < trace->threads->len;
		for (uint32_t state = 0; state < FR_STATE_N; state++)
			if (waker->states >> state & 1)
				json_array_append_new(kinds, json_string(event_state_name(state)));
		json_object_set_new(object, "pid", summary_json_pid_of(summary, waker->process));
		json_object_set_new(object, "tid",
			is_one ? json_integer(trace_thread(trace, waker->thread)->tid)
			       : json_null());
		json_object_set_new(object, "name",
			is_one ? summary_json_text(trace_thread_name(trace, waker->thread))
			       : json_null());
		json_object_set_new(object, "kinds", kinds);
		json_object_set_new(object, "count", summary_json_number(waker->n));
		json_object_set_new(object, "wait_ns", summary_json_number(waker->ns));
		json_object_set_new(object, "max_ns", summary_json_number(waker->max_ns));
		json_object_set_new(object, "site",
			summary_json_string_of(summary, stacks_site(&trace->stacks, waker->stack)));
		json_object_set_new(object, "stack", frames(summary, waker->stack));
		json_array_append_new(list, object);
	}
	return list;
}

json_t *summary_json_cpu(const struct summary *summary, unsigned top)
{
	const struct cpu_samples *samples = &summary->cpu;
	int64_t hz = summary_receipt_number(summary, "samples.hz");
	int64_t lost = summary_receipt_number(summary, "samples.lost");
	json_t *object = json_object(), *list = json_array();

	for (guint i = 0; i < summary->by_cpu_site->len && (!top || i < top); i++) {
		const struct cpu_site *site = &g_array_index(samples->sites, struct cpu_site,
			g_array_index(summary->by_cpu_site, uint32_t, i));
		json_t *row = json_object();
		json_object_set_new(row, "site", summary_json_string_of(summary, site->site));
		json_object_set_new(row, "samples", summary_json_number(site->n));
		json_object_set_new(row, "ns", summary_json_number(site->ns));
		json_array_append_new(list, row);
	}
	json_object_set_new(object, "hz", hz > 0 ? json_integer(hz) : json_null());
	json_object_set_new(object, "samples", summary_json_number(samples->n));
	json_object_set_new(object, "ns", summary_json_number(samples->ns));
	json_object_set_new(object, "lost", lost >= 0 ? json_integer(lost) : json_null());
	json_object_set_new(object, "sites", list);
	return object;
}
