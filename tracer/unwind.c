/* SPDX-License-Identifier: MIT */
/*
 * The walk. Each frame needs one rule: where the CFA is, where the caller's rbp and rbx are saved. The
 * rule comes from a cache word (unwind_cache.h); on a miss from the unwind tables (unwind_cfi.h). What does not
 * fit in a word is interpreted anew every time (PLT, realigned stacks, hand-written assembly). Where
 * no rule is, frame pointers are a guess, and the stack is marked.
 *
 * Invariants of a walk: each frame's CFA is above the one before (a signal frame may switch stacks), reads
 * lie in the known bounds, every step produces one frame, so `max` bounds the time.
 */
#include "tracer/unwind.h"

#include <dlfcn.h>

#include "proto/schema.h"
#include "tracer/unwind_cache.h"
#include "tracer/unwind_cfi.h"
#include "tracer/unwind_expr.h"
#include "tracer/unwind_memory.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

uint64_t unwind_cache[CACHE_SIZE] __attribute__((aligned(64)));
struct unwind_stats unwind_stats;
void (*unwind_on_object)(const struct dl_find_object *object);

/* Counts unwind_invalidate() calls; a word's generation is derived from it. */
static uint64_t cache_epoch;
static uint32_t n_closing;

/* Objects reported to unwind_on_object: link_map address ^ epoch << 48. Direct mapped; 0 is empty. */
#define N_SEEN 512u
static uint64_t seen_objects[N_SEEN];

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static unsigned generation_of(uint64_t epoch)
{
	return (unsigned)(epoch % CACHE_N_GENERATIONS) + 1;
}

/* Everything about one walk in progress. */
struct walk {
	struct unwind_registers registers; /* of the frame at hand */
	struct unwind_memory memory;
	const struct unwind_bounds *bounds;
	uint64_t epoch;
	bool is_call; /* registers.pc is a return address */
	bool is_guessed;
	enum unwind_end end;
};

static uintptr_t lookup_pc(const struct walk *walk)
{
	return walk->registers.pc - walk->is_call;
}

/* Chooses what may be read once the walk is at `sp`; unknown stacks begin with nothing. */
static void enter_stack(struct walk *walk, uintptr_t sp)
{
	const struct unwind_bounds *bounds = walk->bounds;
	uintptr_t floor = sp - ARCH_RED_ZONE;
	uintptr_t lo, hi;

	if (sp >= bounds->lo && sp < bounds->hi) {
		lo = bounds->lo;
		hi = bounds->hi;
	} else if (sp >= bounds->own_lo && sp < bounds->own_hi) {
		lo = bounds->own_lo;
		hi = bounds->own_hi;
	} else {
		walk->memory = (struct unwind_memory){ .is_probed = true };
		count(&unwind_stats.probed);
		return;
	}
	/* Below the red zone nothing is saved, and pages may be missing. */
	walk->memory = (struct unwind_memory){ .lo = floor > lo && floor < sp ? floor : lo,
		.hi = hi & ~(uintptr_t)7 };
}

static void report_object(const struct dl_find_object *object, uint64_t epoch)
{
	void (*report)(const struct dl_find_object *) =
		__atomic_load_n(&unwind_on_object, __ATOMIC_ACQUIRE);
	uintptr_t map = (uintptr_t)object->dlfo_link_map;
	uint64_t *seen = &seen_objects[(map >> 4) * 0x9e3779b97f4a7c15ull >> 55];
	uint64_t mark = map ^ epoch << 48;

	if (!report || __atomic_load_n(seen, __ATOMIC_RELAXED) == mark)
		return;
	__atomic_store_n(seen, mark, __ATOMIC_RELAXED);
	report(object);
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
	else if (row->cfa.kind != CFI_REGISTER)
		offset = 0;
	else if (row->cfa.reg == ARCH_REG_FP)
		kind = CACHE_FP;
	else if (row->cfa.reg == ARCH_REG_BX)
		kind = CACHE_BX;
	else if (row->cfa.reg != ARCH_REG_SP)
		offset = 0;

	if (row->fp.kind == CFI_OFFSET && row->fp.value < 0)
		fp_slot = 0u - (unsigned)row->fp.value;
	else if (row->fp.kind != CFI_SAME)
		offset = 0;
	if (row->bx.kind == CFI_OFFSET && row->bx.value < 0)
		bx_slot = 0u - (unsigned)row->bx.value;
	else if (row->bx.kind != CFI_SAME)
		offset = 0;
	if (row->ra.kind != CFI_OFFSET || row->ra.value != ARCH_RA_OFFSET)
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
static uint64_t word_without_fde(const struct walk *walk, const struct dl_find_object *object)
{
	uintptr_t pc = walk->registers.pc;
	struct dl_find_object ignored;
	struct cfi_fde fde;

	if (pc < (uintptr_t)object->dlfo_map_end &&
		(uintptr_t)object->dlfo_map_end - pc >= ARCH_TRAMPOLINE_SIZE &&
		arch_is_trampoline((const uint8_t *)pc))
		return cache_word(CACHE_SIGNAL, 0, 0, 0);
	if (!walk->is_call)
		return none_word(UNWIND_END_NO_RULE);
	/* A coroutine "returns" to the first byte of a function that nothing called. */
	if (cfi_find(pc, &fde, &ignored) == CFI_OK && fde.pc_begin == pc)
		return cache_word(CACHE_END, UNWIND_END_CONTEXT << 3, 0, 0);
	if (cfi_is_loader(object))
		return cache_word(CACHE_END, UNWIND_END_LOADER << 3, 0, 0);
	return none_word(UNWIND_END_NO_RULE);
}

/* Parses the tables for the frame at hand. CFI_OK: fde and row are filled. */
static enum cfi_status find_row(const struct walk *walk, struct cfi_fde *fde, struct cfi_row *row,
	struct dl_find_object *object)
{
	enum cfi_status status = cfi_find(lookup_pc(walk), fde, object);

	if (status != CFI_NO_OBJECT)
		report_object(object, walk->epoch);
	if (status == CFI_OK)
		status = cfi_row_at(fde, lookup_pc(walk), row);
	return status;
}

/* A miss: makes the frame's word from the tables and caches it. */
static uint64_t make_word(const struct walk *walk, struct cache_key key)
{
	struct dl_find_object object;
	struct cfi_fde fde;
	struct cfi_row row;
	uint64_t word;

	count(&unwind_stats.misses);
	if (__atomic_load_n(&n_closing, __ATOMIC_ACQUIRE))
		return none_word(UNWIND_END_CLOSING);
	switch (find_row(walk, &fde, &row, &object)) {
	case CFI_OK:
		word = word_of_row(&fde, &row, lookup_pc(walk));
		break;
	case CFI_NO_OBJECT:
		word = none_word(UNWIND_END_NO_OBJECT);
		break;
	case CFI_NO_FDE:
		word = word_without_fde(walk, &object);
		break;
	case CFI_LONG:
		word = none_word(UNWIND_END_LONG_TABLE);
		break;
	default:
		word = none_word(UNWIND_END_BAD_TABLE);
	}
	/* An unload in between may have changed what lies at this address. */
	if (__atomic_load_n(&cache_epoch, __ATOMIC_ACQUIRE) == walk->epoch)
		cache_store(key, word);
	return word;
}

/*
 * The steps below move walk->registers to the caller's frame. False: the walk is over, and walk->end says why.
 */
static bool stop(struct walk *walk, enum unwind_end end)
{
	walk->end = end;
	return false;
}

static bool stop_unreadable(struct walk *walk)
{
	return stop(walk, walk->memory.is_probed ? UNWIND_END_UNREADABLE : UNWIND_END_BOUNDS);
}

/* One register of the caller. False: walk->end is set. */
static bool apply_rule(struct walk *walk, const struct cfi_fde *fde, const struct cfi_rule *rule,
	uintptr_t cfa, uintptr_t *value)
{
	const struct unwind_registers *registers = &walk->registers;
	uintptr_t address = cfa + (uintptr_t)(intptr_t)rule->value;
	int error;

	switch (rule->kind) {
	case CFI_SAME:
		return true;
	case CFI_UNDEFINED:
		*value = 0;
		return true;
	case CFI_VAL_OFFSET:
		*value = address;
		return true;
	case CFI_REGISTER:
		return unwind_register(registers, rule->reg, value) ||
		       stop(walk, UNWIND_END_REGISTER);
	case CFI_EXPRESSION:
	case CFI_VAL_EXPRESSION:
		error = unwind_expression(fde->lo + (uint32_t)rule->value, rule->size, registers,
			&walk->memory, true, cfa, &address);
		if (error)
			return stop(walk, (enum unwind_end) - error);
		if (rule->kind == CFI_VAL_EXPRESSION) {
			*value = address;
			return true;
		}
		break;
	default:
		break;
	}
	return unwind_memory_read(&walk->memory, address, value) || stop_unreadable(walk);
}

/* A step by any rule at all. */
static bool step_by_tables(struct walk *walk)
{
	const struct unwind_registers *registers = &walk->registers;
	struct dl_find_object object;
	struct cfi_fde fde;
	struct cfi_row row;
	uintptr_t cfa, ra, fp = registers->fp, bx = registers->bx;
	int error;

	if (__atomic_load_n(&n_closing, __ATOMIC_ACQUIRE))
		return stop(walk, UNWIND_END_CLOSING);
	if (find_row(walk, &fde, &row, &object) != CFI_OK)
		return stop(walk, UNWIND_END_BAD_TABLE);
	if (row.ra.kind == CFI_UNDEFINED)
		return stop(walk, UNWIND_END_START);

	if (row.cfa.kind == CFI_REGISTER) {
		if (!unwind_register(registers, row.cfa.reg, &cfa))
			return stop(walk, UNWIND_END_REGISTER);
		cfa += (uintptr_t)(intptr_t)row.cfa.value;
	} else if (row.cfa.kind == CFI_EXPRESSION) {
		error = unwind_expression(fde.lo + (uint32_t)row.cfa.value, row.cfa.size, registers,
			&walk->memory, false, 0, &cfa);
		if (error)
			return stop(walk, (enum unwind_end) - error);
	} else {
		return stop(walk, UNWIND_END_BAD_TABLE);
	}
	/* vfork pops its return address into a register: only there the CFA may stay where it is. */
	if (cfa < registers->sp || (cfa == registers->sp && row.ra.kind != CFI_REGISTER) ||
		(cfa & 7))
		return stop(walk, UNWIND_END_ORDER);
	if (row.ra.kind == CFI_SAME)
		return stop(walk, UNWIND_END_BAD_TABLE);
	ra = 0;
	if (!apply_rule(walk, &fde, &row.ra, cfa, &ra) ||
		!apply_rule(walk, &fde, &row.fp, cfa, &fp) ||
		!apply_rule(walk, &fde, &row.bx, cfa, &bx))
		return false;
	walk->registers = (struct unwind_registers){ .pc = ra, .sp = cfa, .fp = fp, .bx = bx };
	walk->is_call = true;
	return true;
}

/* From a handler's trampoline to the frame that the signal interrupted. */
static bool step_by_signal(struct walk *walk)
{
	uintptr_t at = arch_signal_context(walk->registers.sp);
	const arch_context *context = (const arch_context *)at;

	if (!unwind_memory_has(&walk->memory, at) ||
		!unwind_memory_has(&walk->memory, at + ARCH_CONTEXT_SIZE - 8))
		return stop_unreadable(walk);
	walk->registers = (struct unwind_registers){ .pc = arch_context_pc(context),
		.sp = arch_context_sp(context),
		.fp = arch_context_fp(context),
		.bx = arch_context_bx(context),
		.context = context };
	walk->is_call = false;
	if (walk->registers.sp < walk->memory.lo || walk->registers.sp >= walk->memory.hi)
		enter_stack(walk, walk->registers.sp);
	return true;
}

/* A frame that a walk on an unknown stack accepts by frame pointer is smaller than this. */
#define MAX_GUESSED_FRAME (1u << 20)

static bool step_by_frame_pointer(struct walk *walk, enum unwind_end reason)
{
	uintptr_t fp = walk->registers.fp, caller_fp, pc;

	if (reason == UNWIND_END_CLOSING || fp < walk->registers.sp || (fp & 7) ||
		fp - walk->registers.sp > MAX_GUESSED_FRAME ||
		!unwind_memory_read(&walk->memory, fp, &caller_fp) ||
		!unwind_memory_read(&walk->memory, fp + 8, &pc))
		return stop(walk, reason);
	walk->is_guessed = true;
	walk->registers = (struct unwind_registers){
		.pc = pc, .sp = fp + 16, .fp = caller_fp, .bx = walk->registers.bx
	};
	walk->is_call = true;
	return true;
}

/* Any step that the loop of unwind_walk_end() does not do by itself. *address is the frame's, as written. */
static bool step_special(struct walk *walk, uint64_t word, uintptr_t *address)
{
	enum unwind_end end = (enum unwind_end)(cache_offset(word) >> 3);

	switch (cache_kind(word)) {
	case CACHE_SIGNAL:
		*address = walk->registers.pc + 1;
		return step_by_signal(walk);
	case CACHE_AGAIN:
		return step_by_tables(walk);
	case CACHE_END:
		if (end == UNWIND_END_CONTEXT)
			*address = walk->registers.pc + 1;
		return stop(walk, end);
	default:
		return step_by_frame_pointer(walk, end);
	}
}

/* A step by a cached rule. `word` is of kind SP, FP or BX. */
UNWIND_RAW static inline bool step_cached(struct walk *walk, uint64_t word)
{
	struct unwind_registers *registers = &walk->registers;
	uintptr_t sp = registers->sp, base = sp, cfa;
	uintptr_t fp_slot = cache_fp_slot(word), bx_slot = cache_bx_slot(word);

	if (cache_kind(word) != CACHE_SP)
		base = cache_kind(word) == CACHE_FP ? registers->fp : registers->bx;
	cfa = base + cache_offset(word);
	if (unlikely(cfa <= sp || (cfa & 7)))
		return stop(walk, UNWIND_END_ORDER);
	if (unlikely(cfa > walk->memory.hi || cfa - 8 < walk->memory.lo) &&
		!unwind_memory_has(&walk->memory, cfa - 8))
		return stop_unreadable(walk);
	registers->pc = unwind_memory_load(arch_ra_slot(cfa));
	registers->sp = cfa;
	if (fp_slot) {
		if (unlikely(cfa - fp_slot < walk->memory.lo) &&
			!unwind_memory_has(&walk->memory, cfa - fp_slot))
			return stop_unreadable(walk);
		registers->fp = unwind_memory_load(cfa - fp_slot);
	}
	if (bx_slot) {
		if (unlikely(cfa - bx_slot < walk->memory.lo) &&
			!unwind_memory_has(&walk->memory, cfa - bx_slot))
			return stop_unreadable(walk);
		registers->bx = unwind_memory_load(cfa - bx_slot);
	}
	registers->context = NULL;
	walk->is_call = true;
	return true;
}

static unsigned flags_of(const struct walk *walk)
{
	static const unsigned char is_whole[UNWIND_END_N] = {
#define UNWIND_X(id, whole, text) whole,
		UNWIND_END_TABLE(UNWIND_X)
#undef UNWIND_X
	};
	unsigned flags = walk->is_guessed ? FR_STACK_GUESSED : 0;

	if (walk->is_guessed)
		count(&unwind_stats.guesses);
	if (walk->end != UNWIND_END_START)
		count(&unwind_stats.ends[walk->end]);
	if (walk->end == UNWIND_END_DEPTH)
		flags |= FR_STACK_CUT;
	if (!is_whole[walk->end])
		flags |= FR_STACK_BROKEN;
	return flags;
}

size_t unwind_walk_end(const struct unwind_start *start, const struct unwind_bounds *bounds,
	uintptr_t *frames, size_t max, unsigned *flags_out, enum unwind_end *end_out)
{
	struct walk walk = {
		.registers = { start->pc, start->sp, start->fp, start->bx, start->context },
		.bounds = bounds,
		.epoch = __atomic_load_n(&cache_epoch, __ATOMIC_ACQUIRE),
		.is_call = start->is_call != 0,
		.end = UNWIND_END_DEPTH,
	};
	unsigned generation = generation_of(walk.epoch);
	size_t n = 0;

	enter_stack(&walk, start->sp);
	for (;;) {
		uintptr_t pc = lookup_pc(&walk);
		struct cache_key key;
		uint64_t word;

		if (unlikely(walk.registers.pc == 0)) {
			walk.end = UNWIND_END_ZERO;
			break;
		}
		if (unlikely(pc < ARCH_PAGE || pc >> ARCH_ADDRESS_BITS)) {
			walk.end = UNWIND_END_PC;
			break;
		}
		if (unlikely(n == max)) {
			walk.end = UNWIND_END_DEPTH;
			break;
		}
		frames[n++] = pc + 1;
		key = cache_key(pc, generation);
		word = cache_load(key);
		if (unlikely(!cache_is_hit(word, key)))
			word = make_word(&walk, key);
		if (likely(cache_kind(word) <= CACHE_BX)) {
			if (unlikely(!step_cached(&walk, word)))
				break;
		} else if (!step_special(&walk, word, &frames[n - 1])) {
			break;
		}
	}
	*flags_out = flags_of(&walk);
	*end_out = walk.end;
	return n;
}

size_t unwind_walk(const struct unwind_start *start, const struct unwind_bounds *bounds,
	uintptr_t *frames, size_t max, unsigned *flags_out)
{
	enum unwind_end end;

	return unwind_walk_end(start, bounds, frames, max, flags_out, &end);
}

const char *unwind_end_text(enum unwind_end end)
{
	static const char *const text[UNWIND_END_N] = {
#define UNWIND_X(id, is_whole, sentence) sentence,
		UNWIND_END_TABLE(UNWIND_X)
#undef UNWIND_X
	};

	return (unsigned)end < UNWIND_END_N ? text[end] : "unknown";
}

void unwind_invalidate(void)
{
	uint64_t epoch = __atomic_load_n(&cache_epoch, __ATOMIC_RELAXED);

	do {
		/*
		 * Words of 31 epochs ago would be taken for fresh ones. Nobody makes words of the coming generation
		 * yet, so nothing that is valid after the exchange is lost.
		 */
		if (generation_of(epoch) == CACHE_N_GENERATIONS)
			for (unsigned i = 0; i < CACHE_SIZE; i++)
				__atomic_store_n(&unwind_cache[i], 0, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(
		&cache_epoch, &epoch, epoch + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

void unwind_closing(int is_closing)
{
	__atomic_fetch_add(&n_closing, is_closing ? 1u : -1u, __ATOMIC_ACQ_REL);
}
