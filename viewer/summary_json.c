/* SPDX-License-Identifier: MIT */
/* The summary as one JSON object; its keys are documented in summary.h. */
#include "viewer/summary.h"

#include <errno.h>
#include <jansson.h>

/* jansson refuses strings that are not UTF-8; names of files and threads need not be. */
static json_t *text(const char *bytes)
{
	g_autofree char *valid = g_utf8_make_valid(bytes ? bytes : "", -1);

	return json_string(valid);
}

static json_t *text_or_null(const char *bytes)
{
	return bytes ? text(bytes) : json_null();
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *string_of(const struct summary *summary, uint32_t id)
{
	return text(strings_get(summary->trace->strings, id));
}

static json_t *pid_of(const struct summary *summary, uint32_t process)
{
	const struct process *of = trace_process(summary->trace, process);

	return of->pid ? json_integer(of->pid) : json_null();
}

static json_t *pairs(const struct summary *summary, const GArray *from)
{
	json_t *object = json_object();

	for (guint i = 0; i < from->len; i++) {
		const struct pair *pair = &g_array_index(from, struct pair, i);
		g_autofree char *key =
			g_utf8_make_valid(strings_get(summary->trace->strings, pair->key), -1);
		json_object_set_new(object, key, string_of(summary, pair->value));
	}
	return object;
}

static json_t *trace_object(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	int64_t asked = summary_receipt_number(summary, "window.asked_ns");
	json_t *object = json_object();

	json_object_set_new(object, "command", text_or_null(trace_env(trace, "command")));
	json_object_set_new(object, "host", text_or_null(trace_env(trace, "host")));
	json_object_set_new(object, "kernel", text_or_null(trace_env(trace, "kernel")));
	json_object_set_new(object, "mode", text_or_null(trace_receipt(trace, "mode")));
	json_object_set_new(object, "end_reason", text_or_null(trace_receipt(trace, "end_reason")));
	json_object_set_new(object, "scheduling", text_or_null(trace_receipt(trace, "scheduling")));
	json_object_set_new(object, "begin_wall_ns",
		trace->report.has_clock
			? json_integer((json_int_t)trace->begin_ns + trace->report.wall_offset_ns)
			: json_null());
	json_object_set_new(object, "asked_ns", asked >= 0 ? json_integer(asked) : json_null());
	json_object_set_new(object, "window_ns", number(trace->end_ns - trace->begin_ns));
	json_object_set_new(object, "events", number(trace->n_events));
	json_object_set_new(object, "streams", number(trace->report.n_streams));
	json_object_set_new(object, "env", pairs(summary, trace->env));
	json_object_set_new(object, "receipt", pairs(summary, trace->receipt));
	return object;
}

static json_t *process_list(const struct summary *summary)
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
		json_object_set_new(object, "pid", pid_of(summary, i));
		json_object_set_new(object, "ppid", json_integer(process->ppid));
		json_object_set_new(object, "exe", string_of(summary, process->exe));
		json_object_set_new(object, "command", string_of(summary, process->command));
		json_object_set_new(object, "defined", json_boolean(process->is_defined));
		json_object_set_new(object, "start_ns",
			json_integer((json_int_t)(process->start_ns - trace->begin_ns)));
		json_object_set_new(object, "end_ns",
			process->end_ns
				? json_integer((json_int_t)(process->end_ns - trace->begin_ns))
				: json_null());
		json_object_set_new(object, "threads", number(n_threads[i]));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *thread_list(const struct summary *summary)
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
				json_object_set_new(
					states, event_state_name(j), number(time->state_ns[j]));
		json_object_set_new(object, "tid", json_integer(thread->tid));
		json_object_set_new(object, "pid", pid_of(summary, thread->process));
		json_object_set_new(object, "name", text(trace_thread_name(trace, index)));
		json_object_set_new(object, "present_ns", number(time->present_ns));
		json_object_set_new(object, "cpu_ns",
			thread->cpu_ns >= 0 ? json_integer(thread->cpu_ns) : json_null());
		json_object_set_new(object, "open_state",
			time->open_ns ? text(event_state_name(thread->state)) : json_null());
		json_object_set_new(object, "open_ns", number(time->open_ns));
		json_object_set_new(object, "states", states);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *lock_pairs(const struct summary *summary, uint32_t lock, unsigned top)
{
	const struct trace *trace = summary->trace;
	const struct lock_pair *found[64];
	size_t n = summary_lock_pairs(
		summary, lock, found, top && top < G_N_ELEMENTS(found) ? top : G_N_ELEMENTS(found));
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct lock_pair *pair = found[i];
		json_t *object = json_object();
		int is_known = pair->holder != THREAD_NONE;
		json_object_set_new(object, "waiter", string_of(summary, pair->waiter_site));
		json_object_set_new(object, "holder",
			pair->holder_site ? string_of(summary, pair->holder_site) : json_null());
		json_object_set_new(object, "holder_tid",
			is_known ? json_integer(trace_thread(trace, pair->holder)->tid)
				 : json_null());
		json_object_set_new(object, "holder_name",
			is_known ? text(trace_thread_name(trace, pair->holder)) : json_null());
		json_object_set_new(object, "count", number(pair->total.n));
		json_object_set_new(object, "wait_ns", number(pair->total.ns));
		json_object_set_new(object, "max_ns", number(pair->total.max_ns));
		json_array_append_new(list, object);
	}
	return list;
}

static guint at_most(const GArray *rows, unsigned top)
{
	return top && top < rows->len ? top : rows->len;
}

static json_t *lock_list(const struct summary *summary, unsigned top)
{
	json_t *list = json_array();

	for (guint i = 0; i < at_most(summary->by_lock, top); i++) {
		uint32_t index = g_array_index(summary->by_lock, uint32_t, i);
		const struct lock *lock = &g_array_index(summary->locks.locks, struct lock, index);
		g_autofree char *address = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", lock->obj);
		json_t *object = json_object();
		json_object_set_new(object, "kind", text(event_lock_name(lock->kind)));
		json_object_set_new(object, "address", text(address));
		json_object_set_new(object, "pid", pid_of(summary, lock->process));
		json_object_set_new(
			object, "contended", json_boolean(summary_is_contention(lock->kind)));
		json_object_set_new(object, "count", number(lock->total.n));
		json_object_set_new(object, "wait_ns", number(lock->total.ns));
		json_object_set_new(object, "max_ns", number(lock->total.max_ns));
		json_object_set_new(object, "errors", number(lock->n_failed));
		json_object_set_new(object, "open", number(lock->n_open));
		json_object_set_new(object, "open_ns", number(lock->open_ns));
		json_object_set_new(object, "pairs", lock_pairs(summary, index, top));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *call_list(const struct summary *summary, unsigned top)
{
	json_t *list = json_array();

	for (guint i = 0; i < at_most(summary->by_call, top); i++) {
		uint32_t call = g_array_index(summary->by_call, uint32_t, i);
		const struct call_stat *stat = &summary->calls.by_call[call];
		json_t *object = json_object(), *total = json_null();
		if (stat->exact_n) {
			total = json_object();
			json_object_set_new(total, "count", number(stat->exact_n));
			json_object_set_new(total, "ns", number(stat->exact_ns));
			json_object_set_new(total, "bytes", number(stat->exact_bytes));
			json_object_set_new(total, "without_event", number(stat->short_n));
			json_object_set_new(total, "without_event_ns", number(stat->short_ns));
		}
		json_object_set_new(object, "call", text(event_call_name(call)));
		json_object_set_new(object, "events", number(stat->n));
		json_object_set_new(object, "ns", number(stat->ns));
		json_object_set_new(object, "max_ns", number(stat->max_ns));
		json_object_set_new(object, "bytes", number(stat->bytes));
		json_object_set_new(object, "errors", number(stat->n_errors));
		json_object_set_new(object, "open", number(stat->n_open));
		json_object_set_new(object, "open_ns", number(stat->open_ns));
		json_object_set_new(object, "total", total);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *call_site_list(const struct summary *summary, unsigned top)
{
	const struct trace *trace = summary->trace;
	json_t *list = json_array();

	for (guint i = 0; i < at_most(summary->by_call_site, top); i++) {
		const struct call_site *site = &g_array_index(summary->calls.sites,
			struct call_site, g_array_index(summary->by_call_site, uint32_t, i));
		json_t *object = json_object(), *target = json_null();
		uint32_t fd_target = idmap_get(
			&trace->fds, trace_process(trace, site->process)->proc, (uint32_t)site->fd);
		if (site->path && !site->is_path_various)
			target = string_of(summary, site->path);
		else if (site->fd >= 0 && fd_target != IDMAP_NONE)
			target = string_of(summary, fd_target);
		json_object_set_new(object, "call", text(event_call_name(site->call)));
		json_object_set_new(object, "site", string_of(summary, site->site));
		json_object_set_new(object, "pid", pid_of(summary, site->process));
		json_object_set_new(
			object, "fd", site->fd >= 0 ? json_integer(site->fd) : json_null());
		json_object_set_new(object, "target", target);
		json_object_set_new(object, "count", number(site->n));
		json_object_set_new(object, "ns", number(site->ns));
		json_object_set_new(object, "max_ns", number(site->max_ns));
		json_object_set_new(object, "bytes", number(site->bytes));
		json_object_set_new(object, "errors", number(site->n_errors));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *alloc_object(const struct summary *summary, unsigned top)
{
	json_t *object = json_object(), *list = json_array();

	for (guint i = 0; i < at_most(summary->alloc_places, top); i++) {
		const struct alloc_place *place =
			&g_array_index(summary->alloc_places, struct alloc_place, i);
		json_t *row = json_object();
		json_object_set_new(row, "site", string_of(summary, place->site));
		json_object_set_new(row, "samples", number(place->n_samples));
		json_object_set_new(row, "objects", number((uint64_t)place->objects));
		json_object_set_new(row, "bytes", number((uint64_t)place->bytes));
		json_object_set_new(row, "in_use_samples", number(place->n_in_use_samples));
		json_object_set_new(row, "in_use_objects", number((uint64_t)place->in_use_objects));
		json_object_set_new(row, "in_use_bytes", number((uint64_t)place->in_use_bytes));
		json_array_append_new(list, row);
	}
	json_object_set_new(object, "samples", number(summary->allocs.n_samples));
	json_object_set_new(object, "frees", number(summary->allocs.n_frees));
	json_object_set_new(object, "sites", list);
	return object;
}

static json_t *type_list(
	const struct summary *summary, const GArray *types, const GArray *order, unsigned top)
{
	const struct trace *trace = summary->trace;
	json_t *list = json_array();

	for (guint i = 0; i < at_most(order, top); i++) {
		const struct task_type *type =
			&g_array_index(types, struct task_type, g_array_index(order, uint32_t, i));
		const struct latency *latency = &type->latency;
		json_t *object = json_object();
		json_object_set_new(object, "type", string_of(summary, type->type));
		json_object_set_new(object, "count", number(latency->n));
		json_object_set_new(object, "p50_ns", number(latency_percentile(latency, 50)));
		json_object_set_new(object, "p90_ns", number(latency_percentile(latency, 90)));
		json_object_set_new(object, "p99_ns", number(latency_percentile(latency, 99)));
		json_object_set_new(object, "max_ns", number(latency->max_ns));
		json_object_set_new(object, "sum_ns", number(latency->sum_ns));
		json_object_set_new(object, "open", number(type->n_open));
		json_object_set_new(object, "oldest_open_ns",
			type->n_open ? number(trace->end_ns - type->oldest_ns) : json_null());
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *counter_list(const struct summary *summary)
{
	json_t *list = json_array();

	for (guint i = 0; i < summary->tasks.counters->len; i++) {
		const struct user_counter *counter =
			&g_array_index(summary->tasks.counters, struct user_counter, i);
		json_t *object = json_object();
		json_object_set_new(object, "name", string_of(summary, counter->name));
		json_object_set_new(object, "pid", pid_of(summary, counter->process));
		json_object_set_new(object, "count", number(counter->n));
		json_object_set_new(object, "first", json_integer(counter->first));
		json_object_set_new(object, "last", json_integer(counter->last));
		json_object_set_new(object, "min", json_integer(counter->min));
		json_object_set_new(object, "max", json_integer(counter->max));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *lost_object(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	int64_t events = summary_receipt_number(summary, "lost.events");
	int64_t packets = summary_receipt_number(summary, "lost.packets");
	json_t *object = json_object(), *counters = json_object(), *notes = json_array();
	const char *name, *about;

	for (size_t i = 0; (name = summary_loss_counter(i, &about)); i++)
		if (summary_counter(summary, name))
			json_object_set_new(counters, name, number(summary_counter(summary, name)));
	for (guint i = 0; i < trace->receipt->len; i++) {
		const struct pair *pair = &g_array_index(trace->receipt, struct pair, i);
		if (g_str_has_prefix(strings_get(trace->strings, pair->key), "note."))
			json_array_append_new(notes, string_of(summary, pair->value));
	}
	for (guint i = 0; i < trace->notes->len; i++)
		json_array_append_new(notes, text(trace->notes->pdata[i]));
	json_object_set_new(object, "events",
		events >= 0 ? json_integer(events) : number(trace->report.n_lost));
	json_object_set_new(object, "packets", packets >= 0 ? json_integer(packets) : json_null());
	json_object_set_new(object, "counters", counters);
	json_object_set_new(object, "notes", notes);
	return object;
}

int summary_print_json(const struct summary *summary, FILE *out, unsigned top)
{
	json_t *root = json_object();
	int ret;

	json_object_set_new(root, "schema", json_integer(1));
	json_object_set_new(root, "trace", trace_object(summary));
	json_object_set_new(root, "processes", process_list(summary));
	json_object_set_new(root, "threads", thread_list(summary));
	json_object_set_new(root, "locks", lock_list(summary, top));
	json_object_set_new(root, "calls", call_list(summary, top));
	json_object_set_new(root, "call_sites", call_site_list(summary, top));
	json_object_set_new(root, "allocations", alloc_object(summary, top));
	json_object_set_new(
		root, "tasks", type_list(summary, summary->tasks.tasks, summary->by_task, top));
	json_object_set_new(root, "regions",
		type_list(summary, summary->tasks.regions, summary->by_region, top));
	json_object_set_new(root, "counters", counter_list(summary));
	json_object_set_new(root, "logs", number(summary->tasks.n_logs));
	json_object_set_new(root, "lost", lost_object(summary));
	ret = json_dumpf(root, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF ? 0 : -EIO;
	json_decref(root);
	return ret;
}
