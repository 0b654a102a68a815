/* SPDX-License-Identifier: MIT */
/* What is going on: a page for people, a health check, and JSON for tools. */
#include "recorder/routes.h"

#include <glib.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "recorder/blackbox_read.h"
#include "recorder/reply.h"

/* Threads of the program itself, from the kernel, so that it also works untraced; 0: it is gone. */
static unsigned count_threads(pid_t pid)
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
		(int)count_threads(pid), "processes_traced", (int)sum->n_processes,
		"processes_alive", (int)sum->n_alive, "threads_traced", (int)sum->n_threads);
}

static json_t *ring_json(const struct recording_status *status)
{
	const char *state = status->is_ring_on ? "recording" : "paused";
	char window[64];

	if (status->untraced && !status->ring_bytes)
		state = "off";
	units_duration_format((int64_t)status->ring_window_ns, window, sizeof(window));
	/* held_bytes null: no program has registered yet. */
	return json_pack("{s:s, s:I, s:o, s:s}", "state", state, "capacity_bytes",
		(json_int_t)status->ring_bytes, "held_bytes",
		status->has_ring_held ? json_integer((json_int_t)status->ring_held_bytes)
				      : json_null(),
		"recording_for", window);
}

static json_t *settings_json(const struct options *options)
{
	g_autofree char *events = options_events_format(options->events);
	char lock[64], syscall[64];

	units_duration_format((int64_t)options->lock_ns, lock, sizeof(lock));
	units_duration_format((int64_t)options->syscall_ns, syscall, sizeof(syscall));
	return json_pack("{s:s, s:s, s:s, s:I, s:i, s:I, s:I}", "events", events, "lock_threshold",
		lock, "syscall_threshold", syscall, "alloc_rate", (json_int_t)options->alloc_rate,
		"stack_depth", (int)options->stack_depth, "buffer_size",
		(json_int_t)options->buffer_bytes, "max_trace_size",
		(json_int_t)options->max_trace_bytes);
}

static json_t *endpoints_json(void)
{
	return json_pack("[s, s, s, s, s, s, s]", "/", "/healthz", "/debug/trace/status",
		"/debug/trace/recorder/run?duration=30s", "/debug/trace/recorder/stop",
		"/debug/trace/recorder/snapshot", "/debug/pprof/trace?seconds=5");
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
	json_object_set_new(data, "scheduling", json_string(RECORDING_SCHEDULING));
	json_object_set_new(data, "settings", settings_json(context->options));
	json_object_set_new(data, "endpoints", endpoints_json());
	json_object_set_new(data, "version", json_string(FLIGHTREC_VERSION));
	g_free(status);
	reply_data(request, data);
}

void route_healthz(struct http_request *request, void *user)
{
	const struct routes_context *context = user;
	pid_t pid = atomic_load(&context->pid);
	unsigned n_threads = count_threads(pid);
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

static const char page[] =
	"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n<title>trace-record</title>\n"
	"<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 "
	"1rem}"
	"code{background:#8882;padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}"
	"td{padding:.2em 1em .2em 0;vertical-align:top}:root{color-scheme:light "
	"dark}</style></head>\n"
	"<body><h1>trace-record</h1>\n"
	"<p>Recording <code>%s</code> (pid %d, %u threads).</p>\n%s"
	"<table>\n"
	"<tr><td>Flight recorder</td><td>%s</td></tr>\n"
	"<tr><td>Events</td><td>%s</td></tr>\n"
	"<tr><td>Scheduling</td><td>%s</td></tr>\n"
	"<tr><td>Recording now</td><td>%s</td></tr>\n"
	"<tr><td>Last trace</td><td>%s</td></tr>\n"
	"</table>\n<h2>What to do</h2>\n<table>\n"
	"<tr><td><a href=\"/debug/trace/recorder/run?duration=10s\">run</a></td>"
	"<td>record the next 10 s to trace.out: <code>curl "
	"'%sdebug/trace/recorder/run?duration=10s'"
	"</code></td></tr>\n"
	"<tr><td><a href=\"/debug/trace/recorder/stop\">stop</a></td><td>end a run "
	"early</td></tr>\n"
	"<tr><td><a href=\"/debug/trace/recorder/snapshot\">snapshot</a></td>"
	"<td>write what the flight recorder holds to trace.out "
	"(<a href=\"/debug/trace/recorder/snapshot?download=1\">download</a>)</td></tr>\n"
	"<tr><td><a href=\"/debug/pprof/trace?seconds=5\">trace</a></td>"
	"<td>record 5 s and download them</td></tr>\n"
	"<tr><td><a href=\"/debug/trace/status\">status</a></td><td>everything, as JSON</td></tr>\n"
	"<tr><td><a href=\"/healthz\">healthz</a></td><td>is the program alive</td></tr>\n"
	"</table>\n<p>Look at a trace with <code>trace-view summary "
	"FILE</code>.</p></body></html>\n";

static char *ring_words(const struct recording_status *status)
{
	char size[32], window[64];

	if (!status->ring_bytes)
		return g_strdup("off");
	units_size_format(status->ring_bytes, size, sizeof(size));
	/* Whole seconds are enough for people. */
	units_duration_format((int64_t)(status->ring_window_ns / 1000000000 * 1000000000), window,
		sizeof(window));
	return status->is_ring_on
		       ? g_strdup_printf("on for %s, holds the last %s of events", window, size)
		       : g_strdup("paused by the recording");
}

static char *current_words(const struct recording_status *status)
{
	char size[32];

	if (!status->has_current)
		return g_strdup("nothing");
	units_size_format(status->current.raw_bytes, size, sizeof(size));
	return g_strdup_printf("%s %" PRIu64 " (%s), %s on disk",
		session_kind_name(status->current.kind), status->current.id,
		session_state_name(status->current.state), size);
}

static char *last_words(const struct recording_status *status)
{
	const struct recording_info *last = &status->last;
	char size[32];

	if (!status->has_last)
		return g_strdup("none yet");
	if (last->error[0])
		return g_strdup(last->error);
	units_size_format(last->n_bytes, size, sizeof(size));
	return g_strdup_printf("%s, %s", last->file[0] ? last->file : "sent to a client", size);
}

void route_index(struct http_request *request, void *user)
{
	const struct routes_context *context = user;
	struct recording_status *status = g_new0(struct recording_status, 1);
	pid_t pid = atomic_load(&context->pid);
	g_autofree char *events = options_events_format(context->options->events);
	g_autofree char *command = g_markup_escape_text(context->command, -1);
	const char *base =
		g_str_has_prefix(context->url, "http") ? context->url : "http://localhost/";
	g_autofree char *ring = NULL, *current = NULL, *last_plain = NULL, *last = NULL;
	g_autofree char *why = NULL, *warning = NULL, *body = NULL;

	recording_status(context->recording, status);
	ring = ring_words(status);
	current = current_words(status);
	last_plain = last_words(status);
	last = g_markup_escape_text(last_plain, -1);
	why = g_markup_escape_text(status->untraced ? status->untraced : "", -1);
	warning = *why ? g_strdup_printf("<p><strong>%s.</strong></p>\n", why) : g_strdup("");
	body = g_strdup_printf(page, command, (int)pid, count_threads(pid), warning, ring, events,
		RECORDING_SCHEDULING, current, last, base);
	http_reply(request, 200, "text/html; charset=utf-8", body, strlen(body));
	g_free(status);
}
