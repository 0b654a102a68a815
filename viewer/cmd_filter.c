/* SPDX-License-Identifier: MIT */
/* Options that say which part of a trace is looked at: a window of time, threads, regions, tasks, labels. */
#include "viewer/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "viewer/format.h"

enum {
	KEY_FROM = 600,
	KEY_TO,
	KEY_THREAD,
	KEY_TASK,
	KEY_REGION,
	KEY_PID,
	KEY_LABEL,
};

#define WINDOW_OPTIONS                                                                         \
	{ "from", KEY_FROM, "TIME", 0,                                                         \
		"Only from TIME on: seconds from the beginning (1.5s), negative from the end " \
		"(-30s), or a date (2026-01-31T12:00:00Z)",                                    \
		0 },                                                                           \
	{                                                                                      \
		"to", KEY_TO, "TIME", 0, "Only up to TIME, likewise", 0                        \
	}

static const struct argp_option window_options[] = { WINDOW_OPTIONS, { 0 } };

static const struct argp_option filter_options[] = {
	WINDOW_OPTIONS,
	{ "thread", KEY_THREAD, "NAME|TID", 0, "Only threads of that name (a glob) or id", 0 },
	{ "pid", KEY_PID, "PID", 0, "Only this process", 0 },
	{ "region", KEY_REGION, "TYPE", 0, "Only time inside regions of this type (a glob)", 0 },
	{ "task", KEY_TASK, "TYPE|ID", 0,
		"Only time inside regions of such tasks, and of who begins and ends one itself",
		0 },
	{ "label", KEY_LABEL, "K=V", 0, "Only threads while they have this label; K: any value",
		0 },
	{ 0 },
};

/* "1.5s", "-30s", "12" (seconds), or a date. */
static int time_parse(const char *text, struct cmd_time *out)
{
	g_autofree char *seconds = g_strdup_printf("%ss", text);
	const char *unsigned_text = *text == '-' || *text == '+' ? text + 1 : text;
	int is_number =
		*unsigned_text && strspn(unsigned_text, "0123456789.") == strlen(unsigned_text);

	*out = (struct cmd_time){ .is_set = 1, .is_negative = *text == '-' };
	if (units_duration_parse(is_number ? seconds : text, &out->ns) == 0)
		return 0;
	g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
	g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(text, utc);
	if (!date)
		return -EINVAL;
	out->is_wall = 1;
	out->ns = g_date_time_to_unix(date) * 1000000000 +
		  g_date_time_get_microsecond(date) * INT64_C(1000);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cmd_filter *filter = state->input;
	char *end;

	switch (key) {
	case KEY_FROM:
	case KEY_TO:
		if (time_parse(arg, key == KEY_FROM ? &filter->from : &filter->to) < 0)
			argp_error(state,
				"--%s=%s: expected seconds (1.5s, -30s) or a date "
				"(2026-01-31T12:00:00Z)",
				key == KEY_FROM ? "from" : "to", arg);
		return 0;
	case KEY_THREAD:
		filter->wish.thread = arg;
		return 0;
	case KEY_TASK:
		filter->wish.task = arg;
		return 0;
	case KEY_REGION:
		filter->wish.region = arg;
		return 0;
	case KEY_LABEL:
		if (!*arg || *arg == '=')
			argp_error(state, "--label=%s: expected KEY=VALUE", arg);
		filter->wish.label = arg;
		return 0;
	case KEY_PID: {
		unsigned long pid = strtoul(arg, &end, 10);
		if (*arg < '0' || *arg > '9' || *end || pid == 0 || pid > INT32_MAX)
			argp_error(state, "--pid=%s: expected a process id, such as 1234", arg);
		filter->wish.pid = (uint32_t)pid;
		return 0;
	}
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cmd_window_argp = { .options = window_options, .parser = parse };
const struct argp cmd_filter_argp = { .options = filter_options, .parser = parse };

/* The moment on the trace's clock, clamped to [0, INT64_MAX]. */
static uint64_t time_of(const struct cmd_time *time, const struct trace *trace)
{
	int64_t base = (int64_t)(time->is_negative ? trace->end_ns : trace->begin_ns), at;

	if (time->is_wall)
		base = -trace->report.wall_offset_ns;
	if (__builtin_add_overflow(base, time->ns, &at))
		return time->ns < 0 ? 0 : INT64_MAX;
	return (uint64_t)MAX(at, 0);
}

gboolean cmd_filter_window(const struct cmd_filter *filter, struct trace *trace, GError **error)
{
	int64_t offset = trace->report.wall_offset_ns;
	int has_clock = trace->report.has_clock;
	char a[FORMAT_SIZE];

	if (!filter->from.is_set && !filter->to.is_set)
		return TRUE;
	/* Without a receipt only the events tell what is covered. */
	if ((!trace->begin_ns || !trace->end_ns) && !trace_run(trace, NULL, 0, error))
		return FALSE;
	if (has_clock) {
		trace->report.has_clock = 1;
		trace->report.wall_offset_ns = offset;
	}
	uint64_t begin = filter->from.is_set ? time_of(&filter->from, trace) : 0;
	uint64_t end = filter->to.is_set ? time_of(&filter->to, trace) : UINT64_MAX;
	if (begin >= end || begin >= trace->end_ns || end <= trace->begin_ns) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
			"nothing of the trace, which covers %s, lies between --from and --to",
			format_ns(a, trace->end_ns - trace->begin_ns));
		return FALSE;
	}
	trace_narrow(trace, begin, end);
	return TRUE;
}

gboolean cmd_filter_scan(struct filter *filter, struct trace *trace, GError **error)
{
	if (filter_needs_scan(filter)) {
		struct trace_pass pass = filter_pass(filter);
		if (!trace_run(trace, &pass, 1, error))
			return FALSE;
	}
	filter_ready(filter, trace);
	return TRUE;
}
