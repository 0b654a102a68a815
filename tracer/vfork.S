/* SPDX-License-Identifier: MIT */
/*
 * vfork(): the child runs on its parent's memory and stack until it execs, so no C frame of ours may be left
 * between the program and the real function. The return address is kept in the thread's block, where the
 * child's calls do not overwrite it, and `in_vfork` makes all hooks pass through while the child runs: it has the
 * parent's thread pointer, but is another process. The parent, which waits meanwhile, takes the mark off.
 *
 * x86-64 only; elsewhere vfork() is not hooked. A vfork child that vforks again is beyond this.
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
#endif
	.section	.note.GNU-stack, "", @progbits
