/* SPDX-License-Identifier: MIT */
/* What is going on: a health check, and JSON for tools. */
#include "recorder/routes.h"

#include <glib.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "recorder/blackbox_read.h"
#include "recorder/profile_process.h"
#include "recorder/reply.h"
#include "recorder/trigger.h"
#include "recorder/sched.h"

/* From the kernel: the tracer's own threads are among them; 0: it is gone. */
static unsigned count_kernel_threads(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
	g_autofree char *text = NULL;
	const char *line;
	unsigned n = 0;

	if (pid == 0 || !g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	line = strstr(text, "\nThreads:");
	return line && sscanf(line, "\nThreads: %u", &n) == 1 ? n : 0;
}

unsigned route_count_threads(const struct routes_context *context)
{
	pid_t pid = atomic_load(&context->pid);
	unsigned n_kernel = count_kernel_threads(pid), n = 0;
	g_autoptr(GPtrArray) processes = NULL;

	if (n_kernel == 0 || !context->rundir)
		return n_kernel;
	processes = profile_processes_open(context->rundir, pid);
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		g_autoptr(GArray) threads = NULL;

		if (!process->is_alive)
			continue;
		threads = profile_process_threads(process);
		n = threads->len;
	}
	return n ? n : n_kernel;
}

static void add_counters(json_t *object, const struct fr_counters *counters)
{
#define FR_X(field, text) \
	json_object_set_new(object, #field, json_integer((json_int_t)counters->field));
	FR_COUNTER_TABLE(FR_X)
#undef FR_X
}

static json_t *program_json(const struct routes_context *context, const struct blackbox_sum *sum)
{
	pid_t pid = atomic_load(&context->pid);
	g_autofree char *start = reply_time(context->start_real_ns);

	return json_pack("{s:i, s:o, s:s, s:i, s:i, s:i, s:i}", "pid", (int)pid, "command",
		reply_string(context->command), "started_at", start, "threads",
		(int)route_count_threads(context), "processes_traced", (int)sum->n_processes,
		"processes_alive", (int)sum->n_alive, "threads_traced", (int)sum->n_threads);
}

static json_t *ring_json(const struct recording_status *status)
{
	const char *state = status->is_ring_on ? "recording" : "ended";
	g_autofree char *age = recording_age_sentence(status);
	char window[64], covered[64];
	json_t *ring;

	if (status->untraced && !status->ring_bytes)
		state = "off";
	units_duration_format((int64_t)status->ring_window_ns, window, sizeof(window));
	units_duration_format((int64_t)status->covered_ns, covered, sizeof(covered));
	/* held_bytes null: no program has registered yet. */
	ring = json_pack("{s:s, s:I, s:o, s:s}", "state", state, "capacity_bytes",
		(json_int_t)status->ring_bytes, "held_bytes",
		status->has_ring_held ? json_integer((json_int_t)status->ring_held_bytes)
				      : json_null(),
		"recording_for", window);
	/* Nothing is missing since so long ago, losses apart. */
	json_object_set_new(ring, "covered", json_string(covered));
	json_object_set_new(ring, "covered_ns", json_integer((json_int_t)status->covered_ns));
	json_object_set_new(ring, "is_full", json_boolean(status->is_ring_full));
	json_object_set_new(
		ring, "wished_ns", json_integer((json_int_t)status->wished_ns)); /* --min-age */
	json_object_set_new(
		ring, "lost_events", json_integer((json_int_t)status->ring_lost_events));
	json_object_set_new(ring, "note", age ? json_string(age) : json_null());
	return ring;
}

/* All runs and traces that are on. */
static json_t *windows_json(const struct recording_status *status)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < status->n_windows; i++) {
		json_t *window = reply_info(&status->windows[i]);

		json_object_set_new(window, "state",
			json_string(session_state_name(status->windows[i].state)));
		json_array_append_new(list, window);
	}
	return list;
}

/* Rates are those that hold now: they can be set while the program runs. */
static json_t *settings_json(const struct routes_context *context)
{
	static const char *const engines[] = { "auto", "signal", "perf" };
	const struct options *options = context->options;
	const struct fr_control *control = context->control;
	g_autofree char *events = options_events_format(options->events);
	char lock[64], syscall[64], limit[64], debuginfod[64];
	json_t *settings;

	units_duration_format((int64_t)options->lock_ns, lock, sizeof(lock));
	units_duration_format((int64_t)options->syscall_ns, syscall, sizeof(syscall));
	units_duration_format((int64_t)options->max_duration_ns, limit, sizeof(limit));
	settings = json_pack("{s:s, s:s, s:s, s:I, s:i, s:I, s:I}", "events", events,
		"lock_threshold", lock, "syscall_threshold", syscall, "alloc_rate",
		(json_int_t)(control ? control->alloc_rate : 0), "stack_depth",
		(int)options->stack_depth, "buffer_size", (json_int_t)options->buffer_bytes,
		"max_trace_size", (json_int_t)options->max_trace_bytes);
	json_object_set_new(settings, "block_rate_ns",
		json_integer(control ? (json_int_t)control->block_rate_ns : 0));
	json_object_set_new(settings, "mutex_fraction",
		json_integer(control ? (json_int_t)control->mutex_fraction : 0));
	json_object_set_new(settings, "cpu_rate", json_integer((json_int_t)options->cpu_hz));
	json_object_set_new(
		settings, "cpu_always", json_integer((json_int_t)options->cpu_always_hz));
	json_object_set_new(settings, "cpu_engine", json_string(engines[options->cpu_engine]));
	json_object_set_new(settings, "max_duration", json_string(limit));
	units_duration_format((int64_t)options->debuginfod_ns, debuginfod, sizeof(debuginfod));
	json_object_set_new(settings, "debuginfod", json_string(debuginfod));
	return settings;
}

/* What is known of the scheduler, and what that costs. */
static json_t *scheduling_json(struct sched *sched)
{
	g_autofree char *sentence = sched_describe(sched);
	struct sched_status status;
	char window[64];

	sched_status(sched, &status);
	units_duration_format((int64_t)status.history_ns, window, sizeof(window));
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f}", "step",
		sched_step_name(status.step), "text", sentence, "switches",
		(json_int_t)status.n_switches, "wakeups", (json_int_t)status.n_wakeups, "lost",
		(json_int_t)status.n_lost, "forgotten", (json_int_t)status.n_dropped,
		"history_bytes", (json_int_t)status.history_bytes, "spool_bytes",
		(json_int_t)status.spool_bytes, "history", window, "switches_per_second",
		status.switches_per_s, "recorder_cpu_seconds", (double)status.drain_ns / 1e9);
}

static json_t *endpoints_json(void)
{
	static const char *const endpoints[] = {
		"/",
		"/healthz",
		"/metrics",
		"/debug/pprof/",
		"/debug/pprof/profile?seconds=30",
		"/debug/pprof/heap",
		"/debug/pprof/allocs",
		"/debug/pprof/block",
		"/debug/pprof/mutex",
		"/debug/pprof/goroutine?debug=2",
		"/debug/pprof/threadcreate",
		"/debug/pprof/trace?seconds=5",
		"/debug/trace/status",
		"/debug/trace/recorder/run?duration=30s",
		"/debug/trace/recorder/stop",
		"/debug/trace/recorder/snapshot",
		"/debug/flightrec/rates",
	};
	json_t *list = json_array();

	for (size_t i = 0; i < G_N_ELEMENTS(endpoints); i++)
		json_array_append_new(list, json_string(endpoints[i]));
	return list;
}

void route_status(struct http_request *request, void *user)
{
	const struct routes_context *context = user;
	struct recording_status *status = g_new0(struct recording_status, 1);
	struct blackbox_sum sum = { 0 };
	json_t *data = json_object(), *counters = json_object();

	recording_status(context->recording, status);
	if (context->rundir)
		blackbox_sum(context->rundir, &sum);
	add_counters(counters, &sum.counters);
	json_object_set_new(data, "state",
		json_string(
			status->has_current ? session_state_name(status->current.state) : "idle"));
	json_object_set_new(
		data, "current", status->has_current ? reply_info(&status->current) : json_null());
	json_object_set_new(data, "windows", windows_json(status));
	json_object_set_new(
		data, "last", status->has_last ? reply_info(&status->last) : json_null());
	json_object_set_new(data, "program", program_json(context, &sum));
	json_object_set_new(
		data, "untraced", status->untraced ? reply_string(status->untraced) : json_null());
	json_object_set_new(
		data, "note", context->note ? reply_string(context->note) : json_null());
	json_object_set_new(data, "ring", ring_json(status));
	json_object_set_new(data, "counters", counters);
	json_object_set_new(
		data, "blackboxes_unreadable", json_integer((json_int_t)sum.n_unreadable));
	json_object_set_new(data, "scheduling", scheduling_json(context->sched));
	json_object_set_new(data, "deadlocks", profiles_deadlocks(context->profiles));
	json_object_set_new(data, "triggers", triggers_json(context->triggers));
	json_object_set_new(data, "settings", settings_json(context));
	json_object_set_new(data, "endpoints", endpoints_json());
	json_object_set_new(data, "version", json_string(FLIGHTREC_VERSION));
	g_free(status);
	reply_data(request, data);
}

void route_healthz(struct http_request *request, void *user)
{
	const struct routes_context *context = user;
	pid_t pid = atomic_load(&context->pid);
	unsigned n_threads = route_count_threads(context);
	struct recording_status *status = g_new0(struct recording_status, 1);
	const char *state;

	recording_status(context->recording, status);
	state = status->has_current ? session_state_name(status->current.state) : "idle";
	g_free(status);
	if (n_threads == 0)
		reply_error(request, 503, "NOT_RUNNING",
			pid == 0 ? "The program is being started" : "The program has ended");
	else
		reply_data(
			request, json_pack("{s:s, s:i, s:i, s:s}", "status", "ok", "pid", (int)pid,
					 "threads", (int)n_threads, "recorder", state));
}
