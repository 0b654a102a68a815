/* SPDX-License-Identifier: MIT */
/* Parts of the summary as JSON, and what they share. All results are new references. */
#pragma once

#include <jansson.h>

#include "viewer/summary.h"

json_t *summary_json_processes(const struct summary *summary);
json_t *summary_json_threads(const struct summary *summary);
json_t *summary_json_scheduling(const struct summary *summary);
json_t *summary_json_death(const struct summary *summary);
json_t *summary_json_crashes(const struct summary *summary);
json_t *summary_json_triggers(const struct summary *summary);
json_t *summary_json_wakers(const struct summary *summary, unsigned top);
json_t *summary_json_cpu(const struct summary *summary, unsigned top);

/* jansson refuses strings that are not UTF-8; names of files and threads need not be. */
static inline json_t *summary_json_text(const char *bytes)
{
	g_autofree char *valid = g_utf8_make_valid(bytes ? bytes : "", -1);

	return json_string(valid);
}

static inline json_t *summary_json_text_or_null(const char *bytes)
{
	return bytes ? summary_json_text(bytes) : json_null();
}

static inline json_t *summary_json_number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static inline json_t *summary_json_string_of(const struct summary *summary, uint32_t id)
{
	return summary_json_text(strings_get(summary->trace->strings, id));
}

static inline json_t *summary_json_pid_of(const struct summary *summary, uint32_t process)
{
	const struct process *of = trace_process(summary->trace, process);

	return of->pid ? json_integer(of->pid) : json_null();
}
