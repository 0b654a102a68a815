/* SPDX-License-Identifier: MIT */
/*
 * Filling a struct unwind_trail during a walk. Return addresses always matter; the word that fp or bx was
 * restored from matters once a rule uses the register, which most never do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tracer/unwind.h"
#include "tracer/unwind_cache.h"

/* Notes that the walk rests on the word at `address`, a multiple of 8. */
static inline void trail_note(struct unwind_trail *trail, uintptr_t address)
{
	uintptr_t word = (address - trail->sp) >> 3;

	if (word > UINT16_MAX || trail->n == UNWIND_TRAIL_MAX)
		trail->is_partial = true;
	else
		trail->words[trail->n++] = (uint16_t)word;
}

/* Where the value of a register came from, other than a stack word not noted yet (then: its address). */
#define FROM_START 0u
#define FROM_NOTED 1u

/* The walk rests on a register: notes where it came from, once. */
static inline void trail_rest_on(struct unwind_trail *trail, uintptr_t *from, bool *is_start)
{
	if (*from == FROM_START)
		*is_start = true;
	else if (*from != FROM_NOTED)
		trail_note(trail, *from);
	*from = FROM_NOTED;
}

/* Notes a step by a cached rule to the frame at `cfa`. */
static inline void trail_step(struct unwind_trail *trail, uint64_t word, uintptr_t cfa,
	uintptr_t *fp_at, uintptr_t *bx_at)
{
	if (cache_kind(word) == CACHE_FP)
		trail_rest_on(trail, fp_at, &trail->has_fp);
	else if (cache_kind(word) == CACHE_BX)
		trail_rest_on(trail, bx_at, &trail->has_bx);
	trail_note(trail, cache_ra_slot(word, cfa));
	if (cache_fp_slot(word))
		*fp_at = cfa - cache_fp_slot(word);
	if (cache_bx_slot(word))
		*bx_at = cfa - cache_bx_slot(word);
}
