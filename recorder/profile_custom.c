/* SPDX-License-Identifier: MIT */
/* Profiles that the program made itself: the stacks that added what is in them now. */
#include <stdlib.h>
#include <string.h>

#include "recorder/blackbox_tables.h"
#include "recorder/profile_kind.h"
#include "viewer/profile_text.h"

static void collect_process(
	const char *name, const struct profile_process *process, struct profile_rows *rows)
{
	g_autoptr(GArray) customs = blackbox_customs(process->blackbox), entries = NULL;
	bool is_wanted[FR_BB_MAX_CUSTOM] = { false };

	for (guint i = 0; i < customs->len; i++) {
		const struct blackbox_custom *custom =
			&g_array_index(customs, struct blackbox_custom, i);

		is_wanted[custom->index] = strcmp(custom->name, name) == 0;
	}
	entries = blackbox_custom_entries(process->blackbox);
	for (guint i = 0; i < entries->len; i++) {
		const struct fr_custom_entry *entry =
			&g_array_index(entries, struct fr_custom_entry, i);
		struct profile_row key = { .process = process->id, .stack = entry->stack };

		if (is_wanted[entry->profile])
			profile_rows_get(rows, &key)->values[0]++;
	}
}

static void custom_collect(const struct profile_kind *kind, const GPtrArray *processes,
	uint32_t wanted, struct profile_rows *rows)
{
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (process->blackbox && profile_process_is_shown(process, processes))
			collect_process(kind->name, process, rows);
	}
}

void profile_kind_custom(const char *name, struct profile_kind *kind_out)
{
	*kind_out = (struct profile_kind){
		.name = name,
		.about = "",
		.types = { { name, "count" } },
		.n_types = 1,
		.period_type = { name, "count" },
		.collect = custom_collect,
		.write_text = profile_kind_write_count,
		.count = profile_kind_total,
	};
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **profile_custom_names(const GPtrArray *processes)
{
	g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
	GPtrArray *names = g_ptr_array_new();

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		g_autoptr(GArray) customs = NULL;

		if (!process->blackbox)
			continue;
		customs = blackbox_customs(process->blackbox);
		for (guint k = 0; k < customs->len; k++) {
			char *name = g_utf8_make_valid(
				g_array_index(customs, struct blackbox_custom, k).name, -1);

			if (profile_kind_find(name) || g_hash_table_contains(known, name)) {
				g_free(name);
				continue;
			}
			g_hash_table_add(known, name);
			g_ptr_array_add(names, name);
		}
	}
	if (names->len)
		qsort(names->pdata, names->len, sizeof(void *), compare_names);
	g_ptr_array_add(names, NULL);
	return (char **)g_ptr_array_free(names, FALSE);
}
