/* SPDX-License-Identifier: MIT */
/*
 * Who waits for which lock, so that those who let it go can say who they were. A waiter registers the
 * lock's address; an unlocker that finds its lock there leaves the time, its tid and its stack, which the waiter
 * takes when it comes back. Unlocks of locks that nobody waits for cost one look.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tracer/internal.h"

/*
 * Waiters for the reading side of a lock register address | WAIT_READER: a reader that leaves lets no other
 * reader in.
 */
#define WAIT_READER ((uintptr_t)1)

/* What a thread is registered for: the lock itself, and the mutex that a condition wait takes again. */
enum wait_place { WAIT_LOCK, WAIT_MUTEX, WAIT_N_PLACES };

/* Somebody let the lock go while this thread waited for it. */
struct wait_release {
	uint64_t time_ns; /* just before it did */
	uint32_t tid, stack;
	bool is_shared; /* a reader, and others may have kept the lock */
};

/* Releases that a wait remembers, the last ones. */
#define WAIT_N_RELEASES 8

/*
 * Registers the calling thread as a waiter for `obj`. Returns a mark for wait_leave(). Bounded; when full
 * nobody is heard (counted). A registration of the same place that was left behind ends.
 */
uint32_t wait_enter(struct fr_thread *t, enum wait_place place, uintptr_t obj);

/*
 * Ends it. Writes the releases since, oldest first, at most WAIT_N_RELEASES, and returns their number; 0 when
 * nobody said so.
 */
unsigned wait_leave(struct fr_thread *t, enum wait_place place, uint32_t mark,
	struct wait_release releases_out[WAIT_N_RELEASES]);

/* Threads that wait for anything now; 0 spares the look-up. */
extern uint32_t wait_n_waiting __attribute__((visibility("hidden")));

void wait_release_slow(uintptr_t obj, uintptr_t frame, bool is_shared);

/*
 * The calling thread is about to let `obj` go (unlock, signal, post, arrive). Before the real call, so that
 * the waiter finds it. Keeps errno. Context: hook, without the guard.
 */
static inline void wait_release(uintptr_t obj, uintptr_t frame)
{
	if (unlikely(__atomic_load_n(&wait_n_waiting, __ATOMIC_RELAXED)))
		wait_release_slow(obj, frame, false);
}

/* The same for a reader's lock. */
static inline void wait_release_shared(uintptr_t obj, uintptr_t frame)
{
	if (unlikely(__atomic_load_n(&wait_n_waiting, __ATOMIC_RELAXED)))
		wait_release_slow(obj, frame, true);
}

/* Forgets all waiters: child of a fork. */
void wait_reset(void);
