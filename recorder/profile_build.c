/* SPDX-License-Identifier: MIT */
#include "recorder/profile_build.h"

#include <string.h>

#include "recorder/profile_symbols.h"

/* Sizes that are remembered, of all processes. */
#define MAX_SIZES (8u * 32768)

const struct profile_process *profile_main_process(const GPtrArray *processes)
{
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (process->is_alive)
			return process;
	}
	return processes->len ? g_ptr_array_index(processes, 0) : NULL;
}

static int label_compare(const void *a, const void *b)
{
	return strcmp(
		((const struct profile_label *)a)->key, ((const struct profile_label *)b)->key);
}

GArray *profile_labels_parse(const char *text, char **copy_out)
{
	GArray *labels = g_array_new(FALSE, FALSE, sizeof(struct profile_label));
	char *copy = g_strdup(text ? text : ""), *at = copy;

	while (*at) {
		char *end = at + strcspn(at, ","), *value = memchr(at, '=', (size_t)(end - at));
		bool is_last = *end == '\0';

		*end = '\0';
		/* An empty text would read as the number 0. */
		if (value && value > at && value[1]) {
			struct profile_label label = { .key = at, .text = value + 1 };

			*value = '\0';
			g_array_append_val(labels, label);
		}
		at = is_last ? end : end + 1;
	}
	/* The same set is the same whatever the order it was made in. */
	g_array_sort(labels, label_compare);
	*copy_out = copy;
	return labels;
}

/* id → process, for those that rows speak of. */
static GHashTable *processes_of(const struct profile_build *build)
{
	GHashTable *by_id = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < build->rows->all->len; i++) {
		const struct profile_row *row = g_ptr_array_index(build->rows->all, i);

		if (!profile_row_is_zero(row))
			g_hash_table_add(used, GUINT_TO_POINTER(row->process));
	}
	for (guint i = 0; i < build->processes->len; i++) {
		struct profile_process *process = g_ptr_array_index(build->processes, i);

		if (g_hash_table_contains(used, GUINT_TO_POINTER(process->id)))
			g_hash_table_insert(by_id, GUINT_TO_POINTER(process->id), process);
	}
	return by_id;
}

/* How many different pids there are: images that one process had one after the other are one. */
static bool are_several(GHashTable *by_id)
{
	GHashTableIter iter;
	void *value;
	pid_t pid = 0;

	g_hash_table_iter_init(&iter, by_id);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct profile_process *process = value;

		if (pid && process->pid != pid)
			return true;
		pid = process->pid;
	}
	return false;
}

/*
 * The label `bytes` of a heap sample. A bucket holds objects of about the same size, and their mean changes as more of
 * them come; but readers tell samples apart by their labels, so what was said once is said again.
 */
static uint64_t label_bytes(const struct profile_build *build, const struct profile_row *row)
{
	struct profile_row *known;

	if (!row->bytes || !build->sizes ||
		(build->sizes->all->len >= MAX_SIZES &&
			!g_hash_table_contains(build->sizes->by_key, row)))
		return row->bytes;
	known = profile_rows_get(build->sizes, row);
	known->bytes = known->values[0] ? known->bytes : row->bytes;
	known->values[0] = 1;
	return known->bytes;
}

static void add_row(const struct profile_build *build, struct profile *profile,
	struct profile_symbols *symbols, const struct profile_process *process, bool has_pid,
	const struct profile_row *row)
{
	g_autoptr(GArray) locations = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	g_autofree char *copy = NULL;
	g_autoptr(GArray) labels = profile_labels_parse(row->labels, &copy);
	struct profile_label bytes = { .key = "bytes", .number = (int64_t)label_bytes(build, row) };
	struct profile_label pid = { .key = "pid", .number = process->pid };
	int64_t values[PROFILE_MAX_VALUES];

	memcpy(values, row->values, sizeof(values));
	if (build->kind == &profile_kind_cpu)
		values[1] = values[0] * (int64_t)build->period;
	if (row->pseudo) {
		uint64_t id = profile_symbols_pseudo(symbols, row->pseudo);

		g_array_append_val(locations, id);
	} else {
		profile_symbols_stack(symbols, process, row->stack, locations);
	}
	if (bytes.number)
		g_array_append_val(labels, bytes);
	if (has_pid)
		g_array_append_val(labels, pid);
	profile_add_sample(profile, (const uint64_t *)(const void *)locations->data, locations->len,
		values, (const struct profile_label *)(const void *)labels->data, labels->len);
}

struct profile *profile_build(const struct profile_build *build)
{
	const struct profile_kind *kind = build->kind;
	const struct profile_process *main_process = profile_main_process(build->processes);
	struct profile *profile =
		profile_new(kind->types, kind->n_types, kind->period_type, (int64_t)build->period);
	g_autoptr(GHashTable) by_id = processes_of(build);
	bool has_pid = are_several(by_id);
	struct profile_symbols *symbols =
		profile_symbols_new(profile, build->cache, g_hash_table_size(by_id) > 1);

	if (!kind->shows_own)
		profile_symbols_hide_own(symbols);
	profile_set_time(profile, build->time_ns, build->duration_ns);
	if (kind->default_type)
		profile_set_default_type(profile, kind->default_type);
	if (build->comment)
		profile_add_comment(profile, build->comment);
	if (main_process)
		profile_symbols_add_process(symbols, main_process);
	for (guint i = 0; i < build->processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(build->processes, i);

		if (g_hash_table_contains(by_id, GUINT_TO_POINTER(process->id)))
			profile_symbols_add_process(symbols, process);
	}
	for (int pass = 0; pass < 2; pass++) {
		for (guint i = 0; i < build->rows->all->len; i++) {
			const struct profile_row *row = g_ptr_array_index(build->rows->all, i);
			const struct profile_process *process =
				g_hash_table_lookup(by_id, GUINT_TO_POINTER(row->process));

			if (!process || profile_row_is_zero(row))
				continue;
			if (pass)
				add_row(build, profile, symbols, process, has_pid, row);
			else if (!row->pseudo)
				profile_symbols_want(symbols, process, row->stack);
		}
		if (!pass)
			profile_symbols_resolve(symbols);
	}
	profile_symbols_free(symbols);
	return profile_drop_zeros(profile);
}
