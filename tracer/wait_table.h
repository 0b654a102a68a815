/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what, so that those who let it go on can say who they were. A waiter registers the lock's address,
 * or the name of a channel (channel.h); an unlocker or writer that finds that there leaves the time, its tid and its
 * stack, which the waiter takes when it comes back. Unlocks of locks that nobody waits for cost one look.
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

/* Names that are no addresses: these have 47 bits, and the table keeps 48. */
#define WAIT_CHANNEL ((uintptr_t)1 << 47)

/*
 * What a thread is registered for: the lock itself, the mutex that a condition wait takes again, room in a channel.
 * Data in channels, of which it may wait for several at once: fr_private.heard.
 */
enum wait_place { WAIT_LOCK, WAIT_MUTEX, WAIT_SPACE, WAIT_N_PLACES };

/* Somebody let the lock go while this thread waited for it. */
struct wait_release {
	uint64_t time_ns; /* just before it did */
	uint32_t tid, stack;
	uint32_t about; /* the channel, where the name was of an epoll instance that watches it */
	bool is_shared; /* a reader, and others may have kept the lock */
	bool is_all;	/* it let go all that waited (broadcast, last at a barrier) */
	bool is_sole;	/* nobody else waited then */
	bool is_crowd;	/* of wait_tell(): others may have waited under another name */
	bool is_end;	/* it closed its end of a channel, of which there may be others */
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

/* The same for a place elsewhere: *held is NULL, or what was left behind. */
uint32_t wait_enter_at(uint64_t **held, uintptr_t obj);
unsigned wait_leave_at(
	uint64_t **held, uint32_t mark, struct wait_release releases_out[WAIT_N_RELEASES]);

/* A registration that goes on: a mark, and the releases since it. */
uint32_t wait_mark(const uint64_t *held);
unsigned wait_heard(
	const uint64_t *held, uint32_t mark, struct wait_release releases_out[WAIT_N_RELEASES]);

/* Ends all registrations of a thread that will not come back to them. Context: its exit, under the guard. */
void wait_forget(struct fr_thread *t);

/* How far apart a signal that certainly reached a waiter and the end of its wait may be to be thought one. */
#define WAIT_NEAR_NS 1000000

/*
 * Which of the releases let the waiter go on: the first that must have (is_all), or very likely has (is_sole, shortly
 * before the end; more may follow before the waiter is back), else the last one. For what wakes its waiters,
 * as conditions do; a lock that is let go may be taken by somebody else, so of these it is always the last. n > 0.
 */
const struct wait_release *wait_pick(
	const struct wait_release *releases, unsigned n, uint64_t end_ns);

/* Threads that wait for a lock, for a channel now; 0 spares the look-up. */
extern uint32_t wait_n_waiting __attribute__((visibility("hidden")));
extern uint32_t wait_n_channels __attribute__((visibility("hidden")));

/*
 * Tells those who wait for `obj`. `release` says when and how; its stack is taken now when somebody waits and it is
 * FR_STACK_NONE, from `frame` on. Returns whether anyone was told. Context: hook, under the guard.
 */
int wait_tell(struct fr_thread *t, uintptr_t obj, struct wait_release *release, uintptr_t frame);

void wait_release_slow(uintptr_t obj, uintptr_t frame, bool is_shared, bool is_all);

/*
 * The calling thread is about to let `obj` go (unlock, signal, post, arrive). Before the real call, so that
 * the waiter finds it. Keeps errno. Context: hook, without the guard.
 */
static inline void wait_release(uintptr_t obj, uintptr_t frame)
{
	if (unlikely(__atomic_load_n(&wait_n_waiting, __ATOMIC_RELAXED)))
		wait_release_slow(obj, frame, false, false);
}

/* The same for a reader's lock. */
static inline void wait_release_shared(uintptr_t obj, uintptr_t frame)
{
	if (unlikely(__atomic_load_n(&wait_n_waiting, __ATOMIC_RELAXED)))
		wait_release_slow(obj, frame, true, false);
}

/* The same for what lets all waiters go. */
static inline void wait_release_all(uintptr_t obj, uintptr_t frame)
{
	if (unlikely(__atomic_load_n(&wait_n_waiting, __ATOMIC_RELAXED)))
		wait_release_slow(obj, frame, false, true);
}

/* Forgets all waiters: child of a fork. */
void wait_reset(void);
