/* SPDX-License-Identifier: MIT */
/*
 * Waits for locks, at the stack that waited (block) and at the stack that let go (mutex). The numbers are corrected for
 * sampling when they are recorded, as in Go.
 */
#include "recorder/blackbox_tables.h"
#include "recorder/profile_kind.h"
#include "viewer/profile_text.h"

/* Values: waits in 1/FR_BUCKET_FRACTION, ns. */
static void add_waits(const struct profile_process *process, const struct fr_bucket *bucket,
	struct profile_rows *rows)
{
	struct profile_row key = { .process = process->id, .stack = bucket->stack };
	struct profile_row *row = profile_rows_get(rows, &key);

	row->values[0] += (int64_t)bucket->value[0];
	row->values[1] += (int64_t)bucket->value[1];
}

static void contention_collect(const struct profile_kind *kind, const GPtrArray *processes,
	uint32_t wanted, struct profile_rows *rows)
{
	profile_kind_each_bucket(processes,
		kind == &profile_kind_mutex ? FR_BUCKET_MUTEX : FR_BUCKET_BLOCK, add_waits, rows);
}

/* Whole waits; what was seen at all is at least one. */
static void contention_scale(struct profile_rows *rows)
{
	for (guint i = 0; i < rows->all->len; i++) {
		int64_t *values = ((struct profile_row *)g_ptr_array_index(rows->all, i))->values;

		if (values[0] > 0)
			values[0] = MAX(values[0] / FR_BUCKET_FRACTION, 1);
	}
}

static void contention_scale_text(struct profile_rows *rows, uint64_t rate)
{
	contention_scale(rows);
}

static void contention_write_text(const struct profile_kind *kind, const struct profile *profile,
	const GPtrArray *processes, uint64_t rate, GString *out)
{
	profile_text_contention(profile, kind == &profile_kind_mutex, out);
}

#define CONTENTION_FIELDS                                                                  \
	.types = { { "contentions", "count" }, { "delay", "nanoseconds" } }, .n_types = 2, \
	.period_type = { "contentions", "count" }, .has_delta = true,                      \
	.collect = contention_collect, .scale = contention_scale,                          \
	.scale_text = contention_scale_text, .write_text = contention_write_text

const struct profile_kind profile_kind_block = {
	.name = "block",
	.about =
		"Stacks that waited for locks, conditions, semaphores, barriers and other threads.",
	CONTENTION_FIELDS,
};

const struct profile_kind profile_kind_mutex = {
	.name = "mutex",
	.about = "Stacks that held what others waited for: where locks were let go.",
	CONTENTION_FIELDS,
};
