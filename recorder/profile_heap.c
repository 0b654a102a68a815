/* SPDX-License-Identifier: MIT */
/*
 * Heap: objects sampled by bytes, by stack and size. What the blackbox holds is as sampled; each of its buckets knows
 * the rate it was sampled at, so that rates may change while the program runs.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "recorder/blackbox_tables.h"
#include "recorder/profile_kind.h"
#include "viewer/profile_text.h"

#define RATE_DEFAULT (512u << 10)

/* Values: objects and bytes allocated, objects and bytes in use. */
static void collect_process(
	const struct profile_process *process, bool is_shown, struct profile_rows *rows)
{
	g_autoptr(GArray) buckets = blackbox_buckets(process->blackbox, FR_BUCKET_HEAP);

	for (guint i = 0; i < buckets->len; i++) {
		const struct fr_bucket *bucket = &g_array_index(buckets, struct fr_bucket, i);
		struct profile_row key = {
			.process = process->id,
			.stack = bucket->stack,
			.size = bucket->key,
			.rate = bucket->rate,
		};
		struct profile_row *row = profile_rows_get(rows, &key);

		row->values[0] += (int64_t)bucket->value[0];
		row->values[1] += (int64_t)bucket->value[1];
		/* Read while they change, a free may be seen before its allocation. */
		if (is_shown && bucket->value[0] > bucket->value[2])
			row->values[2] += (int64_t)(bucket->value[0] - bucket->value[2]);
		if (is_shown && bucket->value[1] > bucket->value[3])
			row->values[3] += (int64_t)(bucket->value[1] - bucket->value[3]);
	}
}

static void heap_collect(const struct profile_kind *kind, const GPtrArray *processes,
	uint32_t wanted, struct profile_rows *rows)
{
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (process->blackbox)
			collect_process(
				process, profile_process_is_shown(process, processes), rows);
	}
}

double profile_heap_scale(int64_t n, int64_t bytes, uint64_t rate)
{
	if (n == 0 || bytes == 0)
		return 0;
	if (rate <= 1)
		return 1;
	return 1 / (1 - exp(-((double)bytes / (double)n) / (double)rate));
}

static void scale_pair(int64_t *pair, double factor)
{
	pair[0] = (int64_t)((double)pair[0] * factor);
	pair[1] = (int64_t)((double)pair[1] * factor);
}

/* Before anything is scaled: rounding would change it. */
static void set_mean(struct profile_row *row)
{
	if (row->values[0] > 0)
		row->bytes = (uint64_t)(row->values[1] / row->values[0]);
}

static void heap_scale(struct profile_rows *rows)
{
	for (guint i = 0; i < rows->all->len; i++) {
		struct profile_row *row = g_ptr_array_index(rows->all, i);

		set_mean(row);
		for (size_t k = 0; k < 4; k += 2)
			scale_pair(&row->values[k],
				profile_heap_scale(row->values[k], row->values[k + 1], row->rate));
	}
}

/*
 * The text has one rate for all and readers correct by it. What was sampled at another rate is written as what would
 * give the same result.
 */
static void heap_scale_text(struct profile_rows *rows, uint64_t rate)
{
	for (guint i = 0; i < rows->all->len; i++) {
		struct profile_row *row = g_ptr_array_index(rows->all, i);

		set_mean(row);
		for (size_t k = 0; k < 4 && row->rate != rate; k += 2) {
			int64_t *pair = &row->values[k];
			double want = profile_heap_scale(pair[0], pair[1], row->rate);
			double have = profile_heap_scale(pair[0], pair[1], rate);
			int64_t size = pair[0] ? pair[1] / pair[0] : 0;

			if (pair[0] == 0)
				continue;
			pair[0] = MAX(1, llround((double)pair[0] * want / have));
			pair[1] = pair[0] * size;
		}
	}
}

uint64_t profile_heap_rate(const GPtrArray *processes)
{
	uint64_t rate = 0, most = 0;

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		g_autoptr(GArray) buckets = NULL;

		if (!process->blackbox)
			continue;
		buckets = blackbox_buckets(process->blackbox, FR_BUCKET_HEAP);
		for (guint k = 0; k < buckets->len; k++) {
			const struct fr_bucket *bucket =
				&g_array_index(buckets, struct fr_bucket, k);

			if (bucket->value[1] > most) {
				most = bucket->value[1];
				rate = bucket->rate;
			}
		}
	}
	return rate;
}

/* A line "KEY: N kB" of /proc/PID/status, in bytes; 0 unknown. */
static uint64_t status_bytes(const char *status, const char *key)
{
	const char *line = strstr(status, key);
	unsigned long long kib;

	return line && sscanf(line + strlen(key), " %llu kB", &kib) == 1 ? kib << 10 : 0;
}

/* What Go's MemStats tells, as far as it can be known from outside; of all living processes together. */
static void append_tail(const GPtrArray *processes, const struct profile_rows *rows, GString *tail)
{
	uint64_t size = 0, data = 0, stack = 0, rss = 0, max_rss = 0;
	int64_t sums[4] = { 0 };

	for (guint i = 0; i < rows->all->len; i++)
		for (size_t k = 0; k < 4; k++)
			sums[k] +=
				((struct profile_row *)g_ptr_array_index(rows->all, i))->values[k];
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)process->pid);
		g_autofree char *status = NULL;

		if (!process->is_alive || !g_file_get_contents(path, &status, NULL, NULL))
			continue;
		size += status_bytes(status, "\nVmSize:");
		data += status_bytes(status, "\nVmData:");
		stack += status_bytes(status, "\nVmStk:");
		rss += status_bytes(status, "\nVmRSS:");
		max_rss += status_bytes(status, "\nVmHWM:");
	}
	/* Estimates from the samples, then what the kernel knows. */
	g_string_append(tail, "# runtime.MemStats\n");
	g_string_append_printf(tail,
		"# Alloc = %" PRId64 "\n# TotalAlloc = %" PRId64 "\n# Mallocs = %" PRId64
		"\n# Frees = %" PRId64 "\n# HeapAlloc = %" PRId64 "\n# HeapObjects = %" PRId64 "\n",
		sums[3], sums[1], sums[0], MAX(sums[0] - sums[2], 0), sums[3], sums[2]);
	g_string_append_printf(tail,
		"# Sys = %" PRIu64 "\n# HeapSys = %" PRIu64 "\n# Stack = %" PRIu64
		"\n# RSS = %" PRIu64 "\n# MaxRSS = %" PRIu64 "\n",
		size, data, stack, rss, max_rss);
}

static void heap_write_text(const struct profile_kind *kind, const struct profile *profile,
	const GPtrArray *processes, uint64_t rate, GString *out)
{
	struct profile_rows *rows = profile_rows_new();
	g_autoptr(GString) tail = g_string_new(NULL);

	heap_collect(kind, processes, 0, rows);
	heap_scale(rows);
	append_tail(processes, rows, tail);
	profile_rows_free(rows);
	profile_text_heap(profile, rate ? rate : RATE_DEFAULT, tail->str, out);
}

#define HEAP_FIELDS                                                                  \
	.types = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },         \
		{ "inuse_objects", "count" }, { "inuse_space", "bytes" } },          \
	.n_types = 4, .period_type = { "space", "bytes" }, .has_delta = true,        \
	.collect = heap_collect, .scale = heap_scale, .scale_text = heap_scale_text, \
	.write_text = heap_write_text

const struct profile_kind profile_kind_heap = {
	.name = "heap",
	.about = "Memory in use now and allocated since the start, from samples. You can specify "
		 "the "
		 "gc GET parameter; there is nothing to collect here.",
	HEAP_FIELDS,
};

const struct profile_kind profile_kind_allocs = {
	.name = "allocs",
	.about = "Memory allocated since the start, from samples: heap, shown by what was "
		 "allocated.",
	.default_type = "alloc_space",
	HEAP_FIELDS,
};
