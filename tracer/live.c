/* SPDX-License-Identifier: MIT */
/*
 * Open addressing in the blackbox, and a filter in front of it: a byte per hash value that counts the objects
 * there, so that the free() of one of the many others costs one load. A byte that has reached 255 stays:
 * it then only causes look-ups. An address is added after the allocator gave it out and removed before it gets
 * it back, so no two threads ever handle the same address at once.
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

static struct fr_live *entry_at(uint32_t i)
{
	return (struct fr_live *)((char *)fr_blackbox + fr_blackbox->off_live) + i % FR_BB_MAX_LIVE;
}

static uint64_t offset_of(const struct fr_live *entry)
{
	return (uint64_t)((const char *)entry - (const char *)fr_blackbox);
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
	uint32_t home = live_hash(object->address), i;

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
		filter_add(object->address, 1);
		return 0;
	}
	fr_count(live_overflow, 1);
	return -1;
}

int live_remove(uintptr_t address, struct live_object *object_out)
{
	uint32_t home = live_hash(address), i;

	for (i = 0; i < N_PROBES; i++) {
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
}
