/* SPDX-License-Identifier: MIT */
/* Open addressing with linear probing, at most 2/3 full; removal shifts later entries back. */
#include "viewer/idmap.h"

#include <glib.h>

static uint32_t idmap_hash(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ (b * 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;

	h ^= h >> 32;
	h *= 0xc4ceb9fe1a85ec53ull;
	return (uint32_t)(h >> 32);
}

void idmap_fini(struct idmap *map)
{
	g_free(map->entries);
	*map = (struct idmap){ 0 };
}

static uint32_t idmap_slot(const struct idmap *map, uint64_t a, uint64_t b)
{
	uint32_t i = idmap_hash(a, b) & (map->size - 1);

	while (map->entries[i].used && (map->entries[i].a != a || map->entries[i].b != b))
		i = (i + 1) & (map->size - 1);
	return i;
}

uint32_t idmap_get(const struct idmap *map, uint64_t a, uint64_t b)
{
	if (!map->size)
		return IDMAP_NONE;
	const struct idmap_entry *entry = &map->entries[idmap_slot(map, a, b)];
	return entry->used ? entry->value : IDMAP_NONE;
}

static void idmap_grow(struct idmap *map)
{
	struct idmap old = *map;

	map->size = old.size ? old.size * 2 : 64;
	map->entries = g_new0(struct idmap_entry, map->size);
	for (uint32_t i = 0; i < old.size; i++) {
		const struct idmap_entry *entry = &old.entries[i];
		if (entry->used)
			map->entries[idmap_slot(map, entry->a, entry->b)] = *entry;
	}
	g_free(old.entries);
}

void idmap_set(struct idmap *map, uint64_t a, uint64_t b, uint32_t value)
{
	if ((uint64_t)(map->n + 1) * 3 > (uint64_t)map->size * 2)
		idmap_grow(map);
	struct idmap_entry *entry = &map->entries[idmap_slot(map, a, b)];
	map->n += !entry->used;
	*entry = (struct idmap_entry){ a, b, value, 1 };
}

void idmap_remove(struct idmap *map, uint64_t a, uint64_t b)
{
	if (!map->size)
		return;
	uint32_t hole = idmap_slot(map, a, b);
	if (!map->entries[hole].used)
		return;
	map->n--;
	map->entries[hole].used = 0;
	/* Keep probing chains whole: re-place everything up to the next empty slot. */
	for (uint32_t i = (hole + 1) & (map->size - 1); map->entries[i].used;
		i = (i + 1) & (map->size - 1)) {
		struct idmap_entry entry = map->entries[i];
		map->entries[i].used = 0;
		map->entries[idmap_slot(map, entry.a, entry.b)] = entry;
	}
}
