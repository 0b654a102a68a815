/* SPDX-License-Identifier: MIT */
/*
 * Brings its own malloc, a bump allocator, as static allocators and some servers do. Each block must
 * come from it and go back to it: a foreign pointer in free() ends the program.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cases.h"

#define ARENA_BYTES (64u << 20)

static _Alignas(16) char arena[ARENA_BYTES];
static _Atomic size_t arena_used;
static _Atomic unsigned long n_mallocs, n_frees, n_foreign;

static bool is_ours(const void *block)
{
	return (const char *)block >= arena && (const char *)block < arena + ARENA_BYTES;
}

static void *arena_take(size_t size, size_t align)
{
	size_t bytes = (size + 16 + align + 15) & ~(size_t)15;
	size_t at = arena_used;
	uintptr_t start;

	do {
		if (size > ARENA_BYTES || at + bytes > ARENA_BYTES) {
			errno = ENOMEM;
			return NULL;
		}
	} while (!__atomic_compare_exchange_n(
		(size_t *)&arena_used, &at, at + bytes, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	n_mallocs++;
	start = ((uintptr_t)arena + at + 16 + align - 1) & ~(uintptr_t)(align - 1);
	((size_t *)start)[-1] = size;
	return (void *)start;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	return arena_take(size, 16);
}

__attribute__((visibility("default"))) void free(void *block)
{
	if (!block)
		return;
	n_frees++;
	n_foreign += !is_ours(block);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	return arena_take(n * size, 16); /* never reused, so still zero */
}

__attribute__((visibility("default"))) void *realloc(void *block, size_t size)
{
	void *larger = arena_take(size, 16);

	if (larger && block) {
		size_t old = is_ours(block) ? ((size_t *)block)[-1] : 0;

		n_foreign += !is_ours(block);
		memcpy(larger, block, old < size ? old : size);
	}
	return larger;
}

__attribute__((visibility("default"))) void *memalign(size_t align, size_t size)
{
	return arena_take(size, align < 16 ? 16 : align);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

__attribute__((visibility("default"))) int posix_memalign(void **block, size_t align, size_t size)
{
	*block = memalign(align, size);
	return *block ? 0 : ENOMEM;
}

/* The answer must be that of our header, not libc's. */
__attribute__((visibility("default"))) size_t malloc_usable_size(void *block)
{
	return block ? ((size_t *)block)[-1] : 0;
}

static void *churn(void *arg)
{
	for (int i = 0; i < 5000; i++) {
		char *text = strdup("some text");

		text = realloc(text, 200);
		MUST(is_ours(text) && malloc_usable_size(text) == 200);
		free(text);
	}
	return NULL;
}

static int run_own(void)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		MUST(pthread_create(&threads[i], NULL, churn, NULL) == 0);
	for (int i = 0; i < 3; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	printf("foreign blocks: %lu\n", n_foreign);
	return 0;
}

static int run_fork(void)
{
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0) {
		run_own();
		exit(3);
	}
	report_child("child", pid);
	return 0;
}

static const struct test_case cases[] = {
	{ "own", run_own },
	{ "fork", run_fork },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
