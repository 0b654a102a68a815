/* SPDX-License-Identifier: MIT */
#include "viewer/label_set.h"

#include <string.h>

/* Unescapes up to one of `stops` or the end, which is returned. */
static const char *take(const char *from, const char *stops, GString *out)
{
	g_string_truncate(out, 0);
	for (; *from && !strchr(stops, *from); from++) {
		if (*from == '\\' && from[1])
			from++;
		g_string_append_c(out, *from);
	}
	return from;
}

const char *label_set_next(const char *set, GString *key_out, GString *value_out)
{
	if (!*set)
		return NULL;
	set = take(set, "=,", key_out);
	g_string_truncate(value_out, 0);
	if (*set == '=')
		set = take(set + 1, ",", value_out);
	return *set ? set + 1 : set;
}

int label_set_has(const char *set, const char *key, const char *value)
{
	g_autoptr(GString) k = g_string_new(NULL);
	g_autoptr(GString) v = g_string_new(NULL);

	while ((set = label_set_next(set, k, v)))
		if (g_str_equal(k->str, key) && (!value || g_str_equal(v->str, value)))
			return 1;
	return 0;
}
