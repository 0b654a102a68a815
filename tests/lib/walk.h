/* SPDX-License-Identifier: MIT */
/*
 * Walks compared frame by frame with libgcc's unwinder, which has its own reader of the tables. For
 * tests of the stack walk only; every function is called on the stack that it looks at.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

#include "tracer/unwind.h"

#define WALK_MAX 700

struct walk_result {
	uintptr_t addr[WALK_MAX];
	size_t n;
	unsigned flags;
	enum unwind_end end;
};

static _Unwind_Reason_Code walk_reference_frame(struct _Unwind_Context *context, void *argument)
{
	struct walk_result *result = argument;
	int is_exact = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &is_exact);

	if (result->n == WALK_MAX)
		return _URC_END_OF_STACK;
	if (pc)
		result->addr[result->n++] = pc + (is_exact != 0);
	return _URC_NO_REASON;
}

/* What libgcc says, from the caller of this function (or deeper) outwards. */
static inline void walk_reference(struct walk_result *result)
{
	result->n = 0;
	_Unwind_Backtrace(walk_reference_frame, result);
}

/* The bounds of the calling thread's own stack, as pthread knows them. */
static inline struct unwind_bounds walk_own_bounds(void)
{
	struct unwind_bounds bounds = { 0 };
	pthread_attr_t attr;
	size_t size;
	void *lo;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return bounds;
	if (pthread_attr_getstack(&attr, &lo, &size) == 0)
		bounds = (struct unwind_bounds){ .lo = (uintptr_t)lo, .hi = (uintptr_t)lo + size };
	pthread_attr_destroy(&attr);
	return bounds;
}

/* The walk writes a trampoline's and a coroutine start's address as an exact one, libgcc as a return address. */
static inline int walk_is_same_frame(const struct walk_result *walk, size_t i, uintptr_t reference)
{
	static const uint8_t trampoline[] = { 0x48, 0xc7, 0xc0, 0x0f };

	if (walk->addr[i] == reference)
		return 1;
	if (walk->addr[i] != reference + 1)
		return 0;
	return (i + 1 == walk->n && walk->end == UNWIND_END_CONTEXT) ||
	       memcmp((const void *)reference, trampoline, sizeof(trampoline)) == 0;
}

static inline void walk_print(const struct walk_result *walk, const struct walk_result *reference)
{
	printf("# flags %x: %s\n", walk->flags, unwind_end_text(walk->end));
	for (size_t i = 0; i < walk->n || i < reference->n; i++)
		printf("# %3zu %14jx %14jx\n", i, i < walk->n ? (uintmax_t)walk->addr[i] : 0,
			i < reference->n ? (uintmax_t)reference->addr[i] : 0);
}

/* Whether the whole walk is the outer part of the reference; prints the first three that are not. */
static inline int walk_agrees(const struct walk_result *walk, const struct walk_result *reference)
{
	static unsigned n_printed;
	size_t skip = 0;
	int is_same = walk->n > 0;

	while (skip < reference->n && !walk_is_same_frame(walk, 0, reference->addr[skip]))
		skip++;
	if (reference->n - skip != walk->n)
		is_same = 0;
	for (size_t i = 0; is_same && i < walk->n; i++)
		is_same = walk_is_same_frame(walk, i, reference->addr[skip + i]);
	if (!is_same && n_printed++ < 3)
		walk_print(walk, reference);
	return is_same;
}

static inline void walk_from(const struct unwind_start *start, const struct unwind_bounds *bounds,
	size_t max, struct walk_result *result)
{
	result->n = unwind_walk_end(start, bounds, result->addr, max < WALK_MAX ? max : WALK_MAX,
		&result->flags, &result->end);
}

/* The start of a walk in a hook's caller; for use in the hook itself. */
#define WALK_START_IN_CALLER()                                         \
	({                                                             \
		const uintptr_t *walk_fp = __builtin_frame_address(0); \
		(struct unwind_start){                                 \
			.pc = walk_fp[1],                              \
			.sp = (uintptr_t)(walk_fp + 2),                \
			.fp = walk_fp[0],                              \
			.is_call = 1,                                  \
		};                                                     \
	})
