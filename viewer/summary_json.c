/* SPDX-License-Identifier: MIT */
/* The summary as one JSON object; its keys are documented in summary.h. */
#include "viewer/summary.h"

#include <errno.h>

#include "viewer/summary_json.h"

static json_t *pairs(const struct summary *summary, const GArray *from)
{
	json_t *object = json_object();

	for (guint i = 0; i < from->len; i++) {
		const struct pair *pair = &g_array_index(from, struct pair, i);
		g_autofree char *key =
			g_utf8_make_valid(strings_get(summary->trace->strings, pair->key), -1);
		json_object_set_new(object, key, summary_json_string_of(summary, pair->value));
	}
	return object;
}

static json_t *trace_object(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	int64_t asked = summary_receipt_number(summary, "window.asked_ns");
	json_t *object = json_object();

	json_object_set_new(
		object, "command", summary_json_text_or_null(trace_env(trace, "command")));
	json_object_set_new(object, "host", summary_json_text_or_null(trace_env(trace, "host")));
	json_object_set_new(
		object, "kernel", summary_json_text_or_null(trace_env(trace, "kernel")));
	json_object_set_new(
		object, "mode", summary_json_text_or_null(trace_receipt(trace, "mode")));
	json_object_set_new(object, "end_reason",
		summary_json_text_or_null(trace_receipt(trace, "end_reason")));
	json_object_set_new(object, "scheduling",
		summary_json_text_or_null(trace_receipt(trace, "scheduling")));
	json_object_set_new(object, "begin_wall_ns",
		trace->report.has_clock
			? json_integer((json_int_t)trace->begin_ns + trace->report.wall_offset_ns)
			: json_null());
	json_object_set_new(object, "asked_ns", asked >= 0 ? json_integer(asked) : json_null());
	json_object_set_new(
		object, "window_ns", summary_json_number(trace->end_ns - trace->begin_ns));
	json_object_set_new(object, "events", summary_json_number(trace->n_events));
	json_object_set_new(object, "outside", summary_json_number(trace->n_outside));
	json_object_set_new(object, "streams", summary_json_number(trace->report.n_streams));
	json_object_set_new(object, "env", pairs(summary, trace->env));
	json_object_set_new(object, "receipt", pairs(summary, trace->receipt));
	return object;
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
		json_object_set_new(
			object, "waiter", summary_json_string_of(summary, pair->waiter_site));
		json_object_set_new(object, "holder",
			pair->holder_site ? summary_json_string_of(summary, pair->holder_site)
					  : json_null());
		json_object_set_new(object, "holder_tid",
			is_known ? json_integer(trace_thread(trace, pair->holder)->tid)
				 : json_null());
		json_object_set_new(object, "holder_name",
			is_known ? summary_json_text(trace_thread_name(trace, pair->holder))
				 : json_null());
		json_object_set_new(object, "count", summary_json_number(pair->total.n));
		json_object_set_new(object, "wait_ns", summary_json_number(pair->total.ns));
		json_object_set_new(object, "max_ns", summary_json_number(pair->total.max_ns));
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
		json_object_set_new(object, "kind", summary_json_text(event_lock_name(lock->kind)));
		json_object_set_new(object, "address", summary_json_text(address));
		json_object_set_new(object, "pid", summary_json_pid_of(summary, lock->process));
		json_object_set_new(
			object, "contended", json_boolean(summary_is_contention(lock->kind)));
		json_object_set_new(object, "count", summary_json_number(lock->total.n));
		json_object_set_new(object, "wait_ns", summary_json_number(lock->total.ns));
		json_object_set_new(object, "max_ns", summary_json_number(lock->total.max_ns));
		json_object_set_new(object, "errors", summary_json_number(lock->n_failed));
		json_object_set_new(object, "open", summary_json_number(lock->n_open));
		json_object_set_new(object, "open_ns", summary_json_number(lock->open_ns));
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
			json_object_set_new(total, "count", summary_json_number(stat->exact_n));
			json_object_set_new(total, "ns", summary_json_number(stat->exact_ns));
			json_object_set_new(total, "bytes", summary_json_number(stat->exact_bytes));
			json_object_set_new(
				total, "without_event", summary_json_number(stat->short_n));
			json_object_set_new(
				total, "without_event_ns", summary_json_number(stat->short_ns));
		}
		json_object_set_new(object, "call", summary_json_text(event_call_name(call)));
		json_object_set_new(object, "events", summary_json_number(stat->n));
		json_object_set_new(object, "ns", summary_json_number(stat->ns));
		json_object_set_new(object, "max_ns", summary_json_number(stat->max_ns));
		json_object_set_new(object, "bytes", summary_json_number(stat->bytes));
		json_object_set_new(object, "errors", summary_json_number(stat->n_errors));
		json_object_set_new(object, "open", summary_json_number(stat->n_open));
		json_object_set_new(object, "open_ns", summary_json_number(stat->open_ns));
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
			target = summary_json_string_of(summary, site->path);
		else if (site->fd >= 0 && fd_target != IDMAP_NONE)
			target = summary_json_string_of(summary, fd_target);
		json_object_set_new(object, "call", summary_json_text(event_call_name(site->call)));
		json_object_set_new(object, "site", summary_json_string_of(summary, site->site));
		json_object_set_new(object, "pid", summary_json_pid_of(summary, site->process));
		json_object_set_new(
			object, "fd", site->fd >= 0 ? json_integer(site->fd) : json_null());
		json_object_set_new(object, "target", target);
		json_object_set_new(object, "count", summary_json_number(site->n));
		json_object_set_new(object, "ns", summary_json_number(site->ns));
		json_object_set_new(object, "max_ns", summary_json_number(site->max_ns));
		json_object_set_new(object, "bytes", summary_json_number(site->bytes));
		json_object_set_new(object, "errors", summary_json_number(site->n_errors));
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
		json_object_set_new(row, "site", summary_json_string_of(summary, place->site));
		json_object_set_new(row, "samples", summary_json_number(place->n_samples));
		json_object_set_new(row, "objects", summary_json_number((uint64_t)place->objects));
		json_object_set_new(row, "bytes", summary_json_number((uint64_t)place->bytes));
		json_object_set_new(
			row, "in_use_samples", summary_json_number(place->n_in_use_samples));
		json_object_set_new(row, "in_use_objects",
			summary_json_number((uint64_t)place->in_use_objects));
		json_object_set_new(
			row, "in_use_bytes", summary_json_number((uint64_t)place->in_use_bytes));
		json_array_append_new(list, row);
	}
	json_object_set_new(object, "samples", summary_json_number(summary->allocs.n_samples));
	json_object_set_new(object, "frees", summary_json_number(summary->allocs.n_frees));
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
		json_object_set_new(object, "type", summary_json_string_of(summary, type->type));
		json_object_set_new(object, "count", summary_json_number(latency->n));
		json_object_set_new(
			object, "p50_ns", summary_json_number(latency_percentile(latency, 50)));
		json_object_set_new(
			object, "p90_ns", summary_json_number(latency_percentile(latency, 90)));
		json_object_set_new(
			object, "p99_ns", summary_json_number(latency_percentile(latency, 99)));
		json_object_set_new(object, "max_ns", summary_json_number(latency->max_ns));
		json_object_set_new(object, "sum_ns", summary_json_number(latency->sum_ns));
		json_object_set_new(object, "open", summary_json_number(type->n_open));
		json_object_set_new(object, "oldest_open_ns",
			type->n_open ? summary_json_number(trace->end_ns - type->oldest_ns)
				     : json_null());
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
		json_object_set_new(object, "name", summary_json_string_of(summary, counter->name));
		json_object_set_new(object, "pid", summary_json_pid_of(summary, counter->process));
		json_object_set_new(object, "count", summary_json_number(counter->n));
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
		if (summary_loss(summary, name))
			json_object_set_new(
				counters, name, summary_json_number(summary_loss(summary, name)));
	for (guint i = 0; i < trace->receipt->len; i++) {
		const struct pair *pair = &g_array_index(trace->receipt, struct pair, i);
		if (g_str_has_prefix(strings_get(trace->strings, pair->key), "note."))
			json_array_append_new(notes, summary_json_string_of(summary, pair->value));
	}
	for (guint i = 0; i < trace->notes->len; i++)
		json_array_append_new(notes, summary_json_text(trace->notes->pdata[i]));
	json_object_set_new(object, "events",
		events >= 0 ? json_integer(events) : summary_json_number(trace->report.n_lost));
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
	json_object_set_new(root, "processes", summary_json_processes(summary));
	json_object_set_new(root, "threads", summary_json_threads(summary));
	json_object_set_new(root, "scheduling", summary_json_scheduling(summary));
	json_object_set_new(root, "death", summary_json_death(summary));
	json_object_set_new(root, "crashes", summary_json_crashes(summary));
	json_object_set_new(root, "triggers", summary_json_triggers(summary));
	json_object_set_new(root, "wakers", summary_json_wakers(summary, top));
	json_object_set_new(root, "cpu", summary_json_cpu(summary, top));
	json_object_set_new(root, "locks", lock_list(summary, top));
	json_object_set_new(root, "calls", call_list(summary, top));
	json_object_set_new(root, "call_sites", call_site_list(summary, top));
	json_object_set_new(root, "allocations", alloc_object(summary, top));
	json_object_set_new(
		root, "tasks", type_list(summary, summary->tasks.tasks, summary->by_task, top));
	json_object_set_new(root, "regions",
		type_list(summary, summary->tasks.regions, summary->by_region, top));
	json_object_set_new(root, "counters", counter_list(summary));
	json_object_set_new(root, "logs", summary_json_number(summary->tasks.n_logs));
	if (summary->findings)
		json_object_set_new(root, "findings", findings_json(summary->findings));
	json_object_set_new(root, "lost", lost_object(summary));
	ret = json_dumpf(root, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF ? 0 : -EIO;
	json_decref(root);
	return ret;
}
