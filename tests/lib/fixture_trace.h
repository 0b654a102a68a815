/* SPDX-License-Identifier: MIT */
/* Feeds text events (event_text.h) to a trace: definitions first, then events, as trace_open and trace_run do. */
#pragma once

#include "event_text.h"
#include "viewer/trace.h"

static inline void fixture_run(
	struct trace *trace, const char *text, const struct trace_pass *passes, size_t n_passes)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (int is_event = 0; is_event < 2; is_event++) {
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
		if (!is_event)
			trace_defined(trace);
	}
	if (!trace->end_ns)
		trace->end_ns = trace->last_ns;
}
