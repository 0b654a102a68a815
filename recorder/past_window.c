/* SPDX-License-Identifier: MIT */
#include "recorder/past_window.h"

#include <glib.h>

#include "common/units.h"
#include "recorder/procfs.h"
#include "recorder/reply.h"

/* What is asked in seconds need not be there to the last ms. */
#define TOLERANCE_NS 50000000ull

bool past_window_is_short(const struct past_window *window)
{
	return window->end_ns - window->begin_ns + TOLERANCE_NS < window->asked_ns;
}

/* To whole milliseconds: more is noise. */
static void format_span(uint64_t ns, char *text, size_t n)
{
	units_duration_format((int64_t)(ns / 1000000 * 1000000), text, n);
}

char *past_window_header(const struct past_window *window)
{
	int64_t to_real = g_get_real_time() * 1000 - (int64_t)procfs_now();
	g_autofree char *begin = reply_time((int64_t)window->begin_ns + to_real);
	g_autofree char *end = reply_time((int64_t)window->end_ns + to_real);
	char asked[64] = "all", covered[64];

	if (window->asked_ns)
		format_span(window->asked_ns, asked, sizeof(asked));
	format_span(window->end_ns - window->begin_ns, covered, sizeof(covered));
	return g_strdup_printf(
		"asked=%s, covered=%s, begin=%s, end=%s", asked, covered, begin, end);
}

char *past_window_comment(const struct past_window *window)
{
	int64_t to_real = g_get_real_time() * 1000 - (int64_t)procfs_now();
	g_autofree char *begin = reply_time((int64_t)window->begin_ns + to_real);
	g_autofree char *end = reply_time((int64_t)window->end_ns + to_real);
	char asked[64], covered[64];

	format_span(window->asked_ns, asked, sizeof(asked));
	format_span(window->end_ns - window->begin_ns, covered, sizeof(covered));
	if (past_window_is_short(window))
		return g_strdup_printf("Of the %s asked for, only %s are held: %s to %s%s", asked,
			covered, begin, end, window->remedy ? window->remedy : "");
	return g_strdup_printf("Covers %s: %s to %s", covered, begin, end);
}
