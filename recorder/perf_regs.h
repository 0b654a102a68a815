/* SPDX-License-Identifier: MIT */
/* The registers that a sample holds, and how they become what the walk and DWARF know. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/perf_event.h>

#include "tracer/unwind_arch.h"

/* asm/perf_regs.h numbers them; a sample has those of the mask, in order of number. */
#if defined(__x86_64__)
#include <asm/perf_regs.h>
/* All but flags and segments. */
#define PERF_REGS_MASK (0x1ffull | 0xffull << PERF_REG_X86_R8)
#define PERF_REGS_N 17u
#elif defined(__aarch64__)
#include <asm/perf_regs.h>
#define PERF_REGS_MASK ((1ull << PERF_REG_ARM64_MAX) - 1)
#define PERF_REGS_N 33u
#endif

/* `values` are PERF_REGS_N registers as in a sample. */
static inline void perf_regs_to_context(const uint64_t *values, arch_context *context_out)
{
	memset(context_out, 0, sizeof(*context_out));
#if defined(__x86_64__)
	static const unsigned char greg_of[PERF_REGS_N] = { REG_RAX, REG_RBX, REG_RCX, REG_RDX,
		REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_RIP, REG_R8, REG_R9, REG_R10, REG_R11,
		REG_R12, REG_R13, REG_R14, REG_R15 };

	for (unsigned i = 0; i < PERF_REGS_N; i++)
		context_out->uc_mcontext.gregs[greg_of[i]] = (greg_t)values[i];
#else
	for (unsigned i = 0; i < 31; i++)
		context_out->uc_mcontext.regs[i] = values[i];
	context_out->uc_mcontext.sp = values[31];
	context_out->uc_mcontext.pc = values[32];
#endif
}
