/* SPDX-License-Identifier: MIT */
/* The file between the sampler, which runs inside a program, and the check, which runs beside it. Host byte order. */
#pragma once

#include <stdint.h>

#define AGREE_MAGIC 0x3165657267614bull
#define AGREE_FILE_SIZE (2ull << 30) /* sparse */
#define AGREE_STACK_COPY (64u << 10)
#define AGREE_RED_ZONE 128u /* the copy begins so far below sp */
#define AGREE_MAX_FRAMES 512

struct agree_header {
	uint64_t magic;
	uint64_t used;	 /* bytes taken, this header included; samples lie one after the other */
	uint64_t n_lost; /* samples for which there was no room */
	uint32_t n_samples, n_wanted;
};

/* Followed by n_frames addresses and n_stack bytes of stack; size_total is a multiple of 8. */
struct agree_sample {
	uint32_t size_total; /* 0: not complete */
	uint32_t tid;
	uint64_t registers[17]; /* by DWARF number; 16 is the pc */
	uint32_t n_frames, n_stack;
	uint16_t flags, end;
	uint32_t is_cut; /* the stack is deeper than the copy */
	uint64_t walk_ns;
};
