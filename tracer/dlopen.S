/* SPDX-License-Identifier: MIT */
/*
 * dlopen(): a jump, never a call, since it looks at its caller (RUNPATH, $ORIGIN, name space). The one thing it
 * does: in the child of a fork, while liblttng-ust starts anew, fr_answer_dlopen() (hook_dl.c) answers instead of libc.
 */
#if defined(__x86_64__)
	.text
	.globl	dlopen
	.type	dlopen, @function
dlopen:
	.cfi_startproc
	endbr64
	cmpl	$0, fr_answers_dlopen(%rip)
	jne	fr_answer_dlopen
	movq	fr_real_dlopen(%rip), %rax
	testq	%rax, %rax
	jz	1f
	jmp	*%rax
1:	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	fr_find_dlopen
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
	.cfi_endproc
	.size	dlopen, . - dlopen

#elif defined(__aarch64__)
	.text
	.globl	dlopen
	.type	dlopen, %function
dlopen:
	.cfi_startproc
	hint	#34			/* bti c */
	adrp	x16, fr_answers_dlopen
	ldr	w16, [x16, #:lo12:fr_answers_dlopen]
	cbnz	w16, 2f
	adrp	x16, fr_real_dlopen
	ldr	x16, [x16, #:lo12:fr_real_dlopen]
	cbz	x16, 1f
	br	x16			/* by x16: a jump that a "bti c" accepts */
1:	stp	x29, x30, [sp, #-32]!
	.cfi_adjust_cfa_offset 32
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp	x0, x1, [sp, #16]
	mov	x29, sp
	bl	fr_find_dlopen
	mov	x16, x0
	ldp	x0, x1, [sp, #16]
	ldp	x29, x30, [sp], #32
	.cfi_restore x29
	.cfi_restore x30
	.cfi_adjust_cfa_offset -32
	br	x16
2:	b	fr_answer_dlopen
	.cfi_endproc
	.size	dlopen, . - dlopen
#endif
	.section	.note.GNU-stack, "", %progbits
