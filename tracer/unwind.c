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

#include "proto/schema.h"
#include "tracer/unwind_cache.h"
#include "tracer/unwind_cfi.h"
#include "tracer/unwind_expr.h"
#include "tracer/unwind_memory.h"
#include "tracer/unwind_trail.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
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
	/* With a trail: where the values of fp and bx at hand come from; see unwind_trail.h */
	uintptr_t fp_at, bx_at;
};

/* Whatever the next step does with them, the walk rests on both. */
static void rest_on_all(struct walk *walk)
{
	struct unwind_trail *trail = walk->memory.trail;

	if (!trail)
		return;
	trail_rest_on(trail, &walk->fp_at, &trail->has_fp);
	trail_rest_on(trail, &walk->bx_at, &trail->has_bx);
}

static void set_partial(struct walk *walk)
{
	if (walk->memory.trail)
		walk->memory.trail->is_partial = true;
}

static uintptr_t lookup_pc(const struct walk *walk)
{
	return walk->registers.pc - walk->is_call;
}

/* Chooses what may be read once the walk is at `sp`; unknown stacks begin with nothing. */
static void enter_stack(struct walk *walk, uintptr_t sp)
{
	const struct unwind_bounds *bounds = walk->bounds;
	struct unwind_trail *trail = walk->memory.trail;
	uintptr_t floor = sp - CACHE_MAX_SLOT;
	uintptr_t lo, hi;

	if (sp >= bounds->lo && sp < bounds->hi) {
		lo = bounds->lo;
		hi = bounds->hi;
	} else if (sp >= bounds->own_lo && sp < bounds->own_hi) {
		lo = bounds->own_lo;
		hi = bounds->own_hi;
	} else {
		walk->memory = (struct unwind_memory){ .is_probed = true, .trail = trail };
		set_partial(walk);
		count(&unwind_stats->probed);
		return;
	}
	/* So far below sp no rule that fits in the cache reaches, and further down pages may be missing. */
	walk->memory = (struct unwind_memory){ .lo = floor > lo && floor < sp ? floor : lo,
		.hi = hi & ~(uintptr_t)7,
		.trail = trail };
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
	struct cfi_fde fde;
	struct cfi_row row;
	uintptr_t cfa, ra, fp = registers->fp, bx = registers->bx;
	int error;

	if (cache_is_closed(lookup_pc(walk)))
		return stop(walk, UNWIND_END_CLOSING);
	rest_on_all(walk);
	if (cache_find_row(lookup_pc(walk), &fde, &row) != CFI_OK)
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
	/* A leaf on aarch64: still in its register. */
	if (ARCH_HAS_LINK && row.ra.kind == CFI_SAME)
		row.ra = (struct cfi_rule){ .kind = CFI_REGISTER, .reg = ARCH_REG_BX };
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
	walk->registers = (struct unwind_registers){
		.pc = arch_address(ra), .sp = cfa, .fp = fp, .bx = ARCH_HAS_LINK ? 0 : bx
	};
	walk->is_call = true;
	return true;
}

/* From a handler's trampoline to the frame that the signal interrupted. */
static bool step_by_signal(struct walk *walk)
{
	uintptr_t at = arch_signal_context(walk->registers.sp);
	const arch_context *context = (const arch_context *)at;

	set_partial(walk);
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

	rest_on_all(walk);
	if (reason == UNWIND_END_CLOSING || fp < walk->registers.sp || (fp & 7) ||
		fp - walk->registers.sp > MAX_GUESSED_FRAME ||
		!unwind_memory_read(&walk->memory, fp, &caller_fp) ||
		!unwind_memory_read(&walk->memory, fp + 8, &pc))
		return stop(walk, reason);
	walk->is_guessed = true;
	walk->registers = (struct unwind_registers){
		.pc = arch_address(pc),
		.sp = fp + 16,
		.fp = caller_fp,
		.bx = ARCH_HAS_LINK ? 0 : walk->registers.bx,
	};
	walk->is_call = true;
	return true;
}

/*
 * Makes sure that the slots of a cached rule can be read, for those that are outside the known bounds: on
 * a stack that is probed these may move. False: walk->end is set.
 */
static __attribute__((noinline)) bool admit_slots(struct walk *walk, uintptr_t cfa, uint64_t word)
{
	uintptr_t fp_slot = cache_fp_slot(word), bx_slot = cache_bx_slot(word);

	if (!unwind_memory_has(&walk->memory, cache_ra_slot(word, cfa)) ||
		(fp_slot && !unwind_memory_has(&walk->memory, cfa - fp_slot)) ||
		(bx_slot && !unwind_memory_has(&walk->memory, cfa - bx_slot)))
		return stop_unreadable(walk);
	return true;
}

/* A step by a cached rule that follow_cache() has not made. */
static bool step_simple(struct walk *walk, uint64_t word)
{
	struct unwind_registers *registers = &walk->registers;
	uintptr_t base = registers->sp, cfa;

	if (cache_kind(word) != CACHE_SP)
		base = cache_kind(word) == CACHE_FP ? registers->fp : registers->bx;
	cfa = base + cache_offset(word);
	if (cfa <= registers->sp || (cfa & 7))
		return stop(walk, UNWIND_END_ORDER);
	if (!admit_slots(walk, cfa, word))
		return false;
	if (walk->memory.trail)
		trail_step(walk->memory.trail, word, cfa, &walk->fp_at, &walk->bx_at);
	registers->pc = arch_address(unwind_memory_load(cache_ra_slot(word, cfa)));
	if (cache_fp_slot(word))
		registers->fp = unwind_memory_load(cfa - cache_fp_slot(word));
	if (ARCH_HAS_LINK)
		registers->bx = 0;
	else if (cache_bx_slot(word))
		registers->bx = unwind_memory_load(cfa - cache_bx_slot(word));
	registers->sp = cfa;
	registers->context = NULL;
	walk->is_call = true;
	return true;
}

/* Any step that follow_cache() does not make. *address is the frame's, as written. */
static bool step_special(struct walk *walk, uint64_t word, uintptr_t *address)
{
	enum unwind_end end = (enum unwind_end)(cache_offset(word) >> 3);

	switch (cache_kind(word)) {
	case CACHE_SP:
	case CACHE_FP:
	case CACHE_BX:
		return step_simple(walk, word);
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

/*
 * Follows cached rules as long as there are any, from walk->registers on. Returns the number of frames
 * written, the last of which is the one at hand: its word, which needs more than this loop, is in *word_out;
 * with walk->end set to another value than UNWIND_END_N the walk is over.
 *
 * All that a step needs is in local variables: a pc that went through memory on its way to the next
 * look-up would cost as much as the rest of the step.
 */
UNWIND_RAW static inline __attribute__((always_inline)) size_t follow(
	struct walk *walk, uintptr_t *frames, size_t max, uint64_t *word_out, bool has_trail)
{
	struct unwind_trail *trail = has_trail ? walk->memory.trail : NULL;
	uintptr_t fp_at = has_trail ? walk->fp_at : 0, bx_at = has_trail ? walk->bx_at : 0;
	uintptr_t sp = walk->registers.sp, fp = walk->registers.fp, bx = walk->registers.bx;
	uintptr_t pc = lookup_pc(walk), lo = walk->memory.lo, hi = walk->memory.hi;
	unsigned generation = cache_generation(walk->epoch);
	bool is_call = walk->is_call;
	size_t n = 0;

	for (;;) {
		uintptr_t base = sp, cfa, fp_slot, bx_slot;
		struct cache_key key;
		uint64_t word;

		/* One comparison for 0, the first page and what is above user memory. */
		if (unlikely(pc - ARCH_PAGE >= (1ull << ARCH_ADDRESS_BITS) - ARCH_PAGE)) {
			walk->end = pc + is_call == 0 ? UNWIND_END_ZERO : UNWIND_END_PC;
			return n;
		}
		if (unlikely(n == max)) {
			walk->end = UNWIND_END_DEPTH;
			return n;
		}
		frames[n++] = pc + 1;
		key = cache_key(pc, generation);
		word = cache_load(key);
		if (unlikely(!cache_is_hit(word, key) || cache_kind(word) > CACHE_BX)) {
			*word_out = cache_is_hit(word, key) ? word : 0;
			break;
		}
		if (cache_kind(word) != CACHE_SP)
			base = cache_kind(word) == CACHE_FP ? fp : bx;
		cfa = base + cache_offset(word);
		fp_slot = cache_fp_slot(word);
		bx_slot = cache_bx_slot(word);
		if (unlikely(cfa <= sp || (cfa & 7))) {
			walk->end = UNWIND_END_ORDER;
			return n;
		}
		if (unlikely(cfa > hi || cfa < lo + CACHE_MAX_SLOT)) {
			if (!admit_slots(walk, cfa, word))
				return n;
			lo = walk->memory.lo;
			hi = walk->memory.hi;
		}
		if (has_trail)
			trail_step(trail, word, cfa, &fp_at, &bx_at);
		pc = arch_address(unwind_memory_load(cache_ra_slot(word, cfa))) - 1;
		if (fp_slot)
			fp = unwind_memory_load(cfa - fp_slot);
		if (ARCH_HAS_LINK)
			bx = 0;
		else if (bx_slot)
			bx = unwind_memory_load(cfa - bx_slot);
		sp = cfa;
		is_call = true;
	}
	if (n > 1)
		walk->registers.context = NULL;
	walk->registers.pc = pc + is_call;
	walk->registers.sp = sp;
	walk->registers.fp = fp;
	walk->registers.bx = bx;
	walk->is_call = is_call;
	if (has_trail) {
		walk->fp_at = fp_at;
		walk->bx_at = bx_at;
	}
	return n;
}

/* Twice, so that a walk without a trail does not pay for it. */
static size_t follow_cache(struct walk *walk, uintptr_t *frames, size_t max, uint64_t *word_out)
{
	return follow(walk, frames, max, word_out, false);
}

static __attribute__((noinline)) size_t follow_cache_noting(
	struct walk *walk, uintptr_t *frames, size_t max, uint64_t *word_out)
{
	return follow(walk, frames, max, word_out, true);
}

static unsigned flags_of(struct walk *walk)
{
	static const unsigned char is_whole[UNWIND_END_N] = {
#define UNWIND_X(id, whole, text) whole,
		UNWIND_END_TABLE(UNWIND_X)
#undef UNWIND_X
	};
	unsigned flags = walk->is_guessed ? FR_STACK_GUESSED : 0;

	if (walk->is_guessed)
		count(&unwind_stats->guesses);
	if (walk->end != UNWIND_END_START)
		count(&unwind_stats->ends[walk->end - 1]);
	if (walk->end == UNWIND_END_DEPTH)
		flags |= FR_STACK_CUT;
	if (!is_whole[walk->end])
		flags |= FR_STACK_BROKEN;
	/* What these rest on was not read, or is another thread's doing. */
	if (walk->end == UNWIND_END_CLOSING || walk->end == UNWIND_END_ORDER ||
		walk->end == UNWIND_END_BOUNDS || walk->end == UNWIND_END_UNREADABLE)
		set_partial(walk);
	return flags;
}

static inline __attribute__((always_inline)) size_t run_walk(const struct unwind_start *start,
	const struct unwind_bounds *bounds, uintptr_t *frames, size_t max, unsigned *flags_out,
	enum unwind_end *end_out, struct unwind_trail *trail)
{
	struct walk walk;
	size_t n = 0;

	walk.registers = (struct unwind_registers){ start->pc, start->sp, start->fp, start->bx,
		start->context };
	walk.bounds = bounds;
	walk.epoch = cache_epoch();
	walk.is_call = start->is_call != 0;
	walk.is_guessed = false;
	walk.end = UNWIND_END_N;
	walk.fp_at = walk.bx_at = FROM_START;
	walk.memory.trail = trail;
	enter_stack(&walk, start->sp);
	for (;;) {
		uint64_t word = 0;

		if (trail)
			n += follow_cache_noting(&walk, frames + n, max - n, &word);
		else
			n += follow_cache(&walk, frames + n, max - n, &word);
		if (walk.end != UNWIND_END_N)
			break;
		if (word == 0)
			word = cache_make(lookup_pc(&walk), walk.is_call, walk.epoch);
		if (!step_special(&walk, word, &frames[n - 1]))
			break;
	}
	*flags_out = flags_of(&walk);
	*end_out = walk.end;
	return n;
}

size_t unwind_walk_end(const struct unwind_start *start, const struct unwind_bounds *bounds,
	uintptr_t *frames, size_t max, unsigned *flags_out, enum unwind_end *end_out)
{
	return run_walk(start, bounds, frames, max, flags_out, end_out, NULL);
}

size_t unwind_walk_trail(const struct unwind_start *start, const struct unwind_bounds *bounds,
	uintptr_t *frames, size_t max, unsigned *flags_out, struct unwind_trail *trail)
{
	enum unwind_end end;

	trail->sp = start->sp;
	trail->is_partial = (start->sp & 7) != 0 || start->context;
	trail->has_fp = trail->has_bx = false;
	trail->n = 0;
	return run_walk(start, bounds, frames, max, flags_out, &end, trail);
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
