/* SPDX-License-Identifier: MIT */
/*
 * Open addressing over a fixed array. An entry's key is one word, address << 16 | number of waiters, changed
 * by compare-and-swap alone: no lock, and an entry without waiters is free for anyone. Two waiters that
 * race may take two entries for one lock; the unlocker therefore looks at all of a probe.
 *
 * Beside each key lies a ring of the last releases. It is never cleared: a waiter reads only what came
 * after its own mark.
 *
 * A waiter that never comes back (cancelled, or left by longjmp) keeps its entry until the thread waits
 * again or exits.
 */
#include "tracer/wait_table.h"

#include <string.h>

#define ENTRY_BITS 12
#define N_ENTRIES (1u << ENTRY_BITS)
#define N_PROBES 8
#define SHARED (1ull << 63) /* tids have 22 bits */

struct ring {
	uint32_t n; /* releases so far */
	struct {
		uint64_t time_ns; /* 0: being written */
		uint64_t waker;	  /* SHARED | tid << 32 | stack */
	} at[WAIT_N_RELEASES];
};

/* Apart from the rings, so that a fork has little to clear. */
static uint64_t keys[N_ENTRIES]; /* obj << 16 | waiters; user addresses have 47 bits */
static struct ring rings[N_ENTRIES];
uint32_t wait_n_waiting;

_Static_assert(WAIT_N_PLACES == FR_WAIT_PLACES, "struct fr_thread has room");

static unsigned home_of(uintptr_t obj)
{
	return (unsigned)((uint64_t)obj * 0x9e3779b97f4a7c15ull >> (64 - ENTRY_BITS));
}

static void drop(struct fr_thread *t, enum wait_place place)
{
	__atomic_fetch_sub(t->waiting[place], 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&wait_n_waiting, 1, __ATOMIC_RELAXED);
	t->waiting[place] = NULL;
}

/* Joins the entry if it is this lock's or free. */
static int join(uint64_t *entry, uintptr_t obj)
{
	uint64_t key = __atomic_load_n(entry, __ATOMIC_RELAXED);

	do {
		if (key & 0xffff && key >> 16 != obj)
			return 0;
		if ((key & 0xffff) == 0xffff)
			return 0;
	} while (!__atomic_compare_exchange_n(entry, &key,
		(uint64_t)obj << 16 | ((key & 0xffff) + 1), 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return 1;
}

uint32_t wait_enter(struct fr_thread *t, enum wait_place place, uintptr_t obj)
{
	unsigned home = home_of(obj), i;

	if (t->waiting[place])
		drop(t, place);
	for (i = 0; i < N_PROBES; i++) {
		unsigned at = (home + i) % N_ENTRIES;

		if (!join(&keys[at], obj))
			continue;
		t->waiting[place] = &keys[at];
		/* Full barrier: registered before we look at the lock again in the real call. */
		__atomic_fetch_add(&wait_n_waiting, 1, __ATOMIC_SEQ_CST);
		return __atomic_load_n(&rings[at].n, __ATOMIC_RELAXED);
	}
	fr_count(waiters_overflow, 1);
	return 0;
}

/* Reads one release; 0 when it is being overwritten. */
static int read_release(const struct ring *ring, uint32_t i, struct wait_release *release_out)
{
	const uint64_t *time = &ring->at[i % WAIT_N_RELEASES].time_ns;
	/* Acquire, twice: pairs with the releases of leave_word(); the stack is in its table, too. */
	uint64_t time_ns = __atomic_load_n(time, __ATOMIC_ACQUIRE);
	uint64_t waker = __atomic_load_n(&ring->at[i % WAIT_N_RELEASES].waker, __ATOMIC_ACQUIRE);

	if (!time_ns || __atomic_load_n(time, __ATOMIC_RELAXED) != time_ns)
		return 0;
	*release_out = (struct wait_release){ .time_ns = time_ns,
		.tid = (uint32_t)((waker & ~SHARED) >> 32),
		.stack = (uint32_t)waker,
		.is_shared = (waker & SHARED) != 0 };
	return 1;
}

unsigned wait_leave(struct fr_thread *t, enum wait_place place, uint32_t mark,
	struct wait_release releases_out[WAIT_N_RELEASES])
{
	const struct ring *ring;
	unsigned n_out = 0;
	uint32_t n, i;

	if (!t->waiting[place])
		return 0;
	ring = &rings[t->waiting[place] - keys];
	n = __atomic_load_n(&ring->n, __ATOMIC_RELAXED);
	i = n - mark > WAIT_N_RELEASES ? n - WAIT_N_RELEASES : mark;
	for (; i != n; i++)
		n_out += (unsigned)read_release(ring, i, &releases_out[n_out]);
	drop(t, place);
	return n_out;
}

static void leave_word(struct ring *ring, uint64_t time_ns, uint64_t waker)
{
	uint32_t i = __atomic_fetch_add(&ring->n, 1, __ATOMIC_RELAXED) % WAIT_N_RELEASES;

	__atomic_store_n(&ring->at[i].time_ns, 0, __ATOMIC_RELAXED);
	/* Release: a reader that sees this word sees the 0 before it. */
	__atomic_store_n(&ring->at[i].waker, waker, __ATOMIC_RELEASE);
	/* Release: the stack is in its table, and the word in place, before a waiter reads them. */
	__atomic_store_n(&ring->at[i].time_ns, time_ns, __ATOMIC_RELEASE);
}

void wait_release_slow(uintptr_t obj, uintptr_t frame, bool is_shared)
{
	struct fr_thread *t = &fr_self;
	unsigned home = home_of(obj), i;
	int saved_errno = errno;
	uint64_t waker = 0, time_ns = 0;

	if (!guard_enter(t, frame))
		return;
	for (i = 0; i < N_PROBES; i++) {
		unsigned at = (home + i) % N_ENTRIES;
		uint64_t key = __atomic_load_n(&keys[at], __ATOMIC_RELAXED);

		if (!(key & 0xffff) || key >> 16 != obj || &keys[at] == t->waiting[WAIT_LOCK])
			continue;
		if (!waker) {
			waker = (uint64_t)t->tid << 32 | fr_capture(t, frame, FR_REPEAT_LOCK);
			waker |= is_shared ? SHARED : 0;
			time_ns = fr_now();
		}
		leave_word(&rings[at], time_ns, waker);
	}
	guard_leave(t);
	errno = saved_errno;
}

void wait_reset(void)
{
	memset(keys, 0, sizeof(keys));
	wait_n_waiting = 0;
}
