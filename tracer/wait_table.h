/* SPDX-License-Identifier: MIT */
/*
 * Who waits for which lock, so that the one that lets it go can say who it was. A waiter registers the
 * lock's address; an unlocker that finds its lock there leaves its tid and stack, which the waiter takes when
 * it comes back. Unlocks of locks that nobody waits for cost one look.
 */
#pragma once

#include <stdint.h>

#include "tracer/internal.h"

/*
 * Waiters for the reading side of a lock register address | WAIT_READER: a reader that leaves lets no other
 * reader in.
 */
#define WAIT_READER ((uintptr_t)1)

/* Registers the calling thread as a waiter for `obj`. Bounded; when full the holder stays unknown (counted). */
void wait_enter(struct fr_thread *t, uintptr_t obj);

/* Ends it. *tid_out and *stack_out: who let go last, 0 when nobody said so. */
void wait_leave(struct fr_thread *t, uint32_t *tid_out, uint32_t *stack_out);

/* Threads that wait for anything now; 0 spares the look-up. */
extern uint32_t wait_n_waiting __attribute__((visibility("hidden")));

void wait_release_slow(uintptr_t obj, uintptr_t frame);

/*
 * The calling thread is about to let `obj` go (unlock, signal, post, arrive). Before the real call, so that
 * the waiter finds it. Keeps errno. Context: hook, without the guard.
 */
static inline void wait_release(uintptr_t obj, uintptr_t frame)
{
	if (unlikely(__atomic_load_n(&wait_n_waiting, __ATOMIC_RELAXED)))
		wait_release_slow(obj, frame);
}

/* Forgets all waiters: child of a fork. */
void wait_reset(void);
