/* SPDX-License-Identifier: MIT */
/*
 * A leak of known size and garbage of known size:
 *
 *   known_leak     1,000 blocks of 40,000 bytes, kept until the end
 *   known_garbage  2,000 blocks of 30,000 bytes, each freed at once
 *   known_grow       100 reallocs of one block, from 50,001 to 50,100 bytes; freed at the end
 */
#include "cases.h"

static void *volatile kept[1000];
static void *volatile block;

__attribute__((noinline)) static void known_leak(void)
{
	for (int i = 0; i < 1000; i++)
		MUST((kept[i] = malloc(40000)));
}

__attribute__((noinline)) static void known_garbage(void)
{
	for (int i = 0; i < 2000; i++) {
		MUST((block = calloc(3, 10000)));
		free(block);
	}
}

__attribute__((noinline)) static void known_grow(void)
{
	block = NULL;
	for (size_t i = 1; i <= 100; i++)
		MUST((block = realloc(block, 50000 + i)));
	free(block);
}

int main(void)
{
	known_leak();
	known_garbage();
	known_grow();
	return 0;
}
