/* SPDX-License-Identifier: MIT */
#include "recorder/profile_rows.h"

#include <string.h>

#include "proto/stack.h"

static guint row_hash(gconstpointer data)
{
	const struct profile_row *row = data;
	uint64_t hash = stack_hash_fold(
		(uint64_t)row->process << 32 | row->stack, 0x9e3779b97f4a7c15ull ^ row->size);

	hash ^= stack_hash_fold(row->rate ^ 0xa0761d6478bd642full, 0xd1b54a32d192ed03ull);
	return (guint)(hash ^ hash >> 32) ^ (row->labels ? g_str_hash(row->labels) : 0) ^
	       (row->pseudo ? g_str_hash(row->pseudo) : 0);
}

static gboolean row_equal(gconstpointer a_, gconstpointer b_)
{
	const struct profile_row *a = a_, *b = b_;

	return a->process == b->process && a->stack == b->stack && a->size == b->size &&
	       a->rate == b->rate && g_strcmp0(a->labels, b->labels) == 0 &&
	       g_strcmp0(a->pseudo, b->pseudo) == 0;
}

struct profile_rows *profile_rows_new(void)
{
	struct profile_rows *rows = g_new0(struct profile_rows, 1);

	rows->all = g_ptr_array_new_with_free_func(g_free);
	rows->by_key = g_hash_table_new(row_hash, row_equal);
	rows->labels = g_string_chunk_new(1024);
	return rows;
}

void profile_rows_free(struct profile_rows *rows)
{
	if (!rows)
		return;
	g_hash_table_unref(rows->by_key);
	g_ptr_array_unref(rows->all);
	g_string_chunk_free(rows->labels);
	g_free(rows);
}

struct profile_row *profile_rows_get(struct profile_rows *rows, const struct profile_row *key)
{
	struct profile_row *row = g_hash_table_lookup(rows->by_key, key);

	if (row)
		return row;
	row = g_memdup2(key, sizeof(*key));
	memset(row->values, 0, sizeof(row->values));
	if (row->labels)
		row->labels = *row->labels ? g_string_chunk_insert_const(rows->labels, row->labels)
					   : NULL;
	g_hash_table_add(rows->by_key, row);
	g_ptr_array_add(rows->all, row);
	return row;
}

void profile_rows_subtract(struct profile_rows *rows, const struct profile_rows *before)
{
	for (guint i = 0; i < before->all->len; i++) {
		const struct profile_row *old = g_ptr_array_index(before->all, i);
		struct profile_row *row = profile_rows_get(rows, old);

		for (size_t k = 0; k < PROFILE_MAX_VALUES; k++)
			row->values[k] -= old->values[k];
	}
}

bool profile_row_is_zero(const struct profile_row *row)
{
	for (size_t i = 0; i < PROFILE_MAX_VALUES; i++)
		if (row->values[i] != 0)
			return false;
	return true;
}
