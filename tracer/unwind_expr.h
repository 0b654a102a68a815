/* SPDX-License-Identifier: MIT */
/* DWARF expressions of unwind rules: evaluated on the registers that are known and on stack memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracer/unwind.h"
#include "tracer/unwind_memory.h"

/* Registers of the frame at hand. Without a context only pc, sp, fp and bx are known. */
struct unwind_registers {
	uintptr_t pc, sp, fp, bx;
	const arch_context *context; /* borrowed, or NULL */
};

/* The register with this DWARF number; false: not known. Context: hook | signal. */
bool unwind_register(
	const struct unwind_registers *registers, unsigned number, uintptr_t *value_out);

/*
 * Evaluates [code, code + size). With has_initial, `initial` is on the stack first (the CFA, for
 * register rules). Returns 0 and the result, or the reason why not as a negated enum unwind_end.
 * Context: hook | signal.
 */
int unwind_expression(const uint8_t *code, size_t size, const struct unwind_registers *registers,
	struct unwind_memory *memory, bool has_initial, uintptr_t initial, uintptr_t *value_out);
