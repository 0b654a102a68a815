/* SPDX-License-Identifier: MIT */
/*
 * Open addressing in the blackbox, and a filter in front of it: a byte per hash value that counts the objects
 * there, so that the free() of one of the many others costs one load. A byte that has reached 255 stays:
 * it then only causes look-ups. An address is added after the allocator gave it out and removed before it gets
 * it back, so no two threads ever handle the same address at once.
 *
 * Entries of removed objects do not become empty again, and would make every search a long one in time. So the furthest
 * that an object ever lay from each home is kept, and the search goes no further.
 */
#include "tracer/live.h"

#include <string.h>

#include "tracer/blackbox.h"
#include "tracer/internal.h"

#define N_PROBES 64
#define EMPTY 0
#define REMOVED 1
#define WRITING 2

uint8_t live_filter[1u << LIVE_FILTER_BITS];
static uint8_t reaches
	[FR_BB_MAX_LIVE]; /* by home: entries that were ever used from there, at most N_PROBES */

static struct fr_live *entry_at(uint32_t i)
{
	return (struct fr_live *)((char *)fr_blackbox + fr_blackbox->off_live) + i % FR_BB_MAX_LIVE;
}

static uint64_t offset_of(const struct fr_live *entry)
{
	return (uint64_t)((const char *)entry - (const char *)fr_blackbox);
}

/* The entry before which the search for an address may stop. */
static uint32_t reach_of(uint32_t home)
{
	return __atomic_load_n(&reaches[home], __ATOMIC_RELAXED);
}

static void reach_at_least(uint32_t home, uint32_t n)
{
	uint8_t reach = __atomic_load_n(&reaches[home], __ATOMIC_RELAXED);

	while (reach < n && !__atomic_compare_exchange_n(&reaches[home], &reach, (uint8_t)n, 0,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void filter_add(uintptr_t address, int step)
{
	uint8_t *byte = &live_filter[live_hash(address) >> (32 - LIVE_FILTER_BITS)];
	uint8_t n = __atomic_load_n(byte, __ATOMIC_RELAXED);

	do {
		if (n == 255 || (n == 0 && step < 0))
			return;
	} while (!__atomic_compare_exchange_n(
		byte, &n, (uint8_t)(n + step), 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

int live_add(const struct live_object *object)
{
	uint32_t home = live_hash(object->address) % FR_BB_MAX_LIVE, i;

	for (i = 0; i < N_PROBES; i++) {
		struct fr_live *entry = entry_at(home + i);
		uint64_t state;

		if (blackbox_commit(offset_of(entry), sizeof(*entry)) < 0)
			break;
		state = __atomic_load_n(&entry->addr, __ATOMIC_RELAXED);
		if (state > REMOVED || !__atomic_compare_exchange_n(&entry->addr, &state, WRITING,
					       0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		entry->size = object->size;
		entry->time_ns = object->time_ns;
		entry->stack = object->stack;
		entry->tid = object->tid;
		entry->bucket = object->bucket;
		/* Release: the recorder takes the rest only after it has seen an address. */
		__atomic_store_n(&entry->addr, object->address, __ATOMIC_RELEASE);
		reach_at_least(home, i + 1);
		filter_add(object->address, 1);
		return 0;
	}
	fr_count(live_overflow, 1);
	return -1;
}

int live_remove(uintptr_t address, struct live_object *object_out)
{
	uint32_t home = live_hash(address) % FR_BB_MAX_LIVE, n = reach_of(home), i;

	for (i = 0; i < n; i++) {
		struct fr_live *entry = entry_at(home + i);
		uint64_t state;

		if (!blackbox_is_committed(offset_of(entry), sizeof(*entry)))
			continue;
		state = __atomic_load_n(&entry->addr, __ATOMIC_ACQUIRE);
		if (state == EMPTY)
			return 0;
		if (state != address)
			continue;
		*object_out = (struct live_object){ address, entry->size, entry->time_ns,
			entry->stack, entry->tid, entry->bucket };
		__atomic_store_n(&entry->addr, REMOVED, __ATOMIC_RELEASE);
		filter_add(address, -1);
		return 1;
	}
	return 0;
}

void live_reset(void)
{
	memset(live_filter, 0, sizeof(live_filter));
	memset(reaches, 0, sizeof(reaches));
}
