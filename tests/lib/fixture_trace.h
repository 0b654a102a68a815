/* SPDX-License-Identifier: MIT */
/* Feeds text events (event_text.h) to a trace: definitions first, then events, as trace_open and trace_run do. */
#pragma once

#include "event_text.h"
#include "viewer/trace.h"

static inline void fixture_lines(struct trace *trace, const char *text, int is_event,
	const struct trace_pass *passes, size_t n_passes)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line; line++) {
		struct event_text parsed;
		if (!event_text_parse(*line, &parsed))
			continue;
		if (!is_event)
			trace_define(trace, &parsed.event);
		else
			trace_feed(trace, &parsed.event, passes, n_passes);
		event_text_fini(&parsed);
	}
}

static inline void fixture_define(struct trace *trace, const char *text)
{
	fixture_lines(trace, text, 0, NULL, 0);
	trace_defined(trace);
}

static inline void fixture_feed(
	struct trace *trace, const char *text, const struct trace_pass *passes, size_t n_passes)
{
	fixture_lines(trace, text, 1, passes, n_passes);
	if (!trace->end_ns)
		trace->end_ns = trace->last_ns;
}

static inline void fixture_run(
	struct trace *trace, const char *text, const struct trace_pass *passes, size_t n_passes)
{
	fixture_define(trace, text);
	fixture_feed(trace, text, passes, n_passes);
}
