/* SPDX-License-Identifier: MIT */
/* The compiled sched.bpf.c, as a part of the recorder. */
	.section .rodata
	.balign 8
	.globl sched_object
	.hidden sched_object
sched_object:
	.incbin "sched.bpf.o"
	.globl sched_object_end
	.hidden sched_object_end
sched_object_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
