/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "viewer/idmap.h"

static void finds_what_was_stored(void)
{
	struct idmap map = { 0 };
	uint32_t n_wrong = 0;

	CHECK_INT(idmap_get(&map, 1, 2), IDMAP_NONE);
	for (uint64_t i = 0; i < 50000; i++)
		idmap_set(&map, i % 7, i << 20, (uint32_t)i);
	CHECK_INT(map.n, 50000);
	for (uint64_t i = 0; i < 50000; i++)
		n_wrong += idmap_get(&map, i % 7, i << 20) != i;
	CHECK_INT(n_wrong, 0);
	idmap_set(&map, 3, UINT64_C(3) << 20, 99);
	CHECK_INT(map.n, 50000);
	CHECK_INT(idmap_get(&map, 3, UINT64_C(3) << 20), 99);
	idmap_fini(&map);
}

static void keys_are_ordered_pairs(void)
{
	struct idmap map = { 0 };

	idmap_set(&map, 1, 2, 12);
	idmap_set(&map, 2, 1, 21);
	CHECK_INT(idmap_get(&map, 1, 2), 12);
	CHECK_INT(idmap_get(&map, 2, 1), 21);
	CHECK_INT(idmap_get(&map, 1, 1), IDMAP_NONE);
	idmap_fini(&map);
}

static void removal_keeps_the_rest(void)
{
	struct idmap map = { 0 };
	uint32_t n_wrong = 0;

	for (uint64_t i = 0; i < 10000; i++)
		idmap_set(&map, i, 0, (uint32_t)i);
	for (uint64_t i = 0; i < 10000; i += 3)
		idmap_remove(&map, i, 0);
	idmap_remove(&map, 0, 0);
	for (uint64_t i = 0; i < 10000; i++)
		n_wrong += idmap_get(&map, i, 0) != (i % 3 ? i : IDMAP_NONE);
	CHECK_INT(n_wrong, 0);
	CHECK_INT(map.n, 10000 - 3334);
	idmap_fini(&map);
}

int main(void)
{
	CASE(finds_what_was_stored, "a stored value is found, a new one replaces it");
	CASE(keys_are_ordered_pairs, "both parts of a key count, in order");
	CASE(removal_keeps_the_rest, "removing entries leaves all others reachable");
	return CHECK_DONE();
}
