/* SPDX-License-Identifier: MIT */
/*
 * A word per descriptor, changed by single stores. What epoll instances watch is a second table, of one word per
 * instance and name: each has its place among the few after its name's home, taken by compare-and-swap
 * from 0. Look-ups read all of these, so that one may be given up at any time.
 */
#include "tracer/channel.h"

#include <string.h>
#include <sys/epoll.h>

uint32_t channel_ends[CHANNEL_FDS];
uint32_t channel_n;

static uint32_t highest; /* descriptor that ever had a word */

#define WATCH_BITS 12
#define N_WATCHES (1u << WATCH_BITS)
#define N_PROBES 16
#define IS_TAKEN 1u

/* Low half of the name << 32 | id of the instance << 1 | IS_TAKEN. */
static uint64_t watches[N_WATCHES];
static uint32_t n_watches;

static void overflow(void)
{
	fr_count(channels_overflow, 1);
}

void channel_join(int fd, uint32_t end)
{
	uint32_t seen;

	if (fd < 0 || !channel_follows())
		return;
	if (fd >= CHANNEL_FDS) {
		if (end)
			overflow();
		return;
	}
	seen = __atomic_load_n(&highest, __ATOMIC_RELAXED);
	while ((uint32_t)fd > seen && !__atomic_compare_exchange_n(&highest, &seen, (uint32_t)fd, 0,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	__atomic_store_n(&channel_ends[fd], end, __ATOMIC_RELAXED);
}

/*
 * Numbers are not used again: 28 bits last for a process's life, or what they name is old when they come round. Bit 28 is
 * for listeners (channel_connect.c).
 */
static uint32_t next_id(void)
{
	uint32_t id;

	do {
		id = __atomic_add_fetch(&channel_n, 1, __ATOMIC_RELAXED) & 0xfffffff;
	} while (unlikely(!id));
	return id;
}

void channel_make_pair(const int fds[2])
{
	uint32_t end;

	if (!channel_follows())
		return;
	end = next_id() << 3 | CHANNEL_PAIR << 1;
	channel_join(fds[0], end);
	channel_join(fds[1], end | 1);
}

void channel_make_one(int fd, enum channel_kind kind)
{
	if (fd >= 0 && channel_follows())
		channel_join(fd, next_id() << 3 | (uint32_t)kind << 1);
}

void channel_copy(int from, int to)
{
	uint32_t end = channel_end(from);

	/* The new number may have a word that was left behind. */
	if (end || channel_end(to))
		channel_join(to, end);
}

static uint64_t watch_of(uintptr_t name, uint32_t epoll_id)
{
	return (uint64_t)(uint32_t)name << 32 | epoll_id << 1 | IS_TAKEN;
}

static unsigned home_of(uintptr_t name)
{
	return (unsigned)((uint64_t)(uint32_t)name * 0x9e3779b97f4a7c15ull >> (64 - WATCH_BITS));
}

static void watch_drop(uint64_t *watch, uint64_t seen)
{
	if (__atomic_compare_exchange_n(watch, &seen, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		__atomic_fetch_sub(&n_watches, 1, __ATOMIC_RELAXED);
}

/* epoll_id 0: of all instances. */
static void watch_remove(uintptr_t name, uint32_t epoll_id)
{
	unsigned home = home_of(name), i;

	for (i = 0; i < N_PROBES; i++) {
		uint64_t *watch = &watches[(home + i) % N_WATCHES];
		uint64_t seen = __atomic_load_n(watch, __ATOMIC_RELAXED);

		if (seen && seen >> 32 == (uint32_t)name &&
			(!epoll_id || seen == watch_of(name, epoll_id)))
			watch_drop(watch, seen);
	}
}

static void watch_add(uintptr_t name, uint32_t epoll_id)
{
	unsigned home = home_of(name), i;

	for (i = 0; i < N_PROBES; i++) {
		uint64_t *watch = &watches[(home + i) % N_WATCHES], seen = 0;

		if (__atomic_compare_exchange_n(watch, &seen, watch_of(name, epoll_id), 0,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			__atomic_fetch_add(&n_watches, 1, __ATOMIC_RELAXED);
			return;
		}
	}
	overflow();
}

void channel_watch(int epoll, int operation, int fd, uint32_t events)
{
	uint32_t end = channel_end(fd), instance = channel_end(epoll);

	if (!end || !instance || channel_kind(instance) != CHANNEL_EPOLL ||
		channel_kind(end) == CHANNEL_EPOLL || !channel_follows())
		return;
	watch_remove(channel_data(end), channel_id(instance));
	watch_remove(channel_space(end), channel_id(instance));
	if (operation == EPOLL_CTL_DEL)
		return;
	/* An end of the other side is told whether or not it was asked for. */
	watch_add(channel_data(end), channel_id(instance));
	if (events & EPOLLOUT)
		watch_add(channel_space(end), channel_id(instance));
}

unsigned channel_watchers(uintptr_t name, uintptr_t epolls_out[CHANNEL_WATCHERS])
{
	unsigned home = home_of(name), i, n = 0;

	if (likely(!__atomic_load_n(&n_watches, __ATOMIC_RELAXED)))
		return 0;
	for (i = 0; i < N_PROBES && n < CHANNEL_WATCHERS; i++) {
		uint64_t seen = __atomic_load_n(&watches[(home + i) % N_WATCHES], __ATOMIC_RELAXED);

		if (seen && seen >> 32 == (uint32_t)name)
			epolls_out[n++] = WAIT_CHANNEL | (uintptr_t)((uint32_t)seen >> 1) << 2;
	}
	return n;
}

int channel_has_watches(void)
{
	return __atomic_load_n(&n_watches, __ATOMIC_RELAXED) != 0;
}

/* The kernel drops what a closed instance watched. */
static void forget_epoll(uint32_t id)
{
	unsigned i;

	for (i = 0; i < N_WATCHES && __atomic_load_n(&n_watches, __ATOMIC_RELAXED); i++) {
		uint64_t seen = __atomic_load_n(&watches[i], __ATOMIC_RELAXED);

		if (seen && (uint32_t)seen >> 1 == id)
			watch_drop(&watches[i], seen);
	}
}

/*
 * Another descriptor of the same end keeps it open, and watched: looked for, so that it is not thought unwatched. Only
 * where something is watched.
 */
static int is_elsewhere(uint32_t end)
{
	uint32_t last = __atomic_load_n(&highest, __ATOMIC_RELAXED), fd;

	for (fd = 0; fd <= last; fd++)
		if (__atomic_load_n(&channel_ends[fd], __ATOMIC_RELAXED) == end)
			return 1;
	return 0;
}

void channel_forget(int fd)
{
	uint32_t end = channel_end(fd);

	if (likely(!end) || !channel_follows())
		return;
	end = __atomic_exchange_n(&channel_ends[fd], 0, __ATOMIC_RELAXED);
	if (!end || likely(!__atomic_load_n(&n_watches, __ATOMIC_RELAXED)) || is_elsewhere(end))
		return;
	if (channel_kind(end) == CHANNEL_EPOLL) {
		forget_epoll(channel_id(end));
		return;
	}
	watch_remove(channel_data(end), 0);
	watch_remove(channel_space(end), 0);
}

void channel_forget_range(unsigned first, unsigned last)
{
	uint32_t top = __atomic_load_n(&highest, __ATOMIC_RELAXED);
	unsigned fd;

	if (last > top)
		last = top;
	for (fd = first; fd <= last; fd++)
		channel_forget((int)fd);
}

void channel_reset(void)
{
	memset(channel_ends, 0, sizeof(channel_ends));
	memset(watches, 0, sizeof(watches));
	channel_n = n_watches = highest = 0;
}
