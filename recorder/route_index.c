/* SPDX-License-Identifier: MIT */
/* The page for people: what is going on, and everything there is to ask. */
#include <glib.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "common/units.h"
#include "recorder/index_processes.h"
#include "recorder/routes.h"
#include "recorder/sched.h"

static const char style[] =
	"body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
	"code{background:#8882;padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}"
	"td{padding:.2em 1em .2em 0;vertical-align:top}td:first-child{white-space:nowrap}"
	":root{color-scheme:light dark}";

/* Everything that answers GET. `text` may hold markup. */
static const struct {
	const char *title; /* begins a section; then there is nothing else */
	const char *path, *text;
} links[] = {
	{ .title = "Profiles" },
	{ NULL, "/debug/pprof/", "all profiles, as in Go; <code>go tool pprof</code> reads them" },
	{ NULL, "/debug/pprof/profile?seconds=30", "where the CPU time goes in the next 30 s" },
	{ NULL, "/debug/pprof/profile?seconds=-30", "where it went in the last 30 s" },
	{ NULL, "/debug/pprof/heap", "memory in use, by who allocated it" },
	{ NULL, "/debug/pprof/goroutine?debug=2",
		"what every thread does right now, and who it waits for" },
	{ NULL, "/debug/pprof/block?debug=1", "who waited for locks" },
	{ NULL, "/debug/pprof/mutex?debug=1", "who made others wait" },
	{ NULL, "/debug/pprof/mutex?seconds=-30", "who did in the last 30 s" },
	{ NULL, "/debug/pprof/wall?seconds=-30", "what all threads did in the last 30 s" },
	{ .title = "Traces" },
	{ NULL, "/debug/trace/recorder/run?duration=10s", "record the next 10 s to trace.out" },
	{ NULL, "/debug/trace/recorder/stop", "end that early" },
	{ NULL, "/debug/trace/recorder/snapshot",
		"write what the flight recorder holds to trace.out" },
	{ NULL, "/debug/trace/recorder/snapshot?download=1", "the same, as a download" },
	{ NULL, "/debug/pprof/trace?seconds=5", "record 5 s and download them" },
	{ .title = "State" },
	{ NULL, "/debug/trace/status", "everything, as JSON" },
	{ NULL, "/debug/flightrec/rates", "rates of the profiles; POST changes them" },
	{ NULL, "/metrics", "numbers for Prometheus" },
	{ NULL, "/healthz", "whether the program lives" },
};

static char *links_html(void)
{
	GString *html = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(links); i++) {
		if (links[i].title)
			g_string_append_printf(html, "%s<h2>%s</h2>\n<table>\n",
				i ? "</table>\n" : "", links[i].title);
		else
			g_string_append_printf(html,
				"<tr><td><a href=\"%s\">%s</a></td><td>%s</td></tr>\n",
				links[i].path, links[i].path, links[i].text);
	}
	g_string_append(html, "</table>\n");
	return g_string_free(html, FALSE);
}

static char *ring_words(const struct recording_status *status)
{
	char size[32], window[64], covered[64];

	if (!status->ring_bytes)
		return g_strdup("off");
	units_size_format(status->ring_bytes, size, sizeof(size));
	/* Whole seconds are enough for people. */
	units_duration_format((int64_t)(status->ring_window_ns / 1000000000 * 1000000000), window,
		sizeof(window));
	units_duration_format((int64_t)(status->covered_ns / 1000000000 * 1000000000), covered,
		sizeof(covered));
	return status->is_ring_on
		       ? g_strdup_printf("on for %s, holds the last %s of events in %s", window,
				 covered, size)
		       : g_strdup("ended");
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

/* "pid 12, 3 threads", or that it is over. */
static char *program_words(const struct routes_context *context)
{
	int pid = (int)atomic_load(&context->pid);
	unsigned n = route_count_threads(context);

	if (pid == 0)
		return g_strdup("being started");
	return n ? g_strdup_printf("pid %d, %u thread%s", pid, n, n == 1 ? "" : "s")
		 : g_strdup_printf("pid %d, has ended", pid);
}

static void add_row(GString *html, const char *name, const char *text)
{
	g_autofree char *escaped = g_markup_escape_text(text, -1);

	g_string_append_printf(html, "<tr><td>%s</td><td>%s</td></tr>\n", name, escaped);
}

static void add_state(GString *html, const struct routes_context *context)
{
	struct recording_status *status = g_new0(struct recording_status, 1);
	g_autofree char *events = options_events_format(context->options->events);
	g_autofree char *scheduling = sched_describe(context->sched);
	g_autofree char *ring = NULL, *current = NULL, *last = NULL;

	recording_status(context->recording, status);
	ring = ring_words(status);
	current = current_words(status);
	last = last_words(status);
	if (status->untraced) {
		g_autofree char *why = g_markup_escape_text(status->untraced, -1);

		g_string_append_printf(html, "<p><strong>%s.</strong></p>\n", why);
	}
	g_string_append(html, "<table>\n");
	add_row(html, "Flight recorder", ring);
	add_row(html, "Events", events);
	add_row(html, "Scheduling", scheduling);
	add_row(html, "Recording now", current);
	add_row(html, "Last trace", last);
	g_string_append(html, "</table>\n");
	g_free(status);
}

void route_index(struct http_request *request, void *user)
{
	const struct routes_context *context = user;
	bool is_http = context->url && g_str_has_prefix(context->url, "http");
	const char *base = is_http ? context->url : "http://localhost/";
	g_autofree char *command = g_markup_escape_text(context->command, -1);
	g_autofree char *program = program_words(context);
	g_autofree char *endpoints = links_html();
	g_autoptr(GString) html = g_string_new(NULL);

	g_string_append_printf(html,
		"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n"
		"<title>trace-record</title>\n<style>%s</style></head>\n"
		"<body><h1>trace-record</h1>\n<p>Recording <code>%s</code> (%s).</p>\n",
		style, command, program);
	add_state(html, context);
	if (context->rundir)
		index_processes_write(context->rundir, html);
	g_string_append(html, endpoints);
	g_string_append_printf(html,
		"<p>In a terminal: <code>go tool pprof %sdebug/pprof/heap</code>, <code>curl "
		"'%sdebug/trace/recorder/run?duration=10s'</code>, then <code>trace-view summary "
		"trace.out</code>.</p></body></html>\n",
		base, base);
	/* Nobody puts this page with its links into a frame of theirs. */
	http_reply_header(request, "Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
	http_reply(request, 200, "text/html; charset=utf-8", html->str, html->len);
}
