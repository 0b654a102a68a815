/* SPDX-License-Identifier: MIT */
/*
 * vfork(): the child runs on its parent's memory and stack until it execs, so no C frame of ours may be left
 * between the program and the real function. The return address is kept in the thread's block, where the
 * child's calls do not overwrite it, and `in_vfork` makes all hooks pass through while the child runs: it has the
 * parent's thread pointer, but is another process. The parent, which waits meanwhile, takes the mark off.
 * A vfork child that vforks again is beyond this.
 */
#include "tracer/offsets.h"

#if defined(__x86_64__)
	.text
	.globl	vfork
	.type	vfork, @function
vfork:
	.cfi_startproc
	endbr64
	movq	fr_real_vfork(%rip), %rax
	testq	%rax, %rax
	jnz	1f
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	fr_find_vfork
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
1:	movq	fr_self@GOTTPOFF(%rip), %rdx
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	movq	%rcx, %fs:FR_OFFSET_VFORK_RETURN(%rdx)
	movb	$1, %fs:FR_OFFSET_IN_VFORK(%rdx)
	call	*%rax
	movq	fr_self@GOTTPOFF(%rip), %rdx
	movq	%fs:FR_OFFSET_VFORK_RETURN(%rdx), %rcx
	testl	%eax, %eax
	jz	2f
	movb	$0, %fs:FR_OFFSET_IN_VFORK(%rdx)
2:	jmp	*%rcx
	.cfi_endproc
	.size	vfork, . - vfork

#elif defined(__aarch64__)
	.text
	.globl	vfork
	.type	vfork, %function
vfork:
	.cfi_startproc
	hint	#34			/* bti c */
	adrp	x16, fr_real_vfork
	ldr	x16, [x16, #:lo12:fr_real_vfork]
	cbnz	x16, 1f
	stp	x29, x30, [sp, #-16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	bl	fr_find_vfork
	mov	x16, x0
	ldp	x29, x30, [sp], #16
	.cfi_restore x29
	.cfi_restore x30
	.cfi_adjust_cfa_offset -16
1:	mrs	x10, tpidr_el0
	adrp	x11, :gottprel:fr_self
	ldr	x11, [x11, #:gottprel_lo12:fr_self]
	add	x10, x10, x11
	mov	x9, x30
	.cfi_register x30, x9
	str	x30, [x10, #FR_OFFSET_VFORK_RETURN]
	mov	w11, #1
	strb	w11, [x10, #FR_OFFSET_IN_VFORK]
	blr	x16
	mrs	x10, tpidr_el0
	adrp	x11, :gottprel:fr_self
	ldr	x11, [x11, #:gottprel_lo12:fr_self]
	add	x10, x10, x11
	ldr	x30, [x10, #FR_OFFSET_VFORK_RETURN]
	.cfi_restore x30
	cbz	w0, 2f
	strb	wzr, [x10, #FR_OFFSET_IN_VFORK]
2:	ret
	.cfi_endproc
	.size	vfork, . - vfork
#endif
	.section	.note.GNU-stack, "", %progbits
