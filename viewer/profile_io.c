/* SPDX-License-Identifier: MIT */
/*
 * Writes a profile's tables as protobuf, through protobuf-c, and gzip, as fast as zlib goes. All messages of
 * a kind are laid out in one array; protobuf-c wants arrays of pointers to them beside it.
 */
#include <string.h>
#include <zlib.h>

#include "profile.pb-c.h"
#include "viewer/profile_tables.h"

#define INIT(type) perftools__profiles__##type##__init

/* An array of `n` pointers to the members of `items`. Owned by the caller. */
static void *pointers_to(void *items, size_t n, size_t size)
{
	void **pointers = g_new(void *, n + 1);

	for (size_t i = 0; i < n; i++)
		pointers[i] = (char *)items + i * size;
	return pointers;
}

#define LIST(message, field, type, n)                                                      \
	Perftools__Profiles__##type *field = g_new0(Perftools__Profiles__##type, (n) + 1); \
	for (size_t i_ = 0; i_ < (n); i_++)                                                \
		INIT_##type(&field[i_]);                                                   \
	(message).n_##field = (n);                                                         \
	(message).field = pointers_to(field, (n), sizeof(*field))

#define INIT_ValueType INIT(value_type)
#define INIT_Sample INIT(sample)
#define INIT_Label INIT(label)
#define INIT_Mapping INIT(mapping)
#define INIT_Location INIT(location)
#define INIT_Line INIT(line)
#define INIT_Function INIT(function)

static void fill_mappings(const struct profile *profile, Perftools__Profiles__Mapping *mapping)
{
	for (guint i = 0; i < profile->mappings->len; i++) {
		const struct profile_tables_mapping *from =
			&g_array_index(profile->mappings, struct profile_tables_mapping, i);
		/* Readers look nothing up in a mapping with any of these set: all names or none. */
		int is_named = from->n_locations > 0 && from->n_named == from->n_locations;
		mapping[i].id = i + 1;
		mapping[i].memory_start = from->start;
		mapping[i].memory_limit = from->limit;
		mapping[i].file_offset = from->file_offset;
		mapping[i].filename = from->filename;
		mapping[i].build_id = from->build_id;
		mapping[i].has_functions = is_named;
		mapping[i].has_filenames = is_named && from->n_filed == from->n_locations;
		mapping[i].has_line_numbers = is_named && from->n_lined == from->n_locations;
		/* Inlined frames come from the same debug data as lines. */
		mapping[i].has_inline_frames = mapping[i].has_line_numbers;
	}
}

static void fill_functions(const struct profile *profile, Perftools__Profiles__Function *function)
{
	for (guint i = 0; i < profile->functions->len; i++) {
		const struct profile_tables_function *from =
			&g_array_index(profile->functions, struct profile_tables_function, i);
		function[i].id = i + 1;
		function[i].name = from->name;
		function[i].system_name = from->system_name;
		function[i].filename = from->filename;
		function[i].start_line = from->start_line;
	}
}

static void fill_locations(const struct profile *profile, Perftools__Profiles__Location *location,
	Perftools__Profiles__Line **line_pointers, Perftools__Profiles__Line *line)
{
	for (guint i = 0; i < profile->lines->len; i++) {
		const struct profile_tables_line *from =
			&g_array_index(profile->lines, struct profile_tables_line, i);
		INIT(line)(&line[i]);
		line[i].function_id = from->function;
		line[i].line = from->line;
		line_pointers[i] = &line[i];
	}
	for (guint i = 0; i < profile->locations->len; i++) {
		const struct profile_tables_location *from =
			&g_array_index(profile->locations, struct profile_tables_location, i);
		location[i].id = i + 1;
		location[i].mapping_id = from->mapping;
		location[i].address = from->address;
		location[i].n_line = from->n_lines;
		location[i].line = line_pointers + from->first_line;
	}
}

static void fill_samples(const struct profile *profile, Perftools__Profiles__Sample *sample,
	Perftools__Profiles__Label **label_pointers, Perftools__Profiles__Label *label)
{
	for (guint i = 0; i < profile->labels->len; i++) {
		const struct profile_tables_label *from =
			&g_array_index(profile->labels, struct profile_tables_label, i);
		INIT(label)(&label[i]);
		label[i].key = from->key;
		label[i].str = from->text;
		label[i].num = from->number;
		label_pointers[i] = &label[i];
	}
	for (guint i = 0; i < profile->samples->len; i++) {
		struct profile_tables_sample *from =
			&g_array_index(profile->samples, struct profile_tables_sample, i);
		sample[i].n_location_id = from->n_locations;
		sample[i].location_id =
			&g_array_index(profile->sample_locations, uint64_t, from->first_location);
		sample[i].n_value = profile->n_types;
		sample[i].value = from->values;
		sample[i].n_label = from->n_labels;
		sample[i].label = label_pointers + from->first_label;
	}
}

/* gzip of `size` bytes, level 1 as other writers of profiles use. */
static GByteArray *compress_bytes(const uint8_t *data, size_t size)
{
	z_stream stream = { 0 };
	GByteArray *out = g_byte_array_new();

	/* 16 + 15: a gzip header and the largest window. Fails only without memory. */
	if (deflateInit2(&stream, 1, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		g_error("zlib: no memory");
	g_byte_array_set_size(out, deflateBound(&stream, size));
	stream.next_in = (Bytef *)data;
	stream.avail_in = size;
	stream.next_out = out->data;
	stream.avail_out = out->len;
	if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
		g_error("zlib: deflateBound() was wrong");
	g_byte_array_set_size(out, stream.total_out);
	deflateEnd(&stream);
	return out;
}

GByteArray *profile_pack(const struct profile *profile)
{
	Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__ValueType period_type = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	Perftools__Profiles__Line *line =
		g_new0(Perftools__Profiles__Line, profile->lines->len + 1);
	Perftools__Profiles__Label *label =
		g_new0(Perftools__Profiles__Label, profile->labels->len + 1);
	void **line_pointers = g_new0(void *, profile->lines->len + 1);
	void **label_pointers = g_new0(void *, profile->labels->len + 1);
	char **texts = g_new0(char *, profile->n_strings);

	LIST(message, sample_type, ValueType, profile->n_types);
	LIST(message, mapping, Mapping, profile->mappings->len);
	LIST(message, function, Function, profile->functions->len);
	LIST(message, location, Location, profile->locations->len);
	LIST(message, sample, Sample, profile->samples->len);
	for (size_t i = 0; i < profile->n_types; i++) {
		sample_type[i].type = profile->types[i].type;
		sample_type[i].unit = profile->types[i].unit;
	}
	fill_mappings(profile, mapping);
	fill_functions(profile, function);
	fill_locations(profile, location, (Perftools__Profiles__Line **)line_pointers, line);
	fill_samples(profile, sample, (Perftools__Profiles__Label **)label_pointers, label);
	for (uint32_t i = 0; i < profile->n_strings; i++)
		texts[i] = (char *)strings_get(profile->strings, i);
	message.n_string_table = profile->n_strings;
	message.string_table = texts;
	period_type.type = profile->period_type.type;
	period_type.unit = profile->period_type.unit;
	message.period_type = &period_type;
	message.period = profile->period;
	message.default_sample_type = profile->default_type;
	message.n_comment = profile->comments->len;
	message.comment = (int64_t *)(void *)profile->comments->data;
	message.time_nanos = profile->time_ns;
	message.duration_nanos = profile->duration_ns;

	size_t size = perftools__profiles__profile__get_packed_size(&message);
	uint8_t *packed = g_malloc(size);
	perftools__profiles__profile__pack(&message, packed);
	GByteArray *out = compress_bytes(packed, size);

	void *owned[] = { packed, line, label, line_pointers, label_pointers, texts, sample_type,
		message.sample_type, mapping, message.mapping, function, message.function, location,
		message.location, sample, message.sample };
	for (size_t i = 0; i < G_N_ELEMENTS(owned); i++)
		g_free(owned[i]);
	return out;
}
