/* SPDX-License-Identifier: MIT */
/* Tables filled in order of first use, so that ids are dense; equal entries are found through hashes. */
#include "viewer/profile.h"

#include <string.h>

#include "viewer/profile_tables.h"

static uint32_t add_string(struct profile *profile, const char *text)
{
	/* Several readers refuse a whole profile for one byte that is not UTF-8. */
	g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
	uint32_t id = strings_add(profile->strings, valid);

	profile->n_strings = MAX(profile->n_strings, id + 1);
	return id;
}

struct profile *profile_new(const struct profile_value_type *types, size_t n_types,
	struct profile_value_type period_type, int64_t period)
{
	struct profile *profile = g_new0(struct profile, 1);

	g_assert(n_types <= PROFILE_MAX_VALUES);
	profile->strings = strings_new();
	profile->n_strings = 1;
	profile->n_types = n_types;
	for (size_t i = 0; i < n_types; i++) {
		profile->types[i].type = add_string(profile, types[i].type);
		profile->types[i].unit = add_string(profile, types[i].unit);
	}
	profile->period_type.type = add_string(profile, period_type.type);
	profile->period_type.unit = add_string(profile, period_type.unit);
	profile->period = period;
	profile->mappings = g_array_new(FALSE, FALSE, sizeof(struct profile_tables_mapping));
	profile->functions = g_array_new(FALSE, FALSE, sizeof(struct profile_tables_function));
	profile->lines = g_array_new(FALSE, FALSE, sizeof(struct profile_tables_line));
	profile->locations = g_array_new(FALSE, FALSE, sizeof(struct profile_tables_location));
	profile->samples = g_array_new(FALSE, FALSE, sizeof(struct profile_tables_sample));
	profile->sample_locations = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	profile->labels = g_array_new(FALSE, FALSE, sizeof(struct profile_tables_label));
	profile->comments = g_array_new(FALSE, FALSE, sizeof(int64_t));
	profile->by_sample = g_hash_table_new_full(
		g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
	profile->by_function = g_hash_table_new_full(
		g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
	profile->by_address = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	return profile;
}

void profile_free(struct profile *profile)
{
	if (!profile)
		return;
	GArray *arrays[] = { profile->mappings, profile->functions, profile->lines,
		profile->locations, profile->samples, profile->sample_locations, profile->labels,
		profile->comments };
	for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++)
		g_array_free(arrays[i], TRUE);
	g_hash_table_destroy(profile->by_sample);
	g_hash_table_destroy(profile->by_function);
	g_hash_table_destroy(profile->by_address);
	strings_free(profile->strings);
	g_free(profile);
}

void profile_set_time(struct profile *profile, int64_t time_ns, int64_t duration_ns)
{
	profile->time_ns = time_ns;
	profile->duration_ns = duration_ns;
}

void profile_set_default_type(struct profile *profile, const char *type)
{
	profile->default_type = add_string(profile, type);
}

void profile_add_comment(struct profile *profile, const char *text)
{
	int64_t id = add_string(profile, text);

	g_array_append_val(profile->comments, id);
}

uint64_t profile_add_mapping(struct profile *profile, const struct profile_mapping *mapping)
{
	struct profile_tables_mapping entry = {
		.start = mapping->start,
		.limit = mapping->limit,
		.file_offset = mapping->file_offset,
		.filename = add_string(profile, mapping->filename),
		.build_id = add_string(profile, mapping->build_id),
	};

	g_array_append_val(profile->mappings, entry);
	return profile->mappings->len;
}

static uint64_t add_function(struct profile *profile, const struct profile_line *line)
{
	struct profile_tables_function entry;

	memset(&entry, 0, sizeof(entry)); /* padding is part of the key */
	entry.name = add_string(profile, line->name);
	entry.system_name = add_string(profile, line->system_name);
	entry.filename = add_string(profile, line->filename);
	entry.start_line = line->func_line;
	GBytes *key = g_bytes_new(&entry, sizeof(entry));
	gpointer found = g_hash_table_lookup(profile->by_function, key);
	if (found) {
		g_bytes_unref(key);
		return GPOINTER_TO_SIZE(found);
	}
	g_array_append_val(profile->functions, entry);
	g_hash_table_insert(
		profile->by_function, key, GSIZE_TO_POINTER((gsize)profile->functions->len));
	return profile->functions->len;
}

uint64_t profile_location(struct profile *profile, uint64_t mapping, uint64_t address,
	const struct profile_line *lines, size_t n_lines)
{
	gpointer found = g_hash_table_lookup(profile->by_address, &address);
	struct profile_tables_location entry = { .mapping = mapping,
		.address = address,
		.first_line = profile->lines->len,
		.n_lines = n_lines };
	int is_filed = n_lines > 0, is_lined = n_lines > 0;

	if (found)
		return GPOINTER_TO_SIZE(found);
	for (size_t i = 0; i < n_lines; i++) {
		struct profile_tables_line line = { add_function(profile, &lines[i]),
			lines[i].line };
		is_filed &= lines[i].filename && *lines[i].filename;
		is_lined &= lines[i].line > 0;
		g_array_append_val(profile->lines, line);
	}
	g_array_append_val(profile->locations, entry);
	if (mapping) {
		struct profile_tables_mapping *of = &g_array_index(
			profile->mappings, struct profile_tables_mapping, mapping - 1);
		of->n_locations++;
		of->n_named += n_lines > 0;
		of->n_filed += is_filed;
		of->n_lined += is_lined;
	}
	g_hash_table_insert(profile->by_address, g_memdup2(&address, sizeof(address)),
		GSIZE_TO_POINTER((gsize)profile->locations->len));
	return profile->locations->len;
}

void profile_set_offset(struct profile *profile, uint64_t location, uint64_t offset)
{
	g_array_index(profile->locations, struct profile_tables_location, location - 1).offset =
		offset;
}

void profile_add_sample(struct profile *profile, const uint64_t *locations, size_t n_locations,
	const int64_t *values, const struct profile_label *labels, size_t n_labels)
{
	GByteArray *key = g_byte_array_new();
	struct profile_tables_sample entry = { .first_location = profile->sample_locations->len,
		.n_locations = n_locations,
		.first_label = profile->labels->len,
		.n_labels = n_labels };
	gpointer found;

	g_byte_array_append(key, (const guint8 *)locations, n_locations * sizeof(*locations));
	for (size_t i = 0; i < n_labels; i++) {
		struct profile_tables_label label = { add_string(profile, labels[i].key),
			labels[i].text ? add_string(profile, labels[i].text) : 0,
			labels[i].number };
		g_array_append_val(profile->labels, label);
		g_byte_array_append(key, (const guint8 *)&label, sizeof(label));
	}
	GBytes *bytes = g_byte_array_free_to_bytes(key);
	if (g_hash_table_lookup_extended(profile->by_sample, bytes, NULL, &found)) {
		struct profile_tables_sample *sample = &g_array_index(
			profile->samples, struct profile_tables_sample, GPOINTER_TO_SIZE(found));
		for (size_t i = 0; i < profile->n_types; i++)
			sample->values[i] += values[i];
		g_array_set_size(profile->labels, entry.first_label);
		g_bytes_unref(bytes);
		return;
	}
	memcpy(entry.values, values, profile->n_types * sizeof(*values));
	g_array_append_vals(profile->sample_locations, locations, n_locations);
	g_hash_table_insert(
		profile->by_sample, bytes, GSIZE_TO_POINTER((gsize)profile->samples->len));
	g_array_append_val(profile->samples, entry);
}

static guint is_zero(const struct profile *profile, const struct profile_tables_sample *sample)
{
	for (size_t i = 0; i < profile->n_types; i++)
		if (sample->values[i] != 0)
			return 0;
	return 1;
}

static const char *text_of(const struct profile *profile, uint32_t id)
{
	return strings_get(profile->strings, id);
}

/* A profile with the head and the mappings of another one. */
static struct profile *new_like(const struct profile *old)
{
	struct profile_value_type types[PROFILE_MAX_VALUES];
	struct profile_value_type period_type = { text_of(old, old->period_type.type),
		text_of(old, old->period_type.unit) };

	for (size_t i = 0; i < old->n_types; i++)
		types[i] = (struct profile_value_type){ text_of(old, old->types[i].type),
			text_of(old, old->types[i].unit) };
	struct profile *profile = profile_new(types, old->n_types, period_type, old->period);
	profile_set_time(profile, old->time_ns, old->duration_ns);
	if (old->default_type)
		profile_set_default_type(profile, text_of(old, old->default_type));
	for (guint i = 0; i < old->comments->len; i++)
		profile_add_comment(
			profile, text_of(old, (uint32_t)g_array_index(old->comments, int64_t, i)));
	for (guint i = 0; i < old->mappings->len; i++) {
		const struct profile_tables_mapping *from =
			&g_array_index(old->mappings, struct profile_tables_mapping, i);
		struct profile_mapping mapping = { from->start, from->limit, from->file_offset,
			text_of(old, from->filename), text_of(old, from->build_id) };
		profile_add_mapping(profile, &mapping);
	}
	return profile;
}

static uint64_t copy_location(struct profile *profile, const struct profile *old, uint64_t id)
{
	const struct profile_tables_location *from =
		&g_array_index(old->locations, struct profile_tables_location, id - 1);
	g_autofree struct profile_line *lines = g_new(struct profile_line, from->n_lines + 1);

	for (uint32_t i = 0; i < from->n_lines; i++) {
		const struct profile_tables_line *line = &g_array_index(
			old->lines, struct profile_tables_line, from->first_line + i);
		const struct profile_tables_function *function = &g_array_index(
			old->functions, struct profile_tables_function, line->function - 1);
		lines[i] = (struct profile_line){ text_of(old, function->name),
			text_of(old, function->system_name), text_of(old, function->filename),
			line->line, function->start_line };
	}
	id = profile_location(profile, from->mapping, from->address, lines, from->n_lines);
	profile_set_offset(profile, id, from->offset);
	return id;
}

static void copy_sample(struct profile *profile, const struct profile *old,
	const struct profile_tables_sample *from)
{
	g_autofree uint64_t *locations = g_new(uint64_t, from->n_locations + 1);
	g_autofree struct profile_label *labels = g_new(struct profile_label, from->n_labels + 1);

	for (uint32_t i = 0; i < from->n_locations; i++)
		locations[i] = copy_location(profile, old,
			g_array_index(old->sample_locations, uint64_t, from->first_location + i));
	for (uint32_t i = 0; i < from->n_labels; i++) {
		const struct profile_tables_label *label = &g_array_index(
			old->labels, struct profile_tables_label, from->first_label + i);
		labels[i] = (struct profile_label){ text_of(old, label->key),
			label->text ? text_of(old, label->text) : NULL, label->number };
	}
	profile_add_sample(
		profile, locations, from->n_locations, from->values, labels, from->n_labels);
}

struct profile *profile_drop_zeros(struct profile *profile)
{
	struct profile *kept = NULL;
	guint n_zeros = 0;

	for (guint i = 0; i < profile->samples->len; i++)
		n_zeros += is_zero(
			profile, &g_array_index(profile->samples, struct profile_tables_sample, i));
	if (!n_zeros)
		return profile;
	kept = new_like(profile);
	for (guint i = 0; i < profile->samples->len; i++) {
		const struct profile_tables_sample *sample =
			&g_array_index(profile->samples, struct profile_tables_sample, i);
		if (!is_zero(profile, sample))
			copy_sample(kept, profile, sample);
	}
	profile_free(profile);
	return kept;
}

size_t profile_n_samples(const struct profile *profile)
{
	return profile->samples->len;
}
