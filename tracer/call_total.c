/* SPDX-License-Identifier: MIT */
#include "tracer/call_total.h"

#include "tracer/blackbox.h"

_Static_assert(FR_CALL_N <= FR_BB_MAX_CALLS, "the totals of the blackbox have room for every call");
_Static_assert(FR_BB_CALL_SHARDS == 64, "a bit each in `taken`");

#define SHARED ((1ull << FR_BB_CALL_SHARED) - 1)

static uint64_t taken = SHARED; /* bit: this array is shared, or some thread's own */

/* Calls whose result is a number of bytes. */
static int is_transfer(unsigned id)
{
	switch (id) {
	case FR_CALL_read:
	case FR_CALL_write:
	case FR_CALL_pread64:
	case FR_CALL_pwrite64:
	case FR_CALL_readv:
	case FR_CALL_writev:
	case FR_CALL_preadv:
	case FR_CALL_pwritev:
	case FR_CALL_preadv2:
	case FR_CALL_pwritev2:
	case FR_CALL_send:
	case FR_CALL_sendto:
	case FR_CALL_sendmsg:
	case FR_CALL_recv:
	case FR_CALL_recvfrom:
	case FR_CALL_recvmsg:
	case FR_CALL_sendfile:
	case FR_CALL_splice:
	case FR_CALL_tee:
	case FR_CALL_vmsplice:
	case FR_CALL_copy_file_range:
	case FR_CALL_getrandom:
		return 1;
	default:
		return 0;
	}
}

static struct fr_call_total *shard_at(unsigned shard)
{
	struct fr_call_total *table =
		(struct fr_call_total *)((char *)fr_blackbox + fr_blackbox->off_calls);

	return &table[shard * FR_BB_MAX_CALLS];
}

void call_total_attach(struct fr_thread *t)
{
	uint64_t seen = __atomic_load_n(&taken, __ATOMIC_RELAXED), bit;
	struct fr_call_total *own;

	do {
		bit = ~seen & (seen + 1); /* the lowest that is free */
		if (!bit)
			return;
		/* Acquire: pairs with the release of who had it before, whose sums we add to. */
	} while (!__atomic_compare_exchange_n(
		&taken, &seen, seen | bit, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	own = shard_at((unsigned)__builtin_ctzll(bit));
	if (blackbox_commit((uint64_t)((char *)own - (char *)fr_blackbox),
		    FR_BB_MAX_CALLS * sizeof(*own)) < 0)
		__atomic_fetch_and(&taken, ~bit, __ATOMIC_RELEASE);
	else
		t->totals = own;
}

void call_total_detach(struct fr_thread *t)
{
	struct fr_call_total *own = t->totals;

	if (!own)
		return;
	t->totals = NULL;
	__atomic_fetch_and(
		&taken, ~(1ull << (own - shard_at(0)) / FR_BB_MAX_CALLS), __ATOMIC_RELEASE);
}

void call_total_reset(void)
{
	taken = SHARED;
}

/* One writer; a reader may look at any time. */
static inline void add(uint64_t *total, uint64_t n)
{
	__atomic_store_n(total, *total + n, __ATOMIC_RELAXED);
}

static void add_shared(struct fr_call_total *total, uint64_t dur, uint64_t bytes, int is_short)
{
	__atomic_fetch_add(&total->n, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&total->dur_ns, dur, __ATOMIC_RELAXED);
	if (is_short) {
		__atomic_fetch_add(&total->n_short, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&total->short_ns, dur, __ATOMIC_RELAXED);
	}
	if (bytes)
		__atomic_fetch_add(&total->bytes, bytes, __ATOMIC_RELAXED);
}

void call_total_add(struct fr_thread *t, unsigned id, uint64_t dur, int64_t ret, int is_short)
{
	uint64_t bytes = ret > 0 && is_transfer(id) ? (uint64_t)ret : 0;
	struct fr_call_total *total;

	if (unlikely(!t->totals)) {
		add_shared(&shard_at(t->tid % FR_BB_CALL_SHARED)[id], dur, bytes, is_short);
		return;
	}
	total = &t->totals[id];
	add(&total->n, 1);
	add(&total->dur_ns, dur);
	if (is_short) {
		add(&total->n_short, 1);
		add(&total->short_ns, dur);
	}
	add(&total->bytes, bytes);
}
