/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "viewer/format.h"

static char buffer[FORMAT_SIZE];

static void durations(void)
{
	CHECK_STR(format_ns(buffer, 0), "0");
	CHECK_STR(format_ns(buffer, 999), "999 ns");
	CHECK_STR(format_ns(buffer, 1000), "1.00 us");
	CHECK_STR(format_ns(buffer, 999499), "999 us");
	CHECK_STR(format_ns(buffer, 999500), "1.00 ms");
	CHECK_STR(format_ns(buffer, 12345678), "12.3 ms");
	CHECK_STR(format_ns(buffer, 61000000000), "61.0 s");
}

static void sizes_and_counts(void)
{
	CHECK_STR(format_bytes(buffer, 1023), "1023 B");
	CHECK_STR(format_bytes(buffer, 1024), "1.00 KiB");
	CHECK_STR(format_bytes(buffer, 5.5 * 1048576), "5.50 MiB");
	CHECK_STR(format_count(buffer, 9999999), "9999999");
	CHECK_STR(format_count(buffer, 12300000), "12.3 M");
}

static void foreign_text(void)
{
	g_autofree char *escape = format_text("a\033[31mb\nc", 100, 0);
	g_autofree char *end = format_text("0123456789", 8, 0);
	g_autofree char *middle = format_text("0123456789abcdef", 9, 1);
	g_autofree char *broken = format_text("x\xff", 100, 0);
	g_autoptr(GString) quoted = g_string_new(NULL);

	CHECK_STR(escape, "a?[31mb?c");
	CHECK_STR(end, "01234...");
	CHECK_STR(middle, "012...def");
	CHECK(g_utf8_validate(broken, -1, NULL));
	format_quoted(quoted, "a\"b\\c\nd\033");
	CHECK_STR(quoted->str, "\"a\\\"b\\\\c\\nd\\x1b\"");
}

int main(void)
{
	CASE(durations, "durations have three digits and the right unit at every boundary");
	CASE(sizes_and_counts, "sizes use binary units, counts stay exact below ten million");
	CASE(foreign_text, "text from a trace cannot steer the terminal or break a line");
	return CHECK_DONE();
}
