/* SPDX-License-Identifier: MIT */
/* Three significant digits throughout: enough to compare, and columns stay narrow. */
#include "viewer/format.h"

#include <string.h>

static const char *format_scaled(char buffer[FORMAT_SIZE], double value, const char *unit)
{
	int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;

	g_snprintf(buffer, FORMAT_SIZE, "%.*f %s", decimals, value, unit);
	return buffer;
}

const char *format_ns(char buffer[FORMAT_SIZE], uint64_t ns)
{
	if (ns == 0)
		return g_strlcpy(buffer, "0", FORMAT_SIZE), buffer;
	if (ns < 1000)
		return g_snprintf(buffer, FORMAT_SIZE, "%u ns", (unsigned)ns), buffer;
	if (ns < 999500)
		return format_scaled(buffer, (double)ns / 1e3, "us");
	if (ns < 999500000)
		return format_scaled(buffer, (double)ns / 1e6, "ms");
	return format_scaled(buffer, (double)ns / 1e9, "s");
}

static const char *format_steps(char buffer[FORMAT_SIZE], double value, double step,
	const char *const *units, size_t n_units)
{
	size_t i = 0;

	while (i + 1 < n_units && value >= step * 0.9995) {
		value /= step;
		i++;
	}
	return format_scaled(buffer, value, units[i]);
}

const char *format_bytes(char buffer[FORMAT_SIZE], double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };

	if (bytes < 1)
		return g_strlcpy(buffer, "0", FORMAT_SIZE), buffer;
	if (bytes < 1024)
		return g_snprintf(buffer, FORMAT_SIZE, "%.0f B", bytes), buffer;
	return format_steps(buffer, bytes, 1024, units, G_N_ELEMENTS(units));
}

const char *format_count(char buffer[FORMAT_SIZE], double n)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P" };

	if (n < 1e7)
		return g_snprintf(buffer, FORMAT_SIZE, "%.0f", n), buffer;
	return format_steps(buffer, n, 1000, units, G_N_ELEMENTS(units));
}

char *format_text(const char *text, size_t width, int is_middle)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *clean = g_string_new(NULL);

	for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);
		g_string_append_unichar(clean, g_unichar_iscntrl(c) ? '?' : c);
	}
	size_t length = (size_t)g_utf8_strlen(clean->str, -1);
	if (length <= width || width < 8)
		return g_string_free(clean, FALSE);
	size_t head = is_middle ? (width - 3) / 2 : width - 3, tail = width - 3 - head;
	const char *cut = g_utf8_offset_to_pointer(clean->str, (glong)head);
	const char *rest = g_utf8_offset_to_pointer(clean->str, (glong)(length - tail));
	char *out = g_strdup_printf("%.*s...%s", (int)(cut - clean->str), clean->str, rest);
	g_string_free(clean, TRUE);
	return out;
}

void format_quoted(GString *out, const char *text)
{
	g_string_append_c(out, '"');
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at == '"' || *at == '\\')
			g_string_append_printf(out, "\\%c", *at);
		else if (*at == '\n')
			g_string_append(out, "\\n");
		else if (*at == '\t')
			g_string_append(out, "\\t");
		else if (*at < 0x20 || *at == 0x7f)
			g_string_append_printf(out, "\\x%02x", *at);
		else
			g_string_append_c(out, (char)*at);
	}
	g_string_append_c(out, '"');
}
