/* SPDX-License-Identifier: MIT */
/* Interned strings on GLib: a chunk owns the bytes, a hash finds them, an array numbers them. */
#include "viewer/strings.h"

#include <glib.h>

struct strings {
	GStringChunk *bytes; /* owned */
	GHashTable *ids;     /* text (borrowed from bytes) → id */
	GPtrArray *texts;    /* id → text (borrowed from bytes) */
};

struct strings *strings_new(void)
{
	struct strings *strings = g_new0(struct strings, 1);

	strings->bytes = g_string_chunk_new(64 << 10);
	strings->ids = g_hash_table_new(g_str_hash, g_str_equal);
	strings->texts = g_ptr_array_new();
	strings_add(strings, "");
	return strings;
}

void strings_free(struct strings *strings)
{
	if (!strings)
		return;
	g_hash_table_destroy(strings->ids);
	g_ptr_array_free(strings->texts, TRUE);
	g_string_chunk_free(strings->bytes);
	g_free(strings);
}

uint32_t strings_add(struct strings *strings, const char *text)
{
	gpointer id;

	if (!text)
		text = "";
	if (g_hash_table_lookup_extended(strings->ids, text, NULL, &id))
		return GPOINTER_TO_UINT(id);
	char *copy = g_string_chunk_insert(strings->bytes, text);
	id = GUINT_TO_POINTER(strings->texts->len);
	g_hash_table_insert(strings->ids, copy, id);
	g_ptr_array_add(strings->texts, copy);
	return GPOINTER_TO_UINT(id);
}

const char *strings_get(const struct strings *strings, uint32_t id)
{
	return id < strings->texts->len ? strings->texts->pdata[id] : "";
}

uint32_t strings_n(const struct strings *strings)
{
	return strings->texts->len;
}
