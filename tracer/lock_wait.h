/* SPDX-License-Identifier: MIT */
/* The slow path of every lock hook: the wait, from the moment the free path failed. */
#pragma once

#include "tracer/internal.h"
#include "tracer/thread.h"
#include "tracer/wait_table.h"

/* A wait under way; lives in the hook's frame. */
struct lock_wait {
	struct thread_wait wait;
	uint64_t begin_ns, obj;
	uint32_t stack, holder;
	uint8_t kind; /* enum fr_lock */
};

/* 0: not traced now: make the real call and nothing else. `holder`: tid seen in the lock, 0 unknown. */
int lock_wait_begin(struct lock_wait *wait, enum fr_lock kind, const void *obj, uint32_t holder,
	uintptr_t frame, uintptr_t caller);

/* The real call returned `ret`. Keeps errno. */
void lock_wait_end(struct lock_wait *wait, int ret);

/* It turned out not to have waited: counted as free. Keeps errno. */
void lock_wait_drop(struct lock_wait *wait);

/* An operation that found the lock free. */
static inline void lock_free_count(void)
{
	struct fr_thread *t = &fr_self;

	if (likely(t->slot))
		__atomic_store_n(&t->slot->locks_free, t->slot->locks_free + 1, __ATOMIC_RELAXED);
}
