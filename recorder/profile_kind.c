/* SPDX-License-Identifier: MIT */
#include "recorder/profile_kind.h"

#include <string.h>

#include "recorder/blackbox_tables.h"
#include "viewer/profile_text.h"

const struct profile_kind *const profile_kinds[] = {
	&profile_kind_allocs,
	&profile_kind_block,
	&profile_kind_goroutine,
	&profile_kind_heap,
	&profile_kind_mutex,
	&profile_kind_thread,
	&profile_kind_threadcreate,
	NULL,
};

const struct profile_kind *profile_kind_find(const char *name)
{
	for (size_t i = 0; profile_kinds[i]; i++)
		if (strcmp(profile_kinds[i]->name, name) == 0)
			return profile_kinds[i];
	return NULL;
}

void profile_kind_each_bucket(const GPtrArray *processes, enum fr_bucket_kind table,
	profile_bucket_fn add, struct profile_rows *rows)
{
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		g_autoptr(GArray) buckets = NULL;

		if (!process->blackbox)
			continue;
		buckets = blackbox_buckets(process->blackbox, table);
		for (guint k = 0; k < buckets->len; k++)
			add(process, &g_array_index(buckets, struct fr_bucket, k), rows);
	}
}

uint64_t profile_kind_total(const struct profile_kind *kind, const GPtrArray *processes)
{
	struct profile_rows *rows = profile_rows_new();
	uint64_t n = 0;

	kind->collect(kind, processes, 0, rows);
	for (guint i = 0; i < rows->all->len; i++)
		n += (uint64_t)((struct profile_row *)g_ptr_array_index(rows->all, i))->values[0];
	profile_rows_free(rows);
	return n;
}

void profile_kind_write_count(const struct profile_kind *kind, const struct profile *profile,
	const GPtrArray *processes, uint64_t rate, GString *out)
{
	profile_text_count(profile, kind->name, out);
}
