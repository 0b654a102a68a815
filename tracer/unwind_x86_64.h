/* SPDX-License-Identifier: MIT */
/* x86-64's part of the stack walk: registers, signal frames, PLT entries, probing. Include unwind_arch.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ucontext.h>

/* DWARF register numbers that the walk carries from frame to frame. */
#define ARCH_REG_BX 3
#define ARCH_REG_FP 6
#define ARCH_REG_SP 7
#define ARCH_REG_RA 16

#define ARCH_ADDRESS_BITS 47 /* user addresses with 4-level page tables */
#define ARCH_RED_ZONE 128    /* bytes below sp that the ABI keeps from signal frames */
#define ARCH_PAGE 4096u

typedef ucontext_t arch_context;

static inline uintptr_t arch_context_pc(const arch_context *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

static inline uintptr_t arch_context_sp(const arch_context *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
}

static inline uintptr_t arch_context_fp(const arch_context *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
}

static inline uintptr_t arch_context_bx(const arch_context *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RBX];
}

/* The register with this DWARF number; false: no such register. */
static inline bool arch_context_register(
	const arch_context *context, unsigned number, uintptr_t *value_out)
{
	static const signed char greg_of[] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
		REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14,
		REG_R15, REG_RIP };

	if (number >= sizeof(greg_of))
		return false;
	*value_out = (uintptr_t)context->uc_mcontext.gregs[(int)greg_of[number]];
	return true;
}

/*
 * Did a system call, just over, say EINTR to the code that was interrupted? Then it is behind its `syscall`.
 * That instruction lies in the same page as the pc, or the answer is no.
 */
static inline bool arch_context_has_eintr(const arch_context *context)
{
	uintptr_t pc = arch_context_pc(context);

	return context->uc_mcontext.gregs[REG_RAX] == -4 && (pc & (ARCH_PAGE - 1)) >= 2 &&
	       ((const volatile uint8_t *)pc)[-2] == 0x0f &&
	       ((const volatile uint8_t *)pc)[-1] == 0x05;
}

/* All registers, in the kernel's order, for a record of a crash. Returns their number, at most 34. */
static inline uint32_t arch_context_save(const arch_context *context, uint64_t *out)
{
	uint32_t i;

	for (i = 0; i < NGREG; i++)
		out[i] = (uint64_t)context->uc_mcontext.gregs[i];
	return i;
}

#define ARCH_SYSCALL_SIZE 2
static inline bool arch_is_syscall(const uint8_t *code)
{
	return code[0] == 0x0f && code[1] == 0x05;
}

/* Where the context lies once a handler has returned into the trampoline, and how much of it we read. */
static inline uintptr_t arch_signal_context(uintptr_t sp)
{
	return sp;
}
#define ARCH_CONTEXT_SIZE (offsetof(ucontext_t, uc_mcontext) + sizeof(gregset_t))

/* Is this `mov $15, %rax; syscall`, the trampoline of a handler? For code without unwind tables. */
#define ARCH_TRAMPOLINE_SIZE 9
static inline bool arch_is_trampoline(const uint8_t *code)
{
	static const uint8_t want[ARCH_TRAMPOLINE_SIZE] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f,
		0x05 };

	for (unsigned i = 0; i < ARCH_TRAMPOLINE_SIZE; i++)
		if (code[i] != want[i])
			return false;
	return true;
}

/*
 * The linker describes all PLT entries by one expression: CFA = rsp + 8 + ((rip & 15) >= N) * 8. As
 * a cached rule belongs to one pc, it is a plain offset there: its bytes, or 0 for another expression.
 */
static inline int arch_plt_offset(const uint8_t *expression, size_t size, uintptr_t pc)
{
	if (size != 11 || expression[0] != 0x77 || expression[1] != 8 || expression[2] != 0x80 ||
		expression[3] != 0 || expression[4] != 0x3f || expression[5] != 0x1a ||
		expression[6] < 0x30 || expression[6] > 0x3f || expression[7] != 0x2a ||
		expression[8] != 0x33 || expression[9] != 0x24 || expression[10] != 0x22)
		return 0;
	return 8 + ((pc & 15) >= expression[6] - 0x30u) * 8;
}

/* A call pushes its return address: no register holds it, and its slot is the same in all frames. */
#define ARCH_HAS_LINK 0
#define ARCH_FP_SLOT_BITS 5 /* of the 10 that a cache word has for saved registers */

static inline uintptr_t arch_ra_slot(uintptr_t cfa, uintptr_t fp_slot)
{
	return cfa - 8;
}

/* Does a rule with the return address at CFA + value fit in a cache word? */
static inline bool arch_ra_fits(int32_t value, unsigned fp_slot)
{
	return value == -8;
}

/* A return address as it was saved, without what is not address. */
static inline uintptr_t arch_address(uintptr_t saved)
{
	return saved;
}

/* May code outside all objects be looked at for a trampoline? The kernel's is in the vdso, or libc's. */
#define ARCH_HAS_LOOSE_TRAMPOLINE 0

/*
 * Can the 8 bytes at `address` be read? rt_sigprocmask reads its mask first and only then refuses
 * the invalid `how` (-EINVAL); memory that is not there is -EFAULT. Changes nothing, not even errno.
 */
static inline bool arch_probe(uintptr_t address)
{
	register long size __asm__("r10") = 8;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(14L), "D"(0x7fffffffL), "S"(address), "d"(0L), "r"(size)
			 : "rcx", "r11", "memory");
	return result == -22;
}
