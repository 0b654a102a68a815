/* SPDX-License-Identifier: MIT */
/* The sampled objects that are alive, in the blackbox: address → size, stack, birth. */
#pragma once

#include <stdint.h>

/*
 * May this address be a sampled object? One load for those that are not. False alarms are possible, misses
 * are not. Context: any, also before the constructor.
 */
#define LIVE_FILTER_BITS 16
extern uint8_t live_filter[1u << LIVE_FILTER_BITS] __attribute__((visibility("hidden")));

static inline uint32_t live_hash(uintptr_t address)
{
	return (uint32_t)((uint64_t)(address >> 4) * 0x9e3779b97f4a7c15ull >> 32);
}

static inline int live_maybe(uintptr_t address)
{
	return __atomic_load_n(&live_filter[live_hash(address) >> (32 - LIVE_FILTER_BITS)],
		       __ATOMIC_RELAXED) != 0;
}

struct live_object {
	uint64_t address; /* with FR_LIVE_USER when the program told of it */
	uint64_t size, time_ns;
	uint32_t stack, tid;
	uint32_t bucket; /* in the table FR_BUCKET_HEAP */
};

/* Adds an object. 0, or -1 when the table has no room near its place (counted): its free is then not seen. */
int live_add(const struct live_object *object);

/* Takes it out; 0 when it was not in the table. Before the memory is really freed. */
int live_remove(uintptr_t address, struct live_object *object_out);

/* Child of a fork: the new blackbox starts empty. */
void live_reset(void);
