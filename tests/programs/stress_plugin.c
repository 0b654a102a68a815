/* SPDX-License-Identifier: MIT */
/*
 * Loaded and unloaded by stress_unwind, in two variants whose functions lie at other offsets and have frames of
 * other sizes. Each makes calls of its own, so that a trace shows whether names are those of the right variant.
 */
#include <stddef.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), noinline))

#if STRESS_VARIANT == 'a'
#define NAME(x) stress_a_##x
#define CALL(fd, p, n) pread(fd, p, n, 0)
#define FRAME 100
#else
#define NAME(x) stress_b_##x
#define CALL(fd, p, n) pwrite(fd, p, n, 0)
#define FRAME 3000
/* Moves what follows. */
EXPORT int NAME(padding)(int n);
EXPORT int NAME(padding)(int n)
{
	volatile int sum = 0;

	for (int i = 0; i < n; i++)
		sum += i * n ^ sum;
	return sum;
}
#endif

EXPORT long NAME(leaf)(int fd, char *room, size_t size);
EXPORT long NAME(middle)(int fd, int depth);
__attribute__((visibility("default"))) long stress_entry(int fd, int depth);

EXPORT long NAME(leaf)(int fd, char *room, size_t size)
{
	long n = CALL(fd, room, size);

	room[0] ^= (char)n;
	return n;
}

EXPORT long NAME(middle)(int fd, int depth)
{
	char room[FRAME] = { 0 };
	long n = depth > 0 ? NAME(middle)(fd, depth - 1) : 0;

	return n + NAME(leaf)(fd, room, 8) + room[1];
}

long stress_entry(int fd, int depth)
{
	long n = NAME(middle)(fd, depth);

	__asm__ volatile("" ::: "memory");
	return n;
}
