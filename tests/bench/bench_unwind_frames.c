/* SPDX-License-Identifier: MIT */
/* Frames to walk. Compiled twice, with and without frame pointers: FRAMES_RUN names the entry. */
#include "bench_unwind.h"

#define FRAME(name, size)                                                                       \
	__attribute__((noinline)) static int name(unsigned path, int depth, void (*leaf)(void)) \
	{                                                                                       \
		volatile char data[size];                                                       \
                                                                                                \
		data[0] = (char)depth;                                                          \
		descend(path, depth, leaf);                                                     \
		return data[0];                                                                 \
	}

static void descend(unsigned path, int depth, void (*leaf)(void));

FRAME(frame0, 8)
FRAME(frame1, 24)
FRAME(frame2, 56)
FRAME(frame3, 200)

/* Which frames follow each other depends on the bits of `path`, so that different paths are different stacks. */
static inline __attribute__((always_inline)) void descend(
	unsigned path, int depth, void (*leaf)(void))
{
	unsigned next = (path >> depth % 6 & 1) + 2 * (depth & 1);

	if (depth == 1)
		leaf();
	else if (next == 0)
		frame0(path, depth - 1, leaf);
	else if (next == 1)
		frame1(path, depth - 1, leaf);
	else if (next == 2)
		frame2(path, depth - 1, leaf);
	else
		frame3(path, depth - 1, leaf);
	__asm__ volatile("" ::: "memory"); /* not a tail call */
}

void FRAMES_RUN(unsigned path, int depth, void (*leaf)(void))
{
	descend(path, depth, leaf);
}
