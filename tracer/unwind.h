/* SPDX-License-Identifier: MIT */
/* The stack walk: registers of a frame → return addresses. Safe in hooks and in signal handlers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracer/unwind_arch.h"

/*
 * Where a walk starts: a frame's registers. For a hook: the state just after the hook returned. In a
 * signal handler: the interrupted frame, see unwind_start_context().
 */
struct unwind_start {
	uintptr_t pc; /* a return address when is_call is set, else an exact pc (signal handler) */
	uintptr_t sp; /* stack pointer in that frame */
	uintptr_t fp; /* frame pointer register in that frame */
	uintptr_t bx; /* rbx where known, else 0 */
	int is_call;
	const arch_context
		*context; /* borrowed: all registers where known (signal handler), else NULL */
};

/*
 * Stack that may be read: [lo, hi) holds start->sp. Reads outside never happen, with one exception: when
 * start->sp is not in it (coroutines; lo == hi == 0 says so from the start), the stack is unknown,
 * and each page is probed with a system call before the first read in a walk.
 * [own_lo, own_hi) is the thread's own stack where [lo, hi) is an alternate signal stack: the walk goes on there
 * once it passes the signal frame. 0, 0: the same stack, or not known.
 */
struct unwind_bounds {
	uintptr_t lo, hi;
	uintptr_t own_lo, own_hi;
};

/*
 * How a walk can end. X(ID, is the stack whole, text for people). Whole stacks end at the thread's
 * first function, or where they are cut at the depth limit.
 */
#define UNWIND_END_TABLE(X)                                                                  \
	X(UNWIND_END_START, 1, "reached the thread's first function")                        \
	X(UNWIND_END_CONTEXT, 1, "reached the start of a makecontext coroutine")             \
	X(UNWIND_END_LOADER, 1, "reached the loader's start code")                           \
	X(UNWIND_END_ZERO, 1, "reached a return address of 0")                               \
	X(UNWIND_END_DEPTH, 1, "cut at the depth limit")                                     \
	X(UNWIND_END_NO_OBJECT, 0, "code in no loaded object, without frame pointer")        \
	X(UNWIND_END_NO_RULE, 0, "code without unwind table, without frame pointer")         \
	X(UNWIND_END_BAD_TABLE, 0, "unwind table damaged or of an unknown kind")             \
	X(UNWIND_END_LONG_TABLE, 0, "unwind table entry longer than the limit")              \
	X(UNWIND_END_CLOSING, 0, "rule not in the cache while a library was being unloaded") \
	X(UNWIND_END_BOUNDS, 0, "frame outside the stack")                                   \
	X(UNWIND_END_UNREADABLE, 0, "frame in memory that cannot be read")                   \
	X(UNWIND_END_ORDER, 0, "frame not above the one before, or not aligned")             \
	X(UNWIND_END_PC, 0, "return address outside user memory")                            \
	X(UNWIND_END_REGISTER, 0, "rule needs a register that is not known")                 \
	X(UNWIND_END_EXPRESSION, 0, "rule has an operator that is not supported")

enum unwind_end {
#define UNWIND_X(id, is_whole, text) id,
	UNWIND_END_TABLE(UNWIND_X)
#undef UNWIND_X
		UNWIND_END_N,
};

/*
 * Totals since start; they only grow; read and written relaxed. The normal end, UNWIND_END_START, is not
 * counted, so that threads do not fight for a cache line. Laid out as the unwind_* counters of a blackbox.
 */
struct unwind_stats {
	uint64_t misses;		 /* rules looked for in the unwind tables */
	uint64_t guesses;		 /* walks that followed a frame pointer where no rule was */
	uint64_t probed;		 /* walks on an unknown stack */
	uint64_t ends[UNWIND_END_N - 1]; /* by enum unwind_end, less one */
};

/* Counts into `stats` from now on; NULL: into a place of its own, as before the first call. Context: init. */
void unwind_count_into(struct unwind_stats *stats);

/* Where it counts; borrowed. */
const struct unwind_stats *unwind_stats_now(void);

/*
 * Writes at most `max` addresses, leaf first, start->pc included, to frames_out. Returns their number.
 * Every address is in the form of a return address: less one, it lies in the instruction that was
 * running. So exact ones (an interrupted pc, a signal trampoline) are written as pc + 1.
 * *flags_out gets FR_STACK_* bits (proto/schema.h). Makes no call but _dl_find_object and, on an unknown
 * stack, the probing system call; errno is kept.
 * Context: hook | signal.
 */
size_t unwind_walk(const struct unwind_start *start, const struct unwind_bounds *bounds,
	uintptr_t *frames_out, size_t max, unsigned *flags_out);

/* As unwind_walk(); *end_out says how the walk ended. Context: hook | signal. */
size_t unwind_walk_end(const struct unwind_start *start, const struct unwind_bounds *bounds,
	uintptr_t *frames_out, size_t max, unsigned *flags_out, enum unwind_end *end_out);

/*
 * What the result of a walk rests on, rules aside: the stack words it read that mattered, and which of the
 * start's registers. The same start (pc and sp, and those registers), the same words, bounds, depth and
 * rules (unwind_epoch) give the same walk: each step follows from what came before.
 */
#define UNWIND_TRAIL_MAX 135 /* 64 frames described by their frame pointer take 128 */
struct unwind_trail {
	uintptr_t sp; /* the start's */
	bool is_partial; /* not all of it is here, or the result may change without it: not to be relied on */
	bool has_fp, has_bx; /* the start's fp or bx mattered */
	uint8_t n;
	uint16_t words[UNWIND_TRAIL_MAX]; /* (address - sp) / 8 */
};

/*
 * As unwind_walk(), and fills *trail_out. It is partial after a walk through a signal frame, on an unknown
 * stack, or while an object was being unloaded. Costs 1 ns more a frame. Context: hook | signal.
 */
size_t unwind_walk_trail(const struct unwind_start *start, const struct unwind_bounds *bounds,
	uintptr_t *frames_out, size_t max, unsigned *flags_out, struct unwind_trail *trail_out);

/* The number of unwind_invalidate() calls. Context: hook | signal. */
uint64_t unwind_epoch_now(void);

/* The start that a signal handler's context argument describes; borrows the context. */
static inline struct unwind_start unwind_start_context(const arch_context *context)
{
	return (struct unwind_start){
		.pc = arch_context_pc(context),
		.sp = arch_context_sp(context),
		.fp = arch_context_fp(context),
		.bx = arch_context_bx(context),
		.is_call = 0,
		.context = context,
	};
}

/* The text of UNWIND_END_TABLE; static. */
const char *unwind_end_text(enum unwind_end end);

/* Forgets all cached rules: call after dlclose, and after dlopen. Context: hook. */
void unwind_invalidate(void);

/*
 * [lo, hi) belongs to an object that stays loaded for ever, as those do that were there when the program
 * started. The first UNWIND_MAX_PINS count. Context: init, one thread.
 */
#define UNWIND_MAX_PINS 256
void unwind_pin(uintptr_t lo, uintptr_t hi);

/*
 * While `is_closing` a cache miss in an object that is not pinned refuses to read unwind tables (the walk is then
 * marked broken), since the object may be unmapped under it. Nestable. Context: hook (around the real dlclose).
 */
void unwind_closing(int is_closing);

/*
 * Child of a fork: threads of the parent that were unloading something do not end it here. What they were at is not
 * mapped whole, and not called by anyone. Context: init.
 */
void unwind_after_fork(void);

/*
 * Called on the first miss in an object since start or unwind_invalidate(), so that modules.c learns of it;
 * may be NULL. False: not now, call again at the next miss. Seldom called again for the same object all the
 * same: the receiver must not mind. Context: hook | signal.
 */
struct dl_find_object;
extern bool (*unwind_on_object)(const struct dl_find_object *object);
