/* SPDX-License-Identifier: MIT */
/* Numbers in queries, and the words for a window. */
#include <glib.h>

#include "check.h"
#include "recorder/past_window.h"
#include "recorder/pprof_query.h"
#include "recorder/procfs.h"

#define S 1000000000ull

static void integers_are_those_of_go(void)
{
	static const char *const bad[] = { NULL, "", "+", "-", "1.5", "abc", " 1", "1 ", "0x1",
		"1s", "--1", "99999999999999999999", "-99999999999999999999", "\xd9\xa1" };
	int64_t value = 7;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		CHECK(!pprof_integer_parse(bad[i], &value));
	CHECK_INT(value, 7);
	CHECK(pprof_integer_parse("+5", &value) && value == 5);
	CHECK(pprof_integer_parse("-007", &value) && value == -7);
	CHECK(pprof_integer_parse("-9223372036854775808", &value) && value == INT64_MIN);
}

static void seconds_are_behind_or_ahead(void)
{
	uint64_t ns = 7;

	CHECK_INT(pprof_seconds_parse(NULL, &ns), PPROF_SECONDS_NONE);
	CHECK_INT(pprof_seconds_parse("", &ns), PPROF_SECONDS_NONE);
	CHECK_INT(pprof_seconds_parse("0", &ns), PPROF_SECONDS_BAD);
	CHECK_INT(pprof_seconds_parse("-0", &ns), PPROF_SECONDS_BAD);
	CHECK_INT(pprof_seconds_parse("-1.5", &ns), PPROF_SECONDS_BAD);
	CHECK_INT(pprof_seconds_parse("-30s", &ns), PPROF_SECONDS_BAD);
	CHECK_INT(ns, 7);
	CHECK_INT(pprof_seconds_parse("-30", &ns), PPROF_SECONDS_PAST);
	CHECK_INT(ns, 30 * S);
	CHECK_INT(pprof_seconds_parse("2", &ns), PPROF_SECONDS_AHEAD);
	CHECK_INT(ns, 2 * S);
	CHECK_INT(pprof_seconds_parse("-9223372036854775808", &ns), PPROF_SECONDS_PAST);
	CHECK(ns <= PPROF_SECONDS_MAX_NS && ns > PPROF_SECONDS_MAX_NS - S);
}

static void a_window_says_when_it_is_short(void)
{
	uint64_t now = procfs_now();
	struct past_window window = { .asked_ns = 30 * S,
		.begin_ns = now - 12 * S - 345678901,
		.end_ns = now,
		.remedy = "; recording began then" };
	g_autofree char *header = past_window_header(&window);
	g_autofree char *comment = past_window_comment(&window);
	g_autofree char *full = NULL, *all = NULL;

	CHECK(past_window_is_short(&window));
	CHECK(g_str_has_prefix(header, "asked=30s, covered=12.345s, begin=20"));
	CHECK(strstr(header, "Z, end=20") != NULL);
	CHECK(g_str_has_prefix(comment, "Of the 30s asked for, only 12.345s are held: 20"));
	CHECK(g_str_has_suffix(comment, "; recording began then"));
	window.begin_ns = now - 30 * S + 1000000;
	CHECK(!past_window_is_short(&window));
	full = past_window_comment(&window);
	CHECK(g_str_has_prefix(full, "Covers 29.999s: 20"));
	window.asked_ns = 0;
	CHECK(!past_window_is_short(&window));
	all = past_window_header(&window);
	CHECK(g_str_has_prefix(all, "asked=all, covered=29.999s"));
}

int main(void)
{
	CASE(integers_are_those_of_go, "integers are Go's: a sign, digits, nothing else");
	CASE(seconds_are_behind_or_ahead, "seconds=-N is the past, N what comes, 0 neither");
	CASE(a_window_says_when_it_is_short, "less than was asked for is said");
	return CHECK_DONE();
}
