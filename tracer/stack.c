/* SPDX-License-Identifier: MIT */
/*
 * A stack is inserted in three steps: reserve room in the arena by one atomic addition, write the record,
 * publish it by one compare-and-swap of its index word. There is no "being inserted" state: a handler that
 * interrupts an insert never waits for it, and a process killed in between leaves room that nobody refers to.
 *
 * File pages are committed before they are touched, read or written, since either may be the SIGBUS of a
 * full file system: index pages one by one (a bitmap), the arena in growing steps (a high-water mark).
 */
#include "tracer/stack.h"

#include <stdbool.h>

#include "proto/blackbox.h"
#include "proto/schema.h"
#include "proto/stack.h"

#define PAGE 4096u
#define WORDS_PER_PAGE (PAGE / sizeof(uint64_t))
#define N_INDEX_PAGES (FR_BB_STACK_INDEX / WORDS_PER_PAGE)
#define MAX_PROBES 256u	     /* of the index; longer searches only happen when it is all but full */
#define MIN_STEP (16u << 10) /* bytes of arena committed at once, at first … */
#define MAX_STEP (256u << 10) /* … and at most */
#define RETRY_EVERY 256u /* after a failed commit, so many stacks are lost before the next try */

static struct {
	struct fr_blackbox *blackbox; /* borrowed; NULL before stack_init() */
	int (*commit)(uint64_t offset, uint64_t size);
	uint64_t *index;
	uint8_t *arena;
	uint64_t committed;			  /* bytes of the arena that exist; grows only */
	uint64_t index_pages[N_INDEX_PAGES / 64]; /* bit: this page of the index exists */
	uint32_t n_refused; /* commits wanted since one failed; 0: none failed */
} table;

_Static_assert(N_INDEX_PAGES % 64 == 0, "the bitmap of index pages has whole words");

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void stack_init(struct fr_blackbox *blackbox, int (*commit)(uint64_t offset, uint64_t size))
{
	uint8_t *base = (uint8_t *)blackbox;

	__atomic_store_n(&table.blackbox, NULL, __ATOMIC_RELEASE);
	table.commit = commit;
	table.index = (uint64_t *)(void *)(base + blackbox->off_stack_index);
	table.arena = base + blackbox->off_stack_arena;
	table.committed = 0;
	for (unsigned i = 0; i < N_INDEX_PAGES / 64; i++)
		table.index_pages[i] = 0;
	table.n_refused = 0;
	blackbox->stack_arena_used = (uint64_t)FR_STACK_FIRST_ID * 8;
	/* Release: pairs with the acquire in stack_intern(). */
	__atomic_store_n(&table.blackbox, blackbox, __ATOMIC_RELEASE);
}

/* Asks for file pages; backs off for a while after a failure. */
static bool commit(uint64_t offset, uint64_t size)
{
	uint32_t n_refused = __atomic_load_n(&table.n_refused, __ATOMIC_RELAXED);

	if (n_refused && __atomic_add_fetch(&table.n_refused, 1, __ATOMIC_RELAXED) % RETRY_EVERY)
		return false;
	if (table.commit(offset, size) != 0) {
		if (n_refused == 0)
			__atomic_store_n(&table.n_refused, 1, __ATOMIC_RELAXED);
		return false;
	}
	__atomic_store_n(&table.n_refused, 0, __ATOMIC_RELAXED);
	return true;
}

static bool has_index_page(unsigned entry)
{
	unsigned page = entry / WORDS_PER_PAGE;

	return __atomic_load_n(&table.index_pages[page / 64], __ATOMIC_RELAXED) >> page % 64 & 1;
}

static bool commit_index_page(unsigned entry)
{
	unsigned page = entry / WORDS_PER_PAGE;

	if (has_index_page(entry))
		return true;
	if (!commit(table.blackbox->off_stack_index + (uint64_t)page * PAGE, PAGE))
		return false;
	__atomic_fetch_or(&table.index_pages[page / 64], 1ull << page % 64, __ATOMIC_RELAXED);
	return true;
}

/* Makes the first `end` bytes of the arena exist. */
static bool commit_arena(uint64_t end)
{
	uint64_t committed = __atomic_load_n(&table.committed, __ATOMIC_RELAXED);
	uint64_t step = committed, wanted;

	if (end <= committed)
		return true;
	step = step < MIN_STEP ? MIN_STEP : step > MAX_STEP ? MAX_STEP : step;
	wanted = committed + step;
	if (wanted < end)
		wanted = (end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (wanted > FR_BB_STACK_ARENA)
		wanted = FR_BB_STACK_ARENA;
	if (!commit(table.blackbox->off_stack_arena + committed, wanted - committed))
		return false;
	while (committed < wanted && !__atomic_compare_exchange_n(&table.committed, &committed,
					     wanted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return true;
}

/* Room for a record of `size` bytes (a multiple of 8): its id, or FR_STACK_OVERFLOW. */
static uint32_t reserve(size_t size)
{
	uint64_t *used = &table.blackbox->stack_arena_used;
	uint64_t at = __atomic_load_n(used, __ATOMIC_RELAXED);

	/* First commit, then reserve, so that nothing is used up when the file cannot grow. */
	if (at + size > FR_BB_STACK_ARENA || !commit_arena(at + size))
		return FR_STACK_OVERFLOW;
	at = __atomic_fetch_add(used, size, __ATOMIC_RELAXED);
	if (at + size > FR_BB_STACK_ARENA || !commit_arena(at + size))
		return FR_STACK_OVERFLOW;
	return (uint32_t)(at / 8);
}

/* Is this entry the stack with this hash? */
static bool is_same(uint64_t word, uint64_t hash)
{
	const struct fr_stack_record *record;

	if (stack_entry_hash(word) != (uint32_t)(hash >> 32))
		return false;
	record = (const void *)(table.arena + (size_t)stack_entry_id(word) * 8);
	return record->hash == (uint32_t)hash;
}

static uint32_t insert_record(uint64_t hash, const uint64_t *addr, size_t n, unsigned flags)
{
	uint32_t id = reserve(stack_record_size(addr, n));

	if (id != FR_STACK_OVERFLOW)
		stack_record_encode(table.arena + (size_t)id * 8, hash, addr, n, flags);
	return id;
}

static uint32_t overflow(void)
{
	count(&table.blackbox->counters.stacks_overflow);
	return FR_STACK_OVERFLOW;
}

_Static_assert(sizeof(uintptr_t) == sizeof(uint64_t), "records hold 64-bit addresses");

uint32_t stack_intern(const uintptr_t *frames, size_t n, unsigned flags)
{
	const uint64_t *addr = (const uint64_t *)frames;
	uint32_t id = FR_STACK_NONE; /* of our own record, once written */
	uint64_t hash;

	if (n == 0 || !__atomic_load_n(&table.blackbox, __ATOMIC_ACQUIRE))
		return FR_STACK_NONE;
	if (n > FR_STACK_MAX_FRAMES) {
		n = FR_STACK_MAX_FRAMES;
		flags |= FR_STACK_CUT;
	}
	hash = stack_record_hash(addr, n, flags);
	for (unsigned i = 0; i < MAX_PROBES; i++) {
		unsigned entry = (unsigned)(hash + i) & (FR_BB_STACK_INDEX - 1);
		uint64_t word = 0, ours;

		/* Acquire: pairs with the release below; the record is complete. */
		if (has_index_page(entry))
			word = __atomic_load_n(&table.index[entry], __ATOMIC_ACQUIRE);
		if (word == 0) {
			if (!commit_index_page(entry))
				return overflow();
			if (id == FR_STACK_NONE)
				id = insert_record(hash, addr, n, flags);
			if (id == FR_STACK_OVERFLOW)
				return overflow();
			ours = hash >> 32 << 32 | id;
			if (__atomic_compare_exchange_n(&table.index[entry], &word, ours, false,
				    __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
				count(&table.blackbox->counters.stacks);
				return id;
			}
		}
		if (is_same(word, hash))
			return stack_entry_id(word);
	}
	return overflow();
}
