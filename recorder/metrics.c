/* SPDX-License-Identifier: MIT */
#include "recorder/metrics.h"

#include <math.h>
#include <stdarg.h>

/* Whole numbers up to here are exact in a double, and are written out. */
#define MAX_EXACT 9007199254740992.0

void metrics_family(struct metrics *metrics, const char *name, const char *help)
{
	bool is_counter = g_str_has_suffix(name, "_total");

	metrics->family = name;
	g_string_append_printf(metrics->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
		is_counter ? "counter" : "gauge");
}

static void append_value(GString *text, const char *value)
{
	g_autofree char *valid = g_utf8_make_valid(value, -1);

	for (const char *p = valid; *p; p++) {
		if (*p == '\n')
			g_string_append(text, "\\n");
		else if (*p == '\\' || *p == '"')
			g_string_append_printf(text, "\\%c", *p);
		else
			g_string_append_c(text, *p);
	}
}

void metrics_add(struct metrics *metrics, double value, ...)
{
	GString *text = metrics->text;
	char number[G_ASCII_DTOSTR_BUF_SIZE];
	const char *name, *separator = "{";
	va_list labels;

	g_string_append(text, metrics->family);
	va_start(labels, value);
	while ((name = va_arg(labels, const char *))) {
		g_string_append_printf(text, "%s%s=\"", separator, name);
		append_value(text, va_arg(labels, const char *));
		g_string_append_c(text, '"');
		separator = ",";
	}
	va_end(labels);
	if (*separator == ',')
		g_string_append_c(text, '}');
	/* Never the locale's comma. */
	if (fabs(value) < MAX_EXACT && value == floor(value))
		g_string_append_printf(text, " %.0f\n", value);
	else
		g_string_append_printf(
			text, " %s\n", g_ascii_formatd(number, sizeof(number), "%.15g", value));
}
