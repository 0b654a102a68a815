/* SPDX-License-Identifier: MIT */
/*
 * aarch64's part of the stack walk: registers, signal frames, probing. Include unwind_arch.h. A call leaves its
 * return address in x30, which is saved beside x29 by code that calls; the walk's bx is x30, known in the
 * first frame and after a signal only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ucontext.h>

/* DWARF register numbers that the walk carries from frame to frame. */
#define ARCH_REG_BX 30
#define ARCH_REG_FP 29
#define ARCH_REG_SP 31
#define ARCH_REG_RA 32 /* the pc, as libgcc numbers it */

#define ARCH_ADDRESS_BITS 48
#define ARCH_RED_ZONE 0
#define ARCH_PAGE 4096u

typedef ucontext_t arch_context;

static inline uintptr_t arch_context_pc(const arch_context *context)
{
	return (uintptr_t)context->uc_mcontext.pc;
}

static inline uintptr_t arch_context_sp(const arch_context *context)
{
	return (uintptr_t)context->uc_mcontext.sp;
}

static inline uintptr_t arch_context_fp(const arch_context *context)
{
	return (uintptr_t)context->uc_mcontext.regs[29];
}

/* Pointer authentication puts a code into the bits above the address. */
static inline uintptr_t arch_address(uintptr_t saved)
{
	return saved & ((1ull << ARCH_ADDRESS_BITS) - 1);
}

static inline uintptr_t arch_context_bx(const arch_context *context)
{
	return arch_address((uintptr_t)context->uc_mcontext.regs[30]);
}

/* The register with this DWARF number; false: no such register. */
static inline bool arch_context_register(
	const arch_context *context, unsigned number, uintptr_t *value_out)
{
	if (number > 30)
		return false;
	*value_out = (uintptr_t)context->uc_mcontext.regs[number];
	return true;
}

/* Did a system call, just over, say EINTR to the code that was interrupted? Then it is behind its `svc #0`. */
static inline bool arch_context_has_eintr(const arch_context *context)
{
	uintptr_t pc = arch_context_pc(context);

	return (int64_t)context->uc_mcontext.regs[0] == -4 && (pc & (ARCH_PAGE - 1)) >= 4 &&
	       ((const volatile uint32_t *)pc)[-1] == 0xd4000001;
}

/* All registers for a record of a crash: x0 to x30, sp, pc, pstate. Returns their number, at most 34. */
static inline uint32_t arch_context_save(const arch_context *context, uint64_t *out)
{
	uint32_t i;

	for (i = 0; i < 31; i++)
		out[i] = context->uc_mcontext.regs[i];
	out[i++] = context->uc_mcontext.sp;
	out[i++] = context->uc_mcontext.pc;
	out[i++] = context->uc_mcontext.pstate;
	return i;
}

#define ARCH_SYSCALL_SIZE 4
static inline bool arch_is_syscall(const uint8_t *code)
{
	return code[0] == 0x01 && code[1] == 0 && code[2] == 0 && code[3] == 0xd4;
}

/* Where the context lies once a handler has returned into the trampoline: after the siginfo. */
static inline uintptr_t arch_signal_context(uintptr_t sp)
{
	return sp + 128;
}
#define ARCH_CONTEXT_SIZE (offsetof(ucontext_t, uc_mcontext.pc) + 8)

/* Is this `mov x8, #139; svc #0`, the trampoline of a handler? For code without unwind tables. */
#define ARCH_TRAMPOLINE_SIZE 8
static inline bool arch_is_trampoline(const uint8_t *code)
{
	static const uint8_t want[ARCH_TRAMPOLINE_SIZE] = { 0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0,
		0xd4 };

	for (unsigned i = 0; i < ARCH_TRAMPOLINE_SIZE; i++)
		if (code[i] != want[i])
			return false;
	return true;
}

/* No linker describes PLT entries here. */
static inline int arch_plt_offset(const uint8_t *expression, size_t size, uintptr_t pc)
{
	return 0;
}

/*
 * x29 and x30 are saved as a pair nearly always, and at the bottom of the frame: a cache word has one
 * slot, with more bits. What is not a pair is interpreted anew.
 */
#define ARCH_HAS_LINK 1
#define ARCH_FP_SLOT_BITS 10

static inline uintptr_t arch_ra_slot(uintptr_t cfa, uintptr_t fp_slot)
{
	return cfa - fp_slot + 8;
}

static inline bool arch_ra_fits(int32_t value, unsigned fp_slot)
{
	return fp_slot > 8 && value == 8 - (int32_t)fp_slot;
}

/* Emulators put the trampoline into a page that no object has. */
#define ARCH_HAS_LOOSE_TRAMPOLINE 1

/* As on x86-64: rt_sigprocmask reads its mask first and only then refuses the invalid `how`. */
static inline bool arch_probe(uintptr_t address)
{
	register long number __asm__("x8") = 135;
	register long how __asm__("x0") = 0x7fffffff;
	register uintptr_t mask __asm__("x1") = address;
	register long old __asm__("x2") = 0;
	register long size __asm__("x3") = 8;

	__asm__ volatile("svc #0"
			 : "+r"(how)
			 : "r"(number), "r"(mask), "r"(old), "r"(size)
			 : "memory");
	return how == -22;
}
