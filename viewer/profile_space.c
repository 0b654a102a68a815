/* SPDX-License-Identifier: MIT */
/* Ranges above all user addresses, one per kind of what is moved; places in them are taken from hashes. */
#include "viewer/profile_space.h"

#include <string.h>

#define MOVED_MAPPINGS UINT64_C(0x0100000000000000)
#define MOVED_ADDRESSES UINT64_C(0x0200000000000000)
#define PSEUDO_ADDRESSES UINT64_C(0x0300000000000000)
#define SPAN UINT64_C(0x00ffffffffffffff)
/* A moved mapping begins at a multiple of this, so that it has room. */
#define MOVED_STEP (UINT64_C(1) << 32)

struct range {
	uint64_t start, limit;
};

/* A mapping that was placed. */
struct place {
	uint64_t id, start;
};

struct profile_space {
	struct profile *profile; /* borrowed */
	GArray *ranges;		 /* struct range: those of the mappings */
	GHashTable *by_file;	 /* owned key → owned struct place */
	GHashTable *taken;	 /* uint64_t * (owned): addresses outside mappings */
	GHashTable *moved;	 /* owned key → owned uint64_t: address of what was moved */
};

struct profile_space *profile_space_new(struct profile *profile)
{
	struct profile_space *space = g_new0(struct profile_space, 1);

	space->profile = profile;
	space->ranges = g_array_new(FALSE, FALSE, sizeof(struct range));
	space->by_file = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	space->taken = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	space->moved = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return space;
}

void profile_space_free(struct profile_space *space)
{
	if (!space)
		return;
	g_array_free(space->ranges, TRUE);
	g_hash_table_destroy(space->by_file);
	g_hash_table_destroy(space->taken);
	g_hash_table_destroy(space->moved);
	g_free(space);
}

/* FNV-1a: short texts, and the same value in every run. */
static uint64_t text_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

static int is_taken(const struct profile_space *space, uint64_t start, uint64_t limit)
{
	for (guint i = 0; i < space->ranges->len; i++) {
		const struct range *range = &g_array_index(space->ranges, struct range, i);
		if (start < range->limit && range->start < limit)
			return 1;
	}
	return 0;
}

uint64_t profile_space_map(
	struct profile_space *space, const struct profile_mapping *mapping, uint64_t *shift_out)
{
	uint64_t size = mapping->limit - mapping->start;
	char *key = g_strdup_printf("%s\n%s\n%" G_GINT64_MODIFIER "x:%" G_GINT64_MODIFIER "x",
		mapping->filename, mapping->build_id, mapping->file_offset, size);
	struct place *place = g_hash_table_lookup(space->by_file, key);

	if (place) {
		g_free(key);
		*shift_out = place->start - mapping->start;
		return place->id;
	}
	struct range range = { mapping->start, mapping->limit };
	if (is_taken(space, range.start, range.limit)) {
		range.start = MOVED_MAPPINGS + (text_hash(key) & SPAN & ~(MOVED_STEP - 1));
		while (is_taken(space, range.start, range.start + size))
			range.start += MOVED_STEP;
		range.limit = range.start + size;
	}
	struct profile_mapping moved = *mapping;
	moved.start = range.start;
	moved.limit = range.limit;
	place = g_new(struct place, 1);
	place->id = profile_add_mapping(space->profile, &moved);
	place->start = range.start;
	g_array_append_val(space->ranges, range);
	g_hash_table_insert(space->by_file, key, place);
	*shift_out = range.start - mapping->start;
	return place->id;
}

/* A free address in [base, base + SPAN) for the thing called `key`; takes over `key`. */
static uint64_t moved_address(struct profile_space *space, uint64_t base, char *key)
{
	uint64_t *address = g_hash_table_lookup(space->moved, key);

	if (address) {
		g_free(key);
		return *address;
	}
	address = g_new(uint64_t, 1);
	*address = base + (text_hash(key) & SPAN & ~UINT64_C(1));
	while (*address == base || g_hash_table_contains(space->taken, address))
		*address += 2;
	g_hash_table_insert(space->moved, key, address);
	g_hash_table_add(space->taken, g_memdup2(address, sizeof(*address)));
	return *address;
}

uint64_t profile_space_address(struct profile_space *space, uint32_t process, uint64_t address)
{
	char *key;

	if (address && !process && !is_taken(space, address, address + 1))
		return address;
	key = g_strdup_printf("%u\n%" G_GINT64_MODIFIER "x", process, address);
	return moved_address(space, MOVED_ADDRESSES, key);
}

uint64_t profile_space_pseudo(struct profile_space *space, const char *name)
{
	struct profile_line line = { .name = name, .system_name = name, .filename = "" };
	uint64_t address = moved_address(space, PSEUDO_ADDRESSES, g_strdup(name));

	return profile_location(space->profile, 0, address, &line, 1);
}
