/* SPDX-License-Identifier: MIT */
/*
 * Open addressing over a fixed array. An entry's key is one word, address << 16 | number of waiters, changed
 * by compare-and-swap alone: no lock, and an entry without waiters is free for anyone. Two waiters that
 * race may take two entries for one lock; the unlocker therefore looks at all of a probe.
 *
 * A waiter that never comes back (cancelled, or left by longjmp) keeps its entry until the thread waits
 * again or exits.
 */
#include "tracer/wait_table.h"

#include <string.h>

#define N_ENTRIES 2048 /* power of two */
#define N_PROBES 8

struct entry {
	uint64_t key;	/* obj << 16 | waiters; user addresses have 47 bits */
	uint64_t waker; /* tid << 32 | stack of who let go last */
};

static struct entry entries[N_ENTRIES];
uint32_t wait_n_waiting;

static unsigned home_of(uintptr_t obj)
{
	return (unsigned)((uint64_t)obj * 0x9e3779b97f4a7c15ull >> 53);
}

static void drop(struct fr_thread *t)
{
	__atomic_fetch_sub(t->waiting, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&wait_n_waiting, 1, __ATOMIC_RELAXED);
	t->waiting = NULL;
}

/* Joins the entry if it is this lock's or free. */
static int join(struct entry *entry, uintptr_t obj)
{
	uint64_t key = __atomic_load_n(&entry->key, __ATOMIC_RELAXED);

	do {
		if (key & 0xffff && key >> 16 != obj)
			return 0;
		if ((key & 0xffff) == 0xffff)
			return 0;
	} while (!__atomic_compare_exchange_n(&entry->key, &key,
		(uint64_t)obj << 16 | ((key & 0xffff) + 1), 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	if (!(key & 0xffff))
		__atomic_store_n(&entry->waker, 0, __ATOMIC_RELAXED);
	return 1;
}

void wait_enter(struct fr_thread *t, uintptr_t obj)
{
	unsigned home = home_of(obj), i;

	if (t->waiting)
		drop(t);
	for (i = 0; i < N_PROBES; i++) {
		struct entry *entry = &entries[(home + i) % N_ENTRIES];

		if (!join(entry, obj))
			continue;
		/* Full barrier: registered before we look at the lock again in the real call. */
		__atomic_fetch_add(&wait_n_waiting, 1, __ATOMIC_SEQ_CST);
		t->waiting = &entry->key;
		return;
	}
	fr_count(waiters_overflow, 1);
}

void wait_leave(struct fr_thread *t, uint32_t *tid_out, uint32_t *stack_out)
{
	struct entry *entry = (struct entry *)t->waiting;
	uint64_t waker;

	*tid_out = *stack_out = 0;
	if (!entry)
		return;
	/* Acquire: pairs with the release of wait_release_slow(). */
	waker = __atomic_load_n(&entry->waker, __ATOMIC_ACQUIRE);
	drop(t);
	*tid_out = (uint32_t)(waker >> 32);
	*stack_out = (uint32_t)waker;
}

void wait_release_slow(uintptr_t obj, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;
	unsigned home = home_of(obj), i;
	int saved_errno = errno;
	uint64_t waker = 0;

	if (!guard_enter(t, frame))
		return;
	for (i = 0; i < N_PROBES; i++) {
		struct entry *entry = &entries[(home + i) % N_ENTRIES];
		uint64_t key = __atomic_load_n(&entry->key, __ATOMIC_RELAXED);

		if (!(key & 0xffff) || key >> 16 != obj || &entry->key == t->waiting)
			continue;
		if (!waker)
			waker = (uint64_t)t->tid << 32 | fr_capture(t, frame, FR_REPEAT_LOCK);
		/* Release: the stack is in its table before the waiter reads the id. */
		__atomic_store_n(&entry->waker, waker, __ATOMIC_RELEASE);
	}
	guard_leave(t);
	errno = saved_errno;
}

void wait_reset(void)
{
	memset(entries, 0, sizeof(entries));
	wait_n_waiting = 0;
}
