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
/* Flags of a waker's word; tids have 22 bits. */
#define SHARED (1ull << 63)
#define ALL (1ull << 62)
#define SOLE (1ull << 61)
#define IS_END (1ull << 60)
#define FLAGS (SHARED | ALL | SOLE | IS_END)

struct ring {
	uint32_t n; /* releases so far */
	struct {
		uint64_t time_ns; /* 0: being written */
		uint64_t waker;	  /* flags | tid << 32 | stack */
		uint64_t about;
	} at[WAIT_N_RELEASES];
};

/* Apart from the rings, so that a fork has little to clear. */
static uint64_t keys[N_ENTRIES]; /* obj << 16 | waiters; objs have 48 bits */
static struct ring rings[N_ENTRIES];
uint32_t wait_n_waiting, wait_n_channels;

_Static_assert(WAIT_N_PLACES == FR_WAIT_PLACES, "struct fr_thread has room");

static unsigned home_of(uintptr_t obj)
{
	return (unsigned)((uint64_t)obj * 0x9e3779b97f4a7c15ull >> (64 - ENTRY_BITS));
}

/* Apart, so that threads idle in poll() do not make unlocks look. */
static uint32_t *counter_of(uintptr_t obj)
{
	return obj & WAIT_CHANNEL ? &wait_n_channels : &wait_n_waiting;
}

static void drop(uint64_t **held)
{
	uint64_t key = __atomic_fetch_sub(*held, 1, __ATOMIC_RELAXED);

	__atomic_fetch_sub(counter_of((uintptr_t)(key >> 16)), 1, __ATOMIC_RELAXED);
	*held = NULL;
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

uint32_t wait_enter_at(uint64_t **held, uintptr_t obj)
{
	unsigned home = home_of(obj), i;

	if (*held)
		drop(held);
	for (i = 0; i < N_PROBES; i++) {
		unsigned at = (home + i) % N_ENTRIES;

		if (!join(&keys[at], obj))
			continue;
		*held = &keys[at];
		/* Full barrier: registered before we look at the lock again in the real call. */
		__atomic_fetch_add(counter_of(obj), 1, __ATOMIC_SEQ_CST);
		return __atomic_load_n(&rings[at].n, __ATOMIC_RELAXED);
	}
	fr_count(waiters_overflow, 1);
	return 0;
}

uint32_t wait_enter(struct fr_thread *t, enum wait_place place, uintptr_t obj)
{
	return wait_enter_at(&t->waiting[place], obj);
}

/* Reads one release; 0 when it is being overwritten. */
static int read_release(const struct ring *ring, uint32_t i, struct wait_release *release_out)
{
	const uint64_t *time = &ring->at[i % WAIT_N_RELEASES].time_ns;
	/* Acquire, twice: pairs with the releases of leave_word(); the stack is in its table, too. */
	uint64_t time_ns = __atomic_load_n(time, __ATOMIC_ACQUIRE);
	uint64_t waker = __atomic_load_n(&ring->at[i % WAIT_N_RELEASES].waker, __ATOMIC_ACQUIRE);

	uint64_t about = __atomic_load_n(&ring->at[i % WAIT_N_RELEASES].about, __ATOMIC_ACQUIRE);

	if (!time_ns || __atomic_load_n(time, __ATOMIC_RELAXED) != time_ns)
		return 0;
	*release_out = (struct wait_release){ .time_ns = time_ns,
		.tid = (uint32_t)((waker & ~FLAGS) >> 32),
		.stack = (uint32_t)waker,
		.about = (uint32_t)about,
		.is_shared = (waker & SHARED) != 0,
		.is_all = (waker & ALL) != 0,
		.is_sole = (waker & SOLE) != 0,
		.is_end = (waker & IS_END) != 0 };
	return 1;
}

uint32_t wait_mark(const uint64_t *held)
{
	return __atomic_load_n(&rings[held - keys].n, __ATOMIC_RELAXED);
}

unsigned wait_heard(
	const uint64_t *held, uint32_t mark, struct wait_release releases_out[WAIT_N_RELEASES])
{
	const struct ring *ring = &rings[held - keys];
	uint32_t n = wait_mark(held), i;
	unsigned n_out = 0;

	i = n - mark > WAIT_N_RELEASES ? n - WAIT_N_RELEASES : mark;
	for (; i != n; i++)
		n_out += (unsigned)read_release(ring, i, &releases_out[n_out]);
	return n_out;
}

unsigned wait_leave_at(
	uint64_t **held, uint32_t mark, struct wait_release releases_out[WAIT_N_RELEASES])
{
	unsigned n;

	if (!*held)
		return 0;
	n = wait_heard(*held, mark, releases_out);
	drop(held);
	return n;
}

unsigned wait_leave(struct fr_thread *t, enum wait_place place, uint32_t mark,
	struct wait_release releases_out[WAIT_N_RELEASES])
{
	return wait_leave_at(&t->waiting[place], mark, releases_out);
}

void wait_forget(struct fr_thread *t)
{
	unsigned i;

	for (i = 0; i < WAIT_N_PLACES; i++)
		if (t->waiting[i])
			drop(&t->waiting[i]);
	for (i = 0; t->private && i < FR_HEARD; i++)
		if (t->private->heard[i].held)
			drop(&t->private->heard[i].held);
	if (t->private && t->private->epoll.held)
		drop(&t->private->epoll.held);
}

const struct wait_release *wait_pick(
	const struct wait_release *releases, unsigned n, uint64_t end_ns)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (releases[i].is_all ||
			(releases[i].is_sole && end_ns - releases[i].time_ns <= WAIT_NEAR_NS))
			return &releases[i];
	return &releases[n - 1];
}

static void leave_word(struct ring *ring, uint64_t time_ns, uint64_t waker, uint32_t about)
{
	uint32_t i = __atomic_fetch_add(&ring->n, 1, __ATOMIC_RELAXED) % WAIT_N_RELEASES;

	__atomic_store_n(&ring->at[i].time_ns, 0, __ATOMIC_RELAXED);
	/* Release: a reader that sees one of these words sees the 0 before it. */
	__atomic_store_n(&ring->at[i].waker, waker, __ATOMIC_RELEASE);
	__atomic_store_n(&ring->at[i].about, about, __ATOMIC_RELEASE);
	/* Release: the stack is in its table, and the word in place, before a waiter reads them. */
	__atomic_store_n(&ring->at[i].time_ns, time_ns, __ATOMIC_RELEASE);
}

int wait_tell(struct fr_thread *t, uintptr_t obj, struct wait_release *release, uintptr_t frame)
{
	unsigned home = home_of(obj), i;
	int is_told = 0;

	for (i = 0; i < N_PROBES; i++) {
		unsigned at = (home + i) % N_ENTRIES;
		uint64_t key = __atomic_load_n(&keys[at], __ATOMIC_RELAXED), waker;
		/* Others: it may have waited itself, and never come back, or run what the rest waits for. */
		unsigned n = (unsigned)(key & 0xffff) - (&keys[at] == t->waiting[WAIT_LOCK]);

		if (!(key & 0xffff) || !n || key >> 16 != obj)
			continue;
		if (release->stack == FR_STACK_NONE && frame)
			release->stack = fr_capture(t, frame, FR_REPEAT_LOCK);
		if (!release->time_ns)
			release->time_ns = fr_now();
		waker = (uint64_t)t->tid << 32 | release->stack;
		waker |= release->is_shared ? SHARED : 0;
		waker |= release->is_all ? ALL : 0;
		waker |= release->is_end ? IS_END : 0;
		waker |= n == 1 && !release->is_crowd ? SOLE : 0;
		leave_word(&rings[at], release->time_ns, waker, release->about);
		is_told = 1;
	}
	return is_told;
}

void wait_release_slow(uintptr_t obj, uintptr_t frame, bool is_shared, bool is_all)
{
	struct wait_release release = { .is_shared = is_shared, .is_all = is_all };
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;

	if (!guard_enter(t, frame))
		return;
	wait_tell(t, obj, &release, frame);
	guard_leave(t);
	errno = saved_errno;
}

void wait_reset(void)
{
	memset(keys, 0, sizeof(keys));
	wait_n_waiting = wait_n_channels = 0;
}
