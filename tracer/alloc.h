/* SPDX-License-Identifier: MIT */
/*
 * The sampling of allocations: what the hooks of the malloc family, flightrec_alloc() and the thread's life need.
 *
 * A Poisson process over bytes: each thread counts down an exponentially distributed number of bytes, and the
 * allocation that passes zero is recorded. So an allocation of s bytes is recorded with probability
 * 1 - exp(-s / rate), whatever came before, and 1 / that is what a record stands for. Sizes are those asked for, not
 * those that the allocator rounds up to.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tracer/internal.h"
#include "tracer/live.h"

/* An allocation of `size` bytes by the program: kind is an enum fr_alloc, `address` as live_object has it. */
struct alloc_call {
	uint64_t address; /* 0: it failed */
	uint64_t size;
	int kind;
	uintptr_t frame, caller;
};

/* More bytes came than were left: the count has wrapped. Keeps errno. */
void alloc_sample(const struct alloc_call *call);

/*
 * Counts an allocation: one addition when it is not sampled, whose carry says that more bytes came than were left. Only in
 * exported functions. The size of an allocation that failed may be anything: it is taken back in alloc_sample().
 */
#define ALLOC_COUNT(p, n, what)                                                                \
	do {                                                                                   \
		uint64_t alloc_size_ = (n);                                                    \
                                                                                               \
		if (unlikely((fr_self.alloc_passed += alloc_size_) < alloc_size_)) {           \
			struct alloc_call alloc_call_ = { (uintptr_t)(p), alloc_size_, (what), \
				FR_FRAME(), FR_RETURN() };                                     \
			alloc_sample(&alloc_call_);                                            \
		}                                                                              \
	} while (0)

/* A sampled object may be about to be freed. Returns 1 and fills `object_out` when it was one. */
int alloc_forget(uint64_t address, struct live_object *object_out);

/* The object was freed: totals and event. Keeps errno. */
void alloc_freed(const struct live_object *object, uintptr_t frame);

/* It was not, after all (a realloc that failed): followed again. */
void alloc_remember(const struct live_object *object);

/* Draws the distance to the first sample of a thread. Context: its attachment. */
void alloc_thread_init(struct fr_thread *t);

/*
 * The size by which an object is found in the profile's table: sizes above 128 bytes are put together in eight classes per
 * doubling, at most 12.5 % wide, so that a call site has a few hundred keys at most. Bytes are counted exactly.
 */
uint64_t alloc_size_class(uint64_t size);
