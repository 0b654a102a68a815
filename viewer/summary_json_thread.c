/* SPDX-License-Identifier: MIT */
/* Processes and threads of the summary as JSON, and what the scheduler did to them. */
#include "viewer/summary_json.h"

json_t *summary_json_processes(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	json_t *list = json_array();
	g_autofree uint64_t *n_threads = g_new0(uint64_t, trace->processes->len + 1);

	for (guint i = 0; i < summary->by_thread->len; i++)
		n_threads[trace_thread(trace, g_array_index(summary->by_thread, uint32_t, i))
				  ->process]++;
	for (guint i = 0; i < trace->processes->len; i++) {
		const struct process *process = trace_process(trace, i);
		json_t *object = json_object();
		json_object_set_new(object, "proc", json_integer(process->proc));
		json_object_set_new(object, "pid", summary_json_pid_of(summary, i));
		json_object_set_new(object, "ppid", json_integer(process->ppid));
		json_object_set_new(object, "exe", summary_json_string_of(summary, process->exe));
		json_object_set_new(
			object, "command", summary_json_string_of(summary, process->command));
		json_object_set_new(object, "defined", json_boolean(process->is_defined));
		json_object_set_new(object, "start_ns",
			json_integer((json_int_t)(process->start_ns - trace->begin_ns)));
		json_object_set_new(object, "end_ns",
			process->end_ns
				? json_integer((json_int_t)(process->end_ns - trace->begin_ns))
				: json_null());
		json_object_set_new(object, "threads", summary_json_number(n_threads[i]));
		json_object_set_new(object, "exit_kind", json_integer(process->exit_kind));
		json_object_set_new(object, "exit_code",
			process->exit_kind ? json_integer(process->exit_code) : json_null());
		json_object_set_new(object, "signal",
			process->signal ? json_integer(process->signal) : json_null());
		json_object_set_new(object, "oom", json_boolean(process->is_oom));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *known(int64_t value)
{
	return value >= 0 ? json_integer(value) : json_null();
}

/* The kernel's count where it is known, else that of the records. */
static json_t *count(int64_t kernel, uint64_t records, int is_exact)
{
	return kernel >= 0 || !is_exact ? known(kernel) : summary_json_number(records);
}

static void add_sched(json_t *object, const struct thread *thread, const struct thread_time *time)
{
	static const char *const names[] = { [THREAD_SCHED_UNKNOWN] = "unknown",
		[THREAD_SCHED_TOTALS] = "totals",
		[THREAD_SCHED_EXACT] = "exact" };
	const struct run_counts *counts = &time->counts;
	int is_exact = time->sched == THREAD_SCHED_EXACT;
	json_t *blocked = json_object();

	for (uint32_t j = 0; j < FR_STATE_EXITED; j++)
		if (time->blocked_ns[j])
			json_object_set_new(blocked,
				j == FR_STATE_RUNNING ? "other" : event_state_name(j),
				summary_json_number(time->blocked_ns[j]));
	json_object_set_new(object, "sched", json_string(names[time->sched]));
	json_object_set_new(object, "run_ns", summary_json_number(time->run_ns));
	json_object_set_new(object, "runnable_ns", summary_json_number(time->runnable_ns));
	json_object_set_new(object, "blocked", blocked);
	json_object_set_new(object, "delay_ns", known(thread->delay_ns));
	json_object_set_new(object, "slices", count(thread->n_slices, counts->n_in, is_exact));
	json_object_set_new(
		object, "voluntary", count(thread->n_voluntary, counts->n_voluntary, is_exact));
	json_object_set_new(object, "involuntary",
		count(thread->n_involuntary, counts->n_involuntary, is_exact));
	json_object_set_new(object, "cpus", is_exact ? json_integer(counts->n_cpus) : json_null());
	json_object_set_new(object, "migrations",
		is_exact ? summary_json_number(counts->n_migrations) : json_null());
}

json_t *summary_json_threads(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	json_t *list = json_array();

	for (guint i = 0; i < summary->by_thread->len; i++) {
		uint32_t index = g_array_index(summary->by_thread, uint32_t, i);
		const struct thread *thread = trace_thread(trace, index);
		const struct thread_time *time = thread_states_get(summary->states, index);
		json_t *object = json_object(), *states = json_object();
		for (uint32_t j = 0; j < FR_STATE_EXITED; j++)
			if (time->state_ns[j] || j == FR_STATE_RUNNING)
				json_object_set_new(states, event_state_name(j),
					summary_json_number(time->state_ns[j]));
		json_object_set_new(object, "tid", json_integer(thread->tid));
		json_object_set_new(object, "pid", summary_json_pid_of(summary, thread->process));
		json_object_set_new(
			object, "name", summary_json_text(trace_thread_name(trace, index)));
		json_object_set_new(object, "present_ns", summary_json_number(time->present_ns));
		json_object_set_new(object, "cpu_ns",
			thread->cpu_ns >= 0 ? json_integer(thread->cpu_ns) : json_null());
		json_object_set_new(object, "open_state",
			time->open_ns ? summary_json_text(event_state_name(thread->state))
				      : json_null());
		json_object_set_new(object, "open_ns", summary_json_number(time->open_ns));
		json_object_set_new(object, "states", states);
		add_sched(object, thread, time);
		json_array_append_new(list, object);
	}
	return list;
}

json_t *summary_json_scheduling(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	const char *step = trace_receipt(trace, "scheduling.step");
	int64_t slices = summary_receipt_number(summary, "scheduling.slices");
	int64_t records = summary_receipt_number(summary, "scheduling.records");
	json_t *object = json_object();
	struct summary_unfollowed unfollowed = summary_unfollowed(summary);
	int is_exact = 0;

	for (guint i = 0; i < trace->threads->len; i++)
		is_exact |= thread_states_get(summary->states, i)->sched == THREAD_SCHED_EXACT;
	json_object_set_new(object, "step", summary_json_text_or_null(step));
	json_object_set_new(
		object, "sentence", summary_json_text_or_null(trace_receipt(trace, "scheduling")));
	json_object_set_new(object, "exact", json_boolean(is_exact));
	json_object_set_new(
		object, "lost", known(summary_receipt_number(summary, "scheduling.lost")));
	json_object_set_new(object, "slices", known(slices));
	json_object_set_new(object, "records", known(records));
	json_object_set_new(object, "unfollowed",
		json_pack("{s:I, s:I}", "threads", (json_int_t)unfollowed.n, "run_ns",
			(json_int_t)unfollowed.run_ns));
	json_object_set_new(object, "missing",
		slices >= 0 && records >= 0 ? json_integer(slices - records) : json_null());
	return object;
}
