/* SPDX-License-Identifier: MIT */
/* Reads of stack memory: bounded, aligned, and probed page by page where the stack is unknown. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tracer/unwind_arch.h"
#include "tracer/unwind_trail.h"

/*
 * Memory a walk may read: [lo, hi). On an unknown stack it is what was probed so far, and moves. Where it is a
 * copy of another process's stack, `shift` added to an address leads into the copy; else 0.
 */
struct unwind_memory {
	uintptr_t lo, hi, shift;
	bool is_probed;		    /* the stack is unknown: probe what lies outside */
	struct unwind_trail *trail; /* borrowed: where reads are noted; NULL nowhere */
};

/*
 * Makes [address, address + 8) readable memory where that can be found out; false: it must not be read.
 * The range grows by the page when it adjoins, else moves there: a walk goes up and seldom comes back.
 */
static inline bool unwind_memory_has(struct unwind_memory *memory, uintptr_t address)
{
	uintptr_t page = address & ~(uintptr_t)(ARCH_PAGE - 1);

	if (address & 7)
		return false;
	if (address >= memory->lo && address < memory->hi && memory->hi - address >= 8)
		return true;
	if (!memory->is_probed || address < ARCH_PAGE || address >> ARCH_ADDRESS_BITS)
		return false;
	if (!arch_probe(address))
		return false;
	if (page == memory->hi) {
		memory->hi += ARCH_PAGE;
	} else if (page + ARCH_PAGE == memory->lo) {
		memory->lo = page;
	} else {
		memory->lo = page;
		memory->hi = page + ARCH_PAGE;
	}
	return true;
}

/* The word at `address`, which unwind_memory_has() allowed. */
UNWIND_RAW static inline uintptr_t unwind_memory_load(uintptr_t address)
{
	return *(const volatile uintptr_t *)address;
}

/* Both in one, and noted; false: not readable, *value_out untouched. */
UNWIND_RAW static inline bool unwind_memory_read(
	struct unwind_memory *memory, uintptr_t address, uintptr_t *value_out)
{
	if (!unwind_memory_has(memory, address))
		return false;
	if (memory->trail)
		trail_note(memory->trail, address);
	/* Address 0 is in no bounds. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	*value_out = *(const volatile uintptr_t *)(address + memory->shift);
	return true;
}
