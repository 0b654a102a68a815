/* SPDX-License-Identifier: MIT */
/*
 * Fills the cache of unwind rules and forgets it. A word is stored only when no invalidation came between
 * the reading of the tables and the store; after that its generation tells.
 */
#include "tracer/unwind_cache.h"

#include <dlfcn.h>

#include "tracer/unwind.h"

uint64_t unwind_cache[CACHE_SIZE] __attribute__((aligned(64)));
bool (*unwind_on_object)(const struct dl_find_object *object);

/* Counts unwind_invalidate() calls; a word's generation is derived from it. */
uint64_t unwind_epoch;
static uint32_t n_closing;

/* Objects reported to unwind_on_object, as a hash of where they lie and of the epoch. Direct mapped; 0 is empty. */
#define N_SEEN 512u
static uint64_t seen_objects[N_SEEN];

_Static_assert(UNWIND_END_START == 0, "the normal end is the one without a counter");

static struct unwind_stats own_stats;
struct unwind_stats *unwind_stats = &own_stats;

void unwind_count_into(struct unwind_stats *stats)
{
	__atomic_store_n(&unwind_stats, stats ? stats : &own_stats, __ATOMIC_RELEASE);
}

const struct unwind_stats *unwind_stats_now(void)
{
	return unwind_stats;
}

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void report_object(const struct dl_find_object *object, uint64_t epoch)
{
	bool (*report)(const struct dl_find_object *) =
		__atomic_load_n(&unwind_on_object, __ATOMIC_ACQUIRE);
	/* All of it: the link map of an object that is gone may lie where the next one's does. */
	uint64_t mark =
		((uintptr_t)object->dlfo_link_map ^ (uintptr_t)object->dlfo_map_start << 16 ^
			(uintptr_t)object->dlfo_map_end << 32 ^ (uintptr_t)object->dlfo_eh_frame ^
			epoch << 48) *
		0x9e3779b97f4a7c15ull;
	uint64_t *seen = &seen_objects[mark >> 55];

	if (!report || __atomic_load_n(seen, __ATOMIC_RELAXED) == mark)
		return;
	if (report(object))
		__atomic_store_n(seen, mark, __ATOMIC_RELAXED);
}

/* The cache word (without tag) of a parsed row, CACHE_AGAIN where it does not fit. */
static uint64_t word_of_row(const struct cfi_fde *fde, const struct cfi_row *row, uintptr_t pc)
{
	unsigned fp_slot = 0, bx_slot = 0;
	enum cache_kind kind = CACHE_SP;
	int32_t offset = row->cfa.value;

	if (fde->is_signal)
		return cache_word(CACHE_SIGNAL, 0, 0, 0);
	if (row->ra.kind == CFI_UNDEFINED)
		return cache_word(CACHE_END, UNWIND_END_START << 3, 0, 0);
	if (row->cfa.kind == CFI_EXPRESSION)
		offset = arch_plt_offset(fde->lo + (uint32_t)row->cfa.value, row->cfa.size, pc);
	else if (row->cfa.kind == CFI_REGISTER && row->cfa.reg == ARCH_REG_FP)
		kind = CACHE_FP;
	else if (row->cfa.kind == CFI_REGISTER && row->cfa.reg == ARCH_REG_BX)
		kind = CACHE_BX;
	else if (row->cfa.kind != CFI_REGISTER || row->cfa.reg != ARCH_REG_SP)
		offset = 0;

	if (row->fp.kind == CFI_OFFSET && row->fp.value < 0)
		fp_slot = 0u - (unsigned)row->fp.value;
	else if (row->fp.kind != CFI_SAME)
		offset = 0;
	if (row->bx.kind == CFI_OFFSET && row->bx.value < 0)
		bx_slot = 0u - (unsigned)row->bx.value;
	else if (row->bx.kind != CFI_SAME)
		offset = 0;
	if (row->ra.kind != CFI_OFFSET || !arch_ra_fits(row->ra.value, fp_slot))
		offset = 0;

	if (offset <= 0 || offset > CACHE_MAX_OFFSET || fp_slot > CACHE_MAX_SLOT ||
		bx_slot > CACHE_MAX_SLOT || ((unsigned)offset | fp_slot | bx_slot) & 7)
		return cache_word(CACHE_AGAIN, 0, 0, 0);
	return cache_word(kind, (unsigned)offset, fp_slot, bx_slot);
}

static uint64_t none_word(enum unwind_end reason)
{
	return cache_word(CACHE_NONE, (unsigned)reason << 3, 0, 0);
}

/* Code of a known object without a rule: ends and trampolines that have no table. */
static uint64_t word_without_fde(
	uintptr_t lookup_pc, bool is_call, const struct dl_find_object *object)
{
	uintptr_t pc = lookup_pc + is_call;
	struct dl_find_object ignored;
	struct cfi_fde fde;
	const uint8_t *code;

	code = cfi_code_at(object, pc, ARCH_TRAMPOLINE_SIZE);
	if (code && arch_is_trampoline(code))
		return cache_word(CACHE_SIGNAL, 0, 0, 0);
	if (!is_call)
		return none_word(UNWIND_END_NO_RULE);
	/* A coroutine "returns" to the first byte of a function that nothing called. */
	if (cfi_find(pc, &fde, &ignored) == CFI_OK && fde.pc_begin == pc)
		return cache_word(CACHE_END, UNWIND_END_CONTEXT << 3, 0, 0);
	if (cfi_is_loader(object))
		return cache_word(CACHE_END, UNWIND_END_LOADER << 3, 0, 0);
	return none_word(UNWIND_END_NO_RULE);
}

/* Is this a trampoline in no object? The page is probed first. */
UNWIND_RAW static bool is_loose_trampoline(uintptr_t pc)
{
	return ARCH_HAS_LOOSE_TRAMPOLINE && !(pc & 3) && arch_probe(pc & ~(uintptr_t)7) &&
	       arch_probe((pc + 4) & ~(uintptr_t)7) && arch_is_trampoline((const uint8_t *)pc);
}

static enum cfi_status find_row(uintptr_t pc, uint64_t epoch, struct cfi_fde *fde,
	struct cfi_row *row, struct dl_find_object *object)
{
	enum cfi_status status = cfi_find(pc, fde, object);

	if (status != CFI_NO_OBJECT)
		report_object(object, epoch);
	if (status == CFI_OK)
		status = cfi_row_at(fde, pc, row);
	return status;
}

enum cfi_status cache_find_row(uintptr_t pc, struct cfi_fde *fde, struct cfi_row *row)
{
	struct dl_find_object object;

	return find_row(pc, cache_epoch(), fde, row, &object);
}

/* Written before there are other threads. In order of address, and apart. */
static struct {
	uintptr_t lo, hi;
} pins[UNWIND_MAX_PINS];
static unsigned n_pins;

void unwind_pin(uintptr_t lo, uintptr_t hi)
{
	unsigned i = n_pins;

	if (n_pins == UNWIND_MAX_PINS)
		return;
	for (; i > 0 && pins[i - 1].lo > lo; i--)
		pins[i] = pins[i - 1];
	pins[i].lo = lo;
	pins[i].hi = hi;
	n_pins++;
}

static bool is_pinned(uintptr_t pc)
{
	unsigned lo = 0, n = n_pins;

	while (n > 0) { /* the answer, if any, is in pins[lo .. lo + n) */
		unsigned half = n / 2;

		if (pc < pins[lo + half].lo) {
			n = half;
		} else if (pc < pins[lo + half].hi) {
			return true;
		} else {
			lo += half + 1;
			n -= half + 1;
		}
	}
	return false;
}

bool cache_is_closed(uintptr_t pc)
{
	/* Acquire: pairs with unwind_closing(). */
	return __atomic_load_n(&n_closing, __ATOMIC_ACQUIRE) != 0 && !is_pinned(pc);
}

uint64_t cache_make(uintptr_t pc, bool is_call, uint64_t epoch)
{
	struct dl_find_object object;
	struct cfi_fde fde;
	struct cfi_row row;
	uint64_t word;

	if (cache_is_closed(pc))
		return none_word(UNWIND_END_CLOSING);
	switch (find_row(pc, epoch, &fde, &row, &object)) {
	case CFI_OK:
		word = word_of_row(&fde, &row, pc);
		break;
	case CFI_NO_OBJECT:
		if (is_loose_trampoline(pc + is_call))
			return cache_word(CACHE_SIGNAL, 0, 0, 0);
		/* Not kept: the answer is cheap, and an object may be loaded there without our notice. */
		return none_word(UNWIND_END_NO_OBJECT);
	case CFI_NO_FDE:
		word = word_without_fde(pc, is_call, &object);
		break;
	case CFI_LONG:
		word = none_word(UNWIND_END_LONG_TABLE);
		break;
	default:
		word = none_word(UNWIND_END_BAD_TABLE);
	}
	count(&unwind_stats->misses);
	/* An unload in between may have changed what lies at this address. */
	if (cache_epoch() == epoch)
		cache_store(cache_key(pc, cache_generation(epoch)), word);
	return word;
}

uint64_t unwind_epoch_now(void)
{
	return cache_epoch();
}

void unwind_invalidate(void)
{
	uint64_t epoch = __atomic_load_n(&unwind_epoch, __ATOMIC_RELAXED);

	do {
		/*
		 * Words of 31 epochs ago would be taken for fresh ones. Nobody makes words of the coming generation
		 * yet, so nothing that is valid after the exchange is lost.
		 */
		if (cache_generation(epoch) == CACHE_N_GENERATIONS)
			for (unsigned i = 0; i < CACHE_SIZE; i++)
				__atomic_store_n(&unwind_cache[i], 0, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(
		&unwind_epoch, &epoch, epoch + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

void unwind_closing(int is_closing)
{
	uint32_t n = __atomic_load_n(&n_closing, __ATOMIC_RELAXED);

	/* Not below 0: a destructor of the library may have forked, and the child begins with none. */
	while (!__atomic_compare_exchange_n(&n_closing, &n, is_closing ? n + 1 : n - (n > 0), false,
		__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

void unwind_after_fork(void)
{
	n_closing = 0;
}
