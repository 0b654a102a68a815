/* SPDX-License-Identifier: MIT */
/*
 * The malloc family. Sampling is a Poisson process over bytes: each thread counts down an exponentially distributed
 * number of bytes, and the allocation that passes zero is recorded. What is not sampled costs one thread-local
 * subtraction; a free costs one load from the filter of live.c. Pointers are passed on as the real allocator
 * made them, so malloc_usable_size() and mixed allocators keep working.
 *
 * C++ new and delete come through here from libstdc++. A program with an allocator of its own inside the
 * executable binds to that one, and our malloc is never called.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tracer/alloc.h"
#include "tracer/bucket.h"
#include "tracer/events_alloc.h"
#include "tracer/internal.h"
#include "tracer/live.h"

/* With sampling off the countdown is still looked at now and then, since the rate can be changed any time. */
#define RECHECK_BYTES (64 << 20)

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

/* -ln(u) for u uniform in (0, 1], from 53 random bits; relative error below 1e-4. No libm in a hook. */
static double random_exponential(uint64_t *state)
{
	union {
		double d;
		uint64_t u;
	} x;
	double m, log2_m, s;
	int exponent;

	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	x.d = (double)((*state >> 11) + 1) * 0x1p-53;
	exponent = (int)(x.u >> 52) - 1023;
	x.u = (x.u & 0xfffffffffffffull) | 1023ull << 52;
	m = x.d; /* [1, 2) */
	s = (m - 1) / (m + 1);
	/* atanh series: ln m = 2 (s + s³/3 + s⁵/5 + s⁷/7 + …), s ≤ 1/3 */
	log2_m = 2 * s * (1 + s * s * (1.0 / 3 + s * s * (0.2 + s * s * (1.0 / 7 + s * s / 9))));
	return -(exponent * 0.6931471805599453 + log2_m);
}

static void next_sample(struct fr_thread *t, uint64_t rate)
{
	double bytes;

	if (rate <= 1) {
		t->alloc_left = rate ? 0 : RECHECK_BYTES;
		return;
	}
	bytes = random_exponential(&t->random) * (double)rate;
	t->alloc_left = bytes < 1e15 ? (int64_t)bytes : (int64_t)1e15;
}

static void record(
	struct fr_thread *t, void *p, size_t size, int kind, uint64_t rate, uintptr_t frame)
{
	struct fr_event_alloc e = {
		.kind = (uint8_t)kind, .addr = (uintptr_t)p, .size = size, .rate = rate
	};
	uint32_t stack = fr_capture(t, frame, FR_REPEAT_ALLOC);
	struct bucket_key key = { FR_BUCKET_HEAP, stack, size, rate };
	struct live_object object = { (uintptr_t)p, size, fr_now(), stack, t->tid,
		bucket_find(&key) };

	fr_count(allocs, 1);
	bucket_add(FR_BUCKET_HEAP, object.bucket, 0, 1);
	bucket_add(FR_BUCKET_HEAP, object.bucket, 1, size);
	live_add(&object);
	if (fr_wants(FR_EVENTS_ALLOC)) {
		fr_event_init(&e.common, t, object.stack);
		lttng_ust_tracepoint(flightrec_alloc, sample, &e);
		fr_count_own(t, events, 1);
	}
}

void alloc_thread_init(struct fr_thread *t)
{
	next_sample(t, __atomic_load_n(&fr_control->alloc_rate, __ATOMIC_RELAXED));
}

/* The countdown has passed zero. */
static __attribute__((noinline)) void sample(
	void *p, size_t size, int kind, uintptr_t frame, uintptr_t caller)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno, is_first = t->stage == FR_STAGE_NEW;
	uint64_t rate;

	if (!fr_on || t->stage == FR_STAGE_OFF) {
		t->alloc_left = t->stage == FR_STAGE_OFF ? INT64_MAX : RECHECK_BYTES;
		return;
	}
	if (fr_is_lttng(caller) || !guard_enter(t, frame)) {
		t->alloc_left += (int64_t)size;
		return;
	}
	/* A thread that was attached just now has drawn its first distance: this allocation counts against it. */
	if (is_first)
		t->alloc_left -= (int64_t)size;
	if (t->alloc_left < 0) {
		rate = __atomic_load_n(&fr_control->alloc_rate, __ATOMIC_RELAXED);
		if (rate && p)
			record(t, p, size, kind, rate, frame);
		next_sample(t, rate);
	}
	guard_leave(t);
	errno = saved_errno;
}

#define COUNT_DOWN(p, size, kind)                                             \
	do {                                                                  \
		fr_self.alloc_left -= (int64_t)(size);                        \
		if (unlikely(fr_self.alloc_left < 0))                         \
			sample((p), (size), (kind), FR_FRAME(), FR_RETURN()); \
	} while (0)

/* A sampled object may be about to be freed. Returns 1 and fills `object_out` when it was one. */
static __attribute__((noinline)) int forget(const void *p, struct live_object *object_out)
{
	return fr_on && live_remove((uintptr_t)p, object_out);
}

static void record_free(const struct live_object *object, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;
	struct fr_event_alloc e = { .addr = object->address, .size = object->size };

	if (!guard_enter(t, frame))
		return;
	fr_count(frees, 1);
	bucket_add(FR_BUCKET_HEAP, object->bucket, 2, 1);
	bucket_add(FR_BUCKET_HEAP, object->bucket, 3, object->size);
	if (fr_wants(FR_EVENTS_ALLOC)) {
		fr_event_init(&e.common, t, object->stack);
		e.age = fr_now() - object->time_ns;
		lttng_ust_tracepoint(flightrec_alloc, free, &e);
		fr_count_own(t, events, 1);
	}
	guard_leave(t);
	errno = saved_errno;
}

FR_REAL(malloc)
FR_REAL(free)
FR_REAL(calloc)
FR_REAL(realloc)
FR_REAL(reallocarray)
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
	COUNT_DOWN(p, size, FR_ALLOC_MALLOC);
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
		COUNT_DOWN(p, n * size, FR_ALLOC_CALLOC);
	return p;
}

FR_EXPORT void free(void *p)
{
	struct live_object object;

	if (is_early(p))
		return;
	if (unlikely(live_maybe((uintptr_t)p)) && p && forget(p, &object))
		record_free(&object, FR_FRAME());
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
 * An object that moves or changes its size is one freed and one allocated. It is taken out before the real call,
 * which may give the address to another thread, and put back when that fails.
 */
#define REALLOC_BODY(call, size, kind)                                               \
	struct live_object object;                                                   \
	int was_sampled;                                                             \
	void *moved;                                                                 \
                                                                                     \
	if (is_early(p))                                                             \
		return early_realloc(p, size);                                       \
	was_sampled = unlikely(live_maybe((uintptr_t)p)) && p && forget(p, &object); \
	moved = call;                                                                \
	if (unlikely(was_sampled)) {                                                 \
		if (moved || (size) == 0)                                            \
			record_free(&object, FR_FRAME());                            \
		else                                                                 \
			live_add(&object);                                           \
	}                                                                            \
	if (likely(moved))                                                           \
		COUNT_DOWN(moved, size, kind);                                       \
	return moved

FR_EXPORT void *realloc(void *p, size_t size)
{
	REALLOC_BODY(REAL(realloc)(p, size), size, FR_ALLOC_REALLOC);
}

FR_EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
	REALLOC_BODY(REAL(reallocarray)(p, n, size), n * size, FR_ALLOC_REALLOCARRAY);
}

#define ALIGNED_HOOK(name, kind, params, args)     \
	FR_EXPORT void *name params                \
	{                                          \
		void *p = REAL(name) args;         \
                                                   \
		if (likely(p))                     \
			COUNT_DOWN(p, size, kind); \
		return p;                          \
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
		COUNT_DOWN(*p_out, size, FR_ALLOC_POSIX_MEMALIGN);
	return ret;
}

FR_EXPORT size_t malloc_usable_size(void *p)
{
	return is_early(p) ? *(size_t *)((char *)p - 16) : REAL(malloc_usable_size)(p);
}
