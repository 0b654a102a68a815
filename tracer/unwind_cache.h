/* SPDX-License-Identifier: MIT */
/*
 * The cache of unwind rules: one 64-bit word per entry holds tag, generation and rule, so that plain
 * atomic loads and stores are enough for threads and signal handlers; a word is never torn. Shared by all threads.
 *
 * The lookup pc times an odd constant, modulo 2^47 (2^48 on aarch64), is a bijection: 13 (14) bits of it are
 * the index, the other 34 an exact tag, so that an entry never answers for another pc.
 *
 *   63        30 29   25 24  22 21      10 9    5 4    0
 *   | tag (34)  | gen 5 | kind  | offset/8 | fp/8 | bx/8 |
 *
 * fp and bx: 0, the register is unchanged; else it is saved at CFA - 8 * n. Generation 0 means empty. On aarch64
 * fp has the ten bits of both.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tracer/unwind.h"
#include "tracer/unwind_cfi.h"

#define CACHE_BITS (ARCH_ADDRESS_BITS - 34) /* x86-64: 13 */
#define CACHE_SIZE (1u << CACHE_BITS)
#define CACHE_TAG_BITS (ARCH_ADDRESS_BITS - CACHE_BITS)
#define CACHE_N_GENERATIONS 31u /* 1..31 in a word */

_Static_assert(CACHE_TAG_BITS == 34, "the word's fields must fill 64 bits");

enum cache_kind {
	CACHE_SP,     /* CFA = sp + offset */
	CACHE_FP,     /* CFA = fp + offset */
	CACHE_BX,     /* CFA = bx + offset */
	CACHE_SIGNAL, /* a handler's trampoline: registers are in the context at sp */
	CACHE_AGAIN,  /* does not fit: interpret the tables again */
	CACHE_END,    /* outermost frame; offset/8 is enum unwind_end */
	CACHE_NONE, /* no rule; offset/8 is the enum unwind_end to report without a frame pointer */
};

/* Offsets and slots that fit, bytes. */
#define CACHE_MAX_OFFSET 32760
#define CACHE_MAX_SLOT (8u * ((1u << ARCH_FP_SLOT_BITS) - 1)) /* x86-64: 248 */

/* Where the walk counts; see unwind_count_into(). */
extern struct unwind_stats *unwind_stats __attribute__((visibility("hidden")));

extern uint64_t unwind_cache[CACHE_SIZE] __attribute__((visibility("hidden")));

/* Counts unwind_invalidate() calls; a word's generation is derived from it. */
extern uint64_t unwind_epoch __attribute__((visibility("hidden")));

static inline uint64_t cache_epoch(void)
{
	return __atomic_load_n(&unwind_epoch, __ATOMIC_ACQUIRE);
}

static inline unsigned cache_generation(uint64_t epoch)
{
	return (unsigned)(epoch % CACHE_N_GENERATIONS) + 1;
}

struct cache_key {
	uint32_t index;
	uint64_t tag; /* in place, generation included */
};

static inline struct cache_key cache_key(uintptr_t pc, unsigned generation)
{
	uint64_t hash = (uint64_t)pc * (0x9e3779b97f4a7c15ull << (64 - ARCH_ADDRESS_BITS));

	return (struct cache_key){
		.index = (uint32_t)(hash >> (64 - CACHE_BITS)),
		.tag = hash << CACHE_BITS | (uint64_t)generation << 25,
	};
}

static inline uint64_t cache_load(struct cache_key key)
{
	return __atomic_load_n(&unwind_cache[key.index], __ATOMIC_RELAXED);
}

static inline bool cache_is_hit(uint64_t word, struct cache_key key)
{
	return (word ^ key.tag) >> 25 == 0;
}

static inline enum cache_kind cache_kind(uint64_t word)
{
	return (enum cache_kind)(word >> 22 & 7);
}

static inline uintptr_t cache_offset(uint64_t word)
{
	return (word >> 10 & 0xfff) << 3;
}

/* Bytes below the CFA where the register is saved; 0: unchanged. */
static inline uintptr_t cache_fp_slot(uint64_t word)
{
	return (word >> (10 - ARCH_FP_SLOT_BITS) & ((1u << ARCH_FP_SLOT_BITS) - 1)) << 3;
}

static inline uintptr_t cache_bx_slot(uint64_t word)
{
	return (word & ((1u << (10 - ARCH_FP_SLOT_BITS)) - 1)) << 3;
}

/* Where the return address is. */
static inline uintptr_t cache_ra_slot(uint64_t word, uintptr_t cfa)
{
	return arch_ra_slot(cfa, cache_fp_slot(word));
}

/* A word without tag and generation. Arguments in bytes. */
static inline uint64_t cache_word(
	enum cache_kind kind, unsigned offset, unsigned fp_slot, unsigned bx_slot)
{
	return (uint64_t)kind << 22 | (uint64_t)(offset >> 3) << 10 |
	       (fp_slot >> 3) << (10 - ARCH_FP_SLOT_BITS) | bx_slot >> 3;
}

static inline void cache_store(struct cache_key key, uint64_t word)
{
	__atomic_store_n(&unwind_cache[key.index], key.tag | word, __ATOMIC_RELAXED);
}

/*
 * A miss: the word for the lookup pc, made from the unwind tables and, where that may be, stored. `epoch` is
 * that of the walk. The word has no tag. Context: hook | signal.
 */
uint64_t cache_make(uintptr_t pc, bool is_call, uint64_t epoch);

/* The row of the lookup pc, parsed anew; CFI_OK or nothing is filled in. Context: hook | signal. */
enum cfi_status cache_find_row(uintptr_t pc, struct cfi_fde *fde_out, struct cfi_row *row_out);

/* Must the tables of this pc be left alone, because its object may be being unloaded? Context: hook | signal. */
bool cache_is_closed(uintptr_t pc);
