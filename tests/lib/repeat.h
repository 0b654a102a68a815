/* SPDX-License-Identifier: MIT */
/*
 * For tests of the repeated-stack check: captures as the tracer makes them, with a fresh walk after each hit;
 * and callers that reach a capture. Include in one file of a test.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "proto/schema.h"
#include "proto/stack.h"
#include "tracer/stack_repeat.h"
#include "walk.h"

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif
/* Keeps a call from being a tail call, and its result from being known. */
#define AFTER(call)                                \
	do {                                       \
		call;                              \
		__asm__ volatile("" ::: "memory"); \
	} while (0)

static struct stack_repeat *repeat; /* owned mapping */
static struct unwind_bounds bounds;
static unsigned n_hits, n_misses, n_kept, n_wrong;
static uintptr_t last_sp;
static uint32_t last_id;
static size_t depth = 64;

/* Ids as the stack table gives them: the same for the same frames and flags. */
static uint32_t intern(const uintptr_t *frames, size_t n, unsigned flags)
{
	static uint64_t known[1u << 18];
	uint64_t hash = stack_record_hash((const uint64_t *)frames, n, flags);
	unsigned i = (unsigned)hash % (1u << 18);

	while (known[i] && known[i] != hash)
		i = (i + 1) % (1u << 18);
	known[i] = hash;
	return i + FR_STACK_FIRST_ID;
}

static uint32_t walk_fresh(const struct unwind_start *start, unsigned *flags)
{
	uintptr_t frames[512];
	size_t n = unwind_walk(start, &bounds, frames, depth, flags);

	return intern(frames, n, *flags);
}

/* What fr_capture() does, and a walk after each hit. */
static void capture_from(const struct unwind_start *start, enum fr_repeat kind)
{
	struct repeat_query query;
	struct unwind_trail trail;
	unsigned flags = 0, fresh_flags = 0;
	uintptr_t frames[512];
	size_t n;
	uint32_t id = stack_repeat_find(repeat, kind, start, &bounds, depth, &flags, &query);

	last_sp = start->sp;
	if (id != FR_STACK_NONE) {
		n_hits++;
		n_wrong += walk_fresh(start, &fresh_flags) != id || flags != fresh_flags;
	} else {
		n_misses++;
		n = unwind_walk_trail(start, &bounds, frames, depth, &flags, &trail);
		id = intern(frames, n, flags);
		n_kept += query.repeat && !trail.is_partial;
		stack_repeat_keep(&query, &trail, id, flags);
	}
	last_id = id;
}

static NOINLINE void capture(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();

	AFTER(capture_from(&start, FR_REPEAT_CALL));
}

static void reset(void)
{
	stack_repeat_drop(repeat);
	n_hits = n_misses = n_kept = n_wrong = 0;
	depth = 64;
}

/* Maps the records and finds the stack's bounds; false: no memory. */
static bool repeat_begin(void)
{
	repeat = mmap(
		NULL, sizeof(*repeat), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bounds = walk_own_bounds();
	return repeat != MAP_FAILED;
}

static NOINLINE void leaf(void)
{
	AFTER(capture());
}

static NOINLINE void caller_a(void)
{
	AFTER(leaf());
}

/* More ways to one place than a set has room for. */
static NOINLINE void fork_in_the_road(unsigned path, unsigned n)
{
	if (n == 0)
		AFTER(capture());
	else if (path & 1)
		AFTER(fork_in_the_road(path >> 1, n - 1));
	else
		AFTER(fork_in_the_road(path >> 1, n - 1));
	__asm__ volatile("" ::: "memory");
}

/* Calls `fn` with a value in rbp that no rule looks at. */
void with_rbp(void (*fn)(void), uintptr_t value);
__asm__(".text\n"
	".type with_rbp, @function\n"
	"with_rbp:\n"
	".cfi_startproc\n"
	"push %rbp\n"
	".cfi_def_cfa_offset 16\n"
	".cfi_offset %rbp, -16\n"
	"mov %rsi, %rbp\n"
	"call *%rdi\n"
	"pop %rbp\n"
	".cfi_def_cfa_offset 8\n"
	".cfi_restore %rbp\n"
	"ret\n"
	".cfi_endproc\n"
	".size with_rbp, . - with_rbp\n");
