/* SPDX-License-Identifier: MIT */
#include "viewer/profile_folded.h"

#include <string.h>

#include "viewer/profile_tables.h"

/* ';' divides frames, the last blank the value; a line is a stack. */
static void append_name(GString *line, const char *name)
{
	gsize from = line->len;

	g_string_append(line, *name ? name : "?");
	for (; from < line->len; from++)
		if (line->str[from] == ';' || (unsigned char)line->str[from] < ' ')
			line->str[from] = ':';
}

static void append_location(GString *line, const struct profile *profile,
	const struct profile_tables_location *location)
{
	for (uint32_t i = location->n_lines; i-- > 0;) {
		const struct profile_tables_line *at = &g_array_index(
			profile->lines, struct profile_tables_line, location->first_line + i);
		const struct profile_tables_function *function = &g_array_index(
			profile->functions, struct profile_tables_function, at->function - 1);
		if (line->len)
			g_string_append_c(line, ';');
		append_name(line, strings_get(profile->strings, function->name));
	}
	if (location->n_lines)
		return;
	if (line->len)
		g_string_append_c(line, ';');
	if (location->mapping) {
		const struct profile_tables_mapping *mapping = &g_array_index(
			profile->mappings, struct profile_tables_mapping, location->mapping - 1);
		const char *path = strings_get(profile->strings, mapping->filename);
		const char *slash = strrchr(path, '/');
		append_name(line, slash ? slash + 1 : path);
		g_string_append_printf(line, "+0x%" G_GINT64_MODIFIER "x",
			location->address - mapping->start + mapping->file_offset);
	} else {
		g_string_append_printf(line, "0x%" G_GINT64_MODIFIER "x", location->address);
	}
}

static size_t shown_type(const struct profile *profile)
{
	for (size_t i = 0; i < profile->n_types; i++)
		if (profile->types[i].type == profile->default_type)
			return i;
	return profile->n_types - 1;
}

void profile_folded(const struct profile *profile, GString *out)
{
	g_autoptr(GHashTable) sums = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	size_t type = shown_type(profile);

	for (guint i = 0; i < profile->samples->len; i++) {
		const struct profile_tables_sample *sample =
			&g_array_index(profile->samples, struct profile_tables_sample, i);
		g_autoptr(GString) line = g_string_new(NULL);
		for (uint32_t j = sample->n_locations; j-- > 0;) {
			uint64_t id = g_array_index(
				profile->sample_locations, uint64_t, sample->first_location + j);
			append_location(line, profile,
				&g_array_index(profile->locations, struct profile_tables_location,
					id - 1));
		}
		int64_t *sum = g_hash_table_lookup(sums, line->str);
		if (!sum) {
			sum = g_new0(int64_t, 1);
			g_hash_table_insert(sums, g_strdup(line->str), sum);
		}
		*sum += sample->values[type];
	}
	g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(sums), (GCompareFunc)strcmp);
	for (GList *key = keys; key; key = key->next) {
		const int64_t *sum = g_hash_table_lookup(sums, key->data);
		if (*sum)
			g_string_append_printf(
				out, "%s %" G_GINT64_FORMAT "\n", (const char *)key->data, *sum);
	}
}
