/* SPDX-License-Identifier: MIT */
/*
 * dlopen(): a jump, never a call, since it looks at its caller (RUNPATH, $ORIGIN, name space). The one thing it
 * does: in the child of a fork, while liblttng-ust starts anew, it answers instead of libc. liblttng-ust opens
 * itself there, only to stay loaded; another thread of the parent may have been inside the loader, whose state the child
 * then has for ever, and libc would end it ("r_state == RT_CONSISTENT").
 *
 * x86-64 only; elsewhere dlopen() is not hooked.
 */
#if defined(__x86_64__)
	.text
	.globl	dlopen
	.type	dlopen, @function
dlopen:
	.cfi_startproc
	endbr64
	cmpl	$0, fr_answers_dlopen(%rip)
	jne	2f
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
2:	leaq	fr_answers_dlopen(%rip), %rax
	ret
	.cfi_endproc
	.size	dlopen, . - dlopen
#endif
	.section	.note.GNU-stack, "", @progbits
