/* SPDX-License-Identifier: MIT */
#include "recorder/perf_samples.h"

#include <string.h>

#include <glib.h>

#include "proto/stack.h"
#include "recorder/cpu_perf.h"

/* What is kept of a sample; the key of the table, too. */
struct entry {
	uint64_t hash;
	struct cpu_perf_sample sample; /* frames: `frames` below, but in a key to look for */
	uint64_t frames[];
};

struct perf_samples {
	GHashTable *entries; /* struct entry, owned, as key */
	size_t n_bytes;
};

static guint entry_hash(gconstpointer entry)
{
	return (guint)(((const struct entry *)entry)->hash >> 16);
}

static gboolean entry_equal(gconstpointer left, gconstpointer right)
{
	const struct entry *a = left, *b = right;
	const struct cpu_perf_sample *x = &a->sample, *y = &b->sample;

	return a->hash == b->hash && x->process == y->process && x->tid == y->tid &&
	       x->tag == y->tag && x->flags == y->flags && x->n == y->n &&
	       (x->n == 0 || memcmp(x->frames, y->frames, x->n * sizeof(*x->frames)) == 0);
}

struct perf_samples *perf_samples_new(void)
{
	struct perf_samples *samples = g_new0(struct perf_samples, 1);

	samples->entries = g_hash_table_new_full(entry_hash, entry_equal, g_free, NULL);
	return samples;
}

void perf_samples_free(struct perf_samples *samples)
{
	if (!samples)
		return;
	g_hash_table_destroy(samples->entries);
	g_free(samples);
}

bool perf_samples_add(struct perf_samples *samples, const struct cpu_perf_sample *sample)
{
	size_t n_bytes = sample->n * sizeof(*sample->frames);
	struct entry wanted = { .sample = *sample }, *entry;

	wanted.hash = stack_record_hash(sample->frames, sample->n, sample->flags);
	wanted.hash = stack_hash_fold(wanted.hash ^ sample->process,
		((uint64_t)sample->tag << 32 | (uint32_t)sample->tid) ^ 0xa0761d6478bd642full);
	entry = g_hash_table_lookup(samples->entries, &wanted);
	if (entry) {
		entry->sample.count += sample->count;
		return true;
	}
	if (g_hash_table_size(samples->entries) >= PERF_SAMPLES_MAX ||
		samples->n_bytes + n_bytes > PERF_SAMPLES_MAX_BYTES)
		return false;
	entry = g_malloc(sizeof(*entry) + n_bytes);
	*entry = wanted;
	if (n_bytes)
		memcpy(entry->frames, sample->frames, n_bytes);
	entry->sample.frames = entry->frames;
	samples->n_bytes += n_bytes;
	g_hash_table_add(samples->entries, entry);
	return true;
}

void perf_samples_each(const struct perf_samples *samples, perf_samples_fn fn, void *data)
{
	GHashTableIter iter;
	void *key;

	g_hash_table_iter_init(&iter, samples->entries);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		fn(data, &((const struct entry *)key)->sample);
}
