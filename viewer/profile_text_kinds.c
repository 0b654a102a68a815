/* SPDX-License-Identifier: MIT */
/* The records of the texts, one writer for each of the three shapes that readers know. */
#include <stdlib.h>
#include <string.h>

#include "viewer/profile_tables.h"
#include "viewer/profile_text.h"

#define INT "%" G_GINT64_FORMAT

/* A sample with the text by which it is sorted; `key` is owned. */
struct record {
	const struct profile_tables_sample *sample;
	int64_t rank; /* larger ones first */
	char *key;
};

static void record_clear(void *data)
{
	g_free(((struct record *)data)->key);
}

static int record_compare(const void *a_, const void *b_)
{
	const struct record *a = a_, *b = b_;

	if (a->rank != b->rank)
		return a->rank > b->rank ? -1 : 1;
	return strcmp(a->key, b->key);
}

static const uint64_t *locations_of(
	const struct profile *profile, const struct profile_tables_sample *sample)
{
	return &g_array_index(profile->sample_locations, uint64_t, sample->first_location);
}

static int label_compare(const void *a, const void *b, void *strings)
{
	return strcmp(strings_get(strings, ((const struct profile_tables_label *)a)->key),
		strings_get(strings, ((const struct profile_tables_label *)b)->key));
}

/* "\n# labels: {…}" when there are any, keys sorted. */
static void append_labels(
	const struct profile *profile, const struct profile_tables_sample *sample, GString *out)
{
	g_autofree struct profile_tables_label *labels =
		g_new(struct profile_tables_label, sample->n_labels + 1);
	size_t n = 0;

	for (uint32_t i = 0; i < sample->n_labels; i++) {
		const struct profile_tables_label *label = &g_array_index(
			profile->labels, struct profile_tables_label, sample->first_label + i);
		if (label->text || strcmp(strings_get(profile->strings, label->key), "pid") == 0)
			labels[n++] = *label;
	}
	if (!n)
		return;
	g_qsort_with_data(labels, (int)n, sizeof(*labels), label_compare, profile->strings);
	g_string_append(out, "\n# labels: {");
	for (size_t i = 0; i < n; i++) {
		g_string_append(out, i ? ", " : "");
		profile_text_quote(strings_get(profile->strings, labels[i].key), out);
		g_string_append_c(out, ':');
		if (labels[i].text)
			profile_text_quote(strings_get(profile->strings, labels[i].text), out);
		else
			g_string_append_printf(out, "\"" INT "\"", labels[i].number);
	}
	g_string_append_c(out, '}');
}

/* All samples, by value `rank` descending, then by stack and labels. */
static GArray *records_of(const struct profile *profile, size_t rank)
{
	GArray *records = g_array_new(FALSE, FALSE, sizeof(struct record));

	g_array_set_clear_func(records, record_clear);
	for (guint i = 0; i < profile->samples->len; i++) {
		struct record record = { .sample = &g_array_index(profile->samples,
						 struct profile_tables_sample, i) };
		GString *key = g_string_new("@");
		record.rank = record.sample->values[rank];
		profile_text_addresses(profile, locations_of(profile, record.sample),
			record.sample->n_locations, key);
		append_labels(profile, record.sample, key);
		record.key = g_string_free(key, FALSE);
		g_array_append_val(records, record);
	}
	if (records->len)
		qsort(records->data, records->len, sizeof(struct record), record_compare);
	return records;
}

static void append_frames(const struct profile *profile, const struct record *record, GString *out)
{
	profile_text_frames(
		profile, locations_of(profile, record->sample), record->sample->n_locations, out);
	g_string_append_c(out, '\n');
}

void profile_text_count(const struct profile *profile, const char *name, GString *out)
{
	g_autoptr(GArray) records = records_of(profile, 0);
	int64_t total = 0;

	for (guint i = 0; i < records->len; i++)
		total += g_array_index(records, struct record, i).rank;
	g_string_append_printf(out, "%s profile: total " INT "\n", name, total);
	for (guint i = 0; i < records->len; i++) {
		const struct record *record = &g_array_index(records, struct record, i);
		g_string_append_printf(out, INT " %s\n", record->rank, record->key);
		append_frames(profile, record, out);
	}
	profile_text_map(profile, out);
}

static void append_heap_numbers(const int64_t values[4], GString *out)
{
	g_string_append_printf(out, INT ": " INT " [" INT ": " INT "] @", values[2], values[3],
		values[0], values[1]);
}

void profile_text_heap(const struct profile *profile, uint64_t rate, const char *tail, GString *out)
{
	g_autoptr(GArray) records = records_of(profile, 3);
	int64_t totals[4] = { 0 };

	for (guint i = 0; i < records->len; i++)
		for (size_t k = 0; k < 4; k++)
			totals[k] += g_array_index(records, struct record, i).sample->values[k];
	/* Readers take two equal pairs for a profile without the second one. */
	totals[1] += totals[1] == totals[3];
	g_string_append(out, "heap profile: ");
	append_heap_numbers(totals, out);
	/* Twice the rate, for reasons of history. */
	g_string_append_printf(out, " heap/%" G_GUINT64_FORMAT "\n", 2 * rate);
	for (guint i = 0; i < records->len; i++) {
		const struct record *record = &g_array_index(records, struct record, i);
		append_heap_numbers(record->sample->values, out);
		profile_text_addresses(profile, locations_of(profile, record->sample),
			record->sample->n_locations, out);
		g_string_append_c(out, '\n');
		append_frames(profile, record, out);
	}
	g_string_append_printf(out, "\n%s", tail);
	profile_text_map(profile, out);
}

void profile_text_contention(const struct profile *profile, int is_mutex, GString *out)
{
	g_autoptr(GArray) records = records_of(profile, 1);

	g_string_append(out, is_mutex ? "--- mutex:\n" : "--- contention:\n");
	/* Nanoseconds are the cycles, and the numbers are those of all waits already. */
	g_string_append(out, "cycles/second=1000000000\n");
	g_string_append(out, is_mutex ? "sampling period=1\n" : "");
	for (guint i = 0; i < records->len; i++) {
		const struct record *record = &g_array_index(records, struct record, i);
		g_string_append_printf(
			out, INT " " INT " @", record->rank, MAX(record->sample->values[0], 1));
		profile_text_addresses(profile, locations_of(profile, record->sample),
			record->sample->n_locations, out);
		g_string_append_c(out, '\n');
		append_frames(profile, record, out);
	}
	profile_text_map(profile, out);
}
