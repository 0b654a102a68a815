/* SPDX-License-Identifier: MIT */
#include "recorder/metrics.h"

#include <locale.h>

#include "check.h"

static void test_families(void)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct metrics metrics = { .text = text };

	metrics_family(&metrics, "a_total", "Counts a.");
	metrics_add(&metrics, 3, NULL);
	metrics_family(&metrics, "b_bytes", "Size of b.");
	metrics_add(&metrics, 1, "pid", "7", NULL);
	metrics_add(&metrics, 2, "pid", "8", "call", "read", NULL);
	CHECK_STR(text->str,
		"# HELP a_total Counts a.\n# TYPE a_total counter\na_total 3\n"
		"# HELP b_bytes Size of b.\n# TYPE b_bytes gauge\nb_bytes{pid=\"7\"} 1\n"
		"b_bytes{pid=\"8\",call=\"read\"} 2\n");
}

/* One value as text. */
static void check_value(double value, const char *want)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct metrics metrics = { .text = text, .family = "x" };

	metrics_add(&metrics, value, NULL);
	CHECK_STR(text->str, want);
}

static void test_values(void)
{
	check_value(0, "x 0\n");
	check_value(9007199254740991.0, "x 9007199254740991\n");
	check_value(12345678901234.0, "x 12345678901234\n");
	check_value(0.25, "x 0.25\n");
	check_value(1234.5678, "x 1234.5678\n");
	check_value(1795223120.254321, "x 1795223120.25432\n");
	check_value(1e-9, "x 1e-09\n");
	check_value(1.8e19, "x 1.8e+19\n");
	check_value(-1.5, "x -1.5\n");
}

static void test_labels(void)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct metrics metrics = { .text = text, .family = "x" };

	metrics_add(&metrics, 1, "l", "a\"b\\c\nd\xff", NULL);
	CHECK_STR(text->str, "x{l=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 1\n");
}

int main(void)
{
	/* Where it exists, numbers have a comma there. */
	setlocale(LC_ALL, "de_DE.UTF-8");
	CASE(test_families, "families have help, a type by their name, and values with labels");
	CASE(test_values, "values are exact, in the C locale's form");
	CASE(test_labels, "label values are escaped and valid UTF-8");
	return CHECK_DONE();
}
