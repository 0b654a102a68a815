/* SPDX-License-Identifier: MIT */
/*
 * The malloc family. What is not sampled (alloc.h) costs one thread-local subtraction; a free costs one load from
 * the filter of live.c. Pointers are passed on as the real allocator made them, so malloc_usable_size() and mixed
 * allocators keep working.
 *
 * C++ new and delete come through here from libstdc++. A program with an allocator of its own inside the
 * executable binds to that one, and our malloc is never called.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tracer/alloc.h"

/*
 * Memory for the calls that arrive while dlsym() is looking for the real functions: it is never given back.
 * dlsym() itself asks for a few hundred bytes at most, and only when something is missing.
 */
static char early_memory[32 << 10] __attribute__((aligned(16)));
static size_t early_used;

static inline int is_early(const void *p)
{
	return unlikely((uintptr_t)p - (uintptr_t)early_memory < sizeof(early_memory));
}

static void *early_alloc(size_t size)
{
	size_t at;

	if (size > sizeof(early_memory))
		return NULL;
	size = (size + 31) & ~(size_t)15; /* the word before the block holds its size */
	at = __atomic_fetch_add(&early_used, size, __ATOMIC_RELAXED);
	if (at + size > sizeof(early_memory))
		return NULL;
	*(size_t *)(early_memory + at) = size - 16;
	return early_memory + at + 16;
}

FR_REAL(malloc)
FR_REAL(free)
FR_REAL(calloc)
FR_REAL(realloc)
FR_REAL(memalign)
FR_REAL(aligned_alloc)
FR_REAL(posix_memalign)
FR_REAL(valloc)
FR_REAL(pvalloc)
FR_REAL(malloc_usable_size)

FR_EXPORT void *malloc(size_t size)
{
	void *p;

	if (unlikely(!fr_real_malloc) && real_is_resolving())
		return early_alloc(size);
	p = REAL(malloc)(size);
	ALLOC_COUNT(p, size, FR_ALLOC_MALLOC);
	return p;
}

FR_EXPORT void *calloc(size_t n, size_t size)
{
	void *p;

	if (unlikely(!fr_real_calloc) && real_is_resolving())
		return size && n > sizeof(early_memory) / size ? NULL : early_alloc(n * size);
	p = REAL(calloc)(n, size);
	/* A product that overflows has failed, and a failure is no sample. */
	if (likely(p))
		ALLOC_COUNT(p, n * size, FR_ALLOC_CALLOC);
	return p;
}

FR_EXPORT void free(void *p)
{
	struct live_object object;

	if (is_early(p))
		return;
	if (unlikely(live_maybe((uintptr_t)p)) && p && alloc_forget((uintptr_t)p, &object))
		alloc_freed(&object, FR_FRAME());
	REAL(free)(p);
}

/* Out of the early memory: its size is in front of it. */
static void *early_realloc(void *p, size_t size)
{
	size_t old = *(size_t *)((char *)p - 16);
	void *moved = malloc(size);

	if (moved)
		memcpy(moved, p, old < size ? old : size);
	return moved;
}

/*
 * An object that moves or changes its size is one freed and one allocated, in place too. It is taken out before the real call,
 * which may give the address to another thread, and put back when that fails.
 */
#define REALLOC_BODY(call, size, kind)                                                          \
	struct live_object object;                                                              \
	int was_sampled;                                                                        \
	void *moved;                                                                            \
                                                                                                \
	if (is_early(p))                                                                        \
		return early_realloc(p, size);                                                  \
	was_sampled =                                                                           \
		unlikely(live_maybe((uintptr_t)p)) && p && alloc_forget((uintptr_t)p, &object); \
	moved = call;                                                                           \
	if (unlikely(was_sampled)) {                                                            \
		if (moved || (size) == 0)                                                       \
			alloc_freed(&object, FR_FRAME());                                       \
		else                                                                            \
			alloc_remember(&object);                                                \
	}                                                                                       \
	if (likely(moved))                                                                      \
		ALLOC_COUNT(moved, size, kind);                                                 \
	return moved

FR_EXPORT void *realloc(void *p, size_t size)
{
	REALLOC_BODY(REAL(realloc)(p, size), size, FR_ALLOC_REALLOC);
}

/* Not libc's own: that calls the exported realloc(), and one allocation would be seen twice. */
FR_EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	REALLOC_BODY(REAL(realloc)(p, total), total, FR_ALLOC_REALLOCARRAY);
}

#define ALIGNED_HOOK(name, kind, params, args)      \
	FR_EXPORT void *name params                 \
	{                                           \
		void *p = REAL(name) args;          \
                                                    \
		if (likely(p))                      \
			ALLOC_COUNT(p, size, kind); \
		return p;                           \
	}

ALIGNED_HOOK(memalign, FR_ALLOC_MEMALIGN, (size_t alignment, size_t size), (alignment, size))
ALIGNED_HOOK(
	aligned_alloc, FR_ALLOC_ALIGNED_ALLOC, (size_t alignment, size_t size), (alignment, size))
ALIGNED_HOOK(valloc, FR_ALLOC_VALLOC, (size_t size), (size))
ALIGNED_HOOK(pvalloc, FR_ALLOC_PVALLOC, (size_t size), (size))

FR_EXPORT int posix_memalign(void **p_out, size_t alignment, size_t size)
{
	int ret = REAL(posix_memalign)(p_out, alignment, size);

	if (likely(ret == 0))
		ALLOC_COUNT(*p_out, size, FR_ALLOC_POSIX_MEMALIGN);
	return ret;
}

FR_EXPORT size_t malloc_usable_size(void *p)
{
	return is_early(p) ? *(size_t *)((char *)p - 16) : REAL(malloc_usable_size)(p);
}
