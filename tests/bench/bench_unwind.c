/* SPDX-License-Identifier: MIT */
/*
 * ns per frame of the stack walk, beside libgcc, libunwind and a frame-pointer loop, and ns per stack of
 * interning, in one run. 64 different stacks in rotation, warm; the best of five rounds; what calling through the
 * frames costs by itself is measured and taken off. Warm figures flatter: inside programs expect 2 to 10 times.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unwind.h>

#include "bench_unwind.h"
#include "clock.h"
#include "proto/blackbox.h"
#include "proto/schema.h"
#include "proto/stack.h"
#include "tracer/stack.h"
#include "tracer/stack_repeat.h"
#include "tracer/unwind.h"
#include "walk.h"

#define N_PATHS 64
#define N_ROTATIONS 300

static struct unwind_bounds bounds, unknown;
static uintptr_t frames[WALK_MAX];
static size_t n_frames; /* of all walks since it was reset */
static volatile uint32_t last_id;
static unsigned n_paths = N_PATHS; /* different stacks in rotation */

static void leaf_nothing(void)
{
	__asm__ volatile("" ::: "memory");
}

static void leaf_walk(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();
	unsigned flags;

	n_frames += unwind_walk(&start, &bounds, frames, WALK_MAX, &flags);
}

static void leaf_walk_unknown(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();
	unsigned flags;

	n_frames += unwind_walk(&start, &unknown, frames, WALK_MAX, &flags);
}

static void leaf_walk_cold(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();
	unsigned flags;

	unwind_invalidate();
	n_frames += unwind_walk(&start, &bounds, frames, WALK_MAX, &flags);
}

static void leaf_walk_intern(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();
	unsigned flags;
	size_t n = unwind_walk(&start, &bounds, frames, WALK_MAX, &flags);

	last_id = stack_intern(frames, n, flags);
	n_frames += n;
}

static struct stack_repeat repeat;
static unsigned n_repeat_hits, n_repeat_misses;

/* As fr_capture(): the records first, then walk, intern and keep. */
static void leaf_repeat(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();
	struct repeat_query query;
	struct unwind_trail trail;
	unsigned flags;
	size_t n;

	last_id = stack_repeat_find(
		&repeat, FR_REPEAT_CALL, &start, &bounds, FR_STACK_MAX_FRAMES, &flags, &query);
	if (last_id != FR_STACK_NONE) {
		n_repeat_hits++;
		n_frames++; /* of stacks here */
		return;
	}
	n_repeat_misses++;
	n = unwind_walk_trail(&start, &bounds, frames, FR_STACK_MAX_FRAMES, &flags, &trail);
	last_id = stack_intern(frames, n, flags);
	stack_repeat_keep(&query, &trail, last_id, flags);
	n_frames++;
}

/* A failed check and a new record each time. (The 64 stacks of the rotation all have one key: more than ways.) */
static void leaf_repeat_miss(void)
{
	stack_repeat_drop(&repeat);
	leaf_repeat();
}

/* Both export _Unwind_*: loaded apart, so that neither takes the other's place. */
static _Unwind_Reason_Code (*libgcc_backtrace)(_Unwind_Trace_Fn, void *);
static _Unwind_Ptr (*libgcc_ip)(struct _Unwind_Context *);
static int (*libunwind_backtrace)(void **, int);

static void *symbol(const char *library, const char *name)
{
	void *object = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	return object ? dlsym(object, name) : NULL;
}

static void find_others(void)
{
	*(void **)&libgcc_backtrace = symbol("libgcc_s.so.1", "_Unwind_Backtrace");
	*(void **)&libgcc_ip = symbol("libgcc_s.so.1", "_Unwind_GetIP");
	*(void **)&libunwind_backtrace = symbol("libunwind.so.8", "unw_backtrace");
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *argument)
{
	frames[n_frames % WALK_MAX] = libgcc_ip(context);
	n_frames++;
	return _URC_NO_REASON;
}

static void leaf_libgcc(void)
{
	libgcc_backtrace(count_frame, NULL);
}

static void leaf_libunwind(void)
{
	n_frames += (size_t)libunwind_backtrace((void **)frames, WALK_MAX);
}

static void leaf_frame_pointers(void)
{
	const uintptr_t *fp = __builtin_frame_address(0);
	size_t n = 0;

	/* Ends at main's caller, which has another rbp. */
	while ((uintptr_t)fp >= bounds.lo && (uintptr_t)fp < bounds.hi - 16 && n < WALK_MAX) {
		const uintptr_t *next = (const uintptr_t *)fp[0];

		frames[n++] = fp[1];
		if (next <= fp)
			break;
		fp = next;
	}
	n_frames += n;
}

typedef void (*run_fn)(unsigned path, int depth, void (*leaf)(void));

/* Best of five: ns of all rotations. */
static double measure(run_fn run, int depth, void (*leaf)(void), unsigned n_rotations)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < 6; round++) {
		uint64_t begin;

		n_frames = 0;
		begin = now_ns();
		for (unsigned i = 0; i < n_rotations; i++)
			for (unsigned path = 0; path < n_paths; path++)
				run(path, depth, leaf);
		begin = now_ns() - begin;
		if (round > 0 && begin < best)
			best = begin;
	}
	return (double)best;
}

static void report(const char *name, run_fn run, void (*leaf)(void), unsigned n_rotations)
{
	static const int depths[] = { 10, 20, 30, 60 };

	printf("%-44s", name);
	for (unsigned i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		double bare = measure(run, depths[i], leaf_nothing, n_rotations);
		double all = measure(run, depths[i], leaf, n_rotations);

		printf("%8.2f", (all - bare) / (double)n_frames);
	}
	printf("\n");
}

static int commit(uint64_t offset, uint64_t size)
{
	return 0;
}

static struct fr_blackbox *make_blackbox(void)
{
	uint64_t off_index = (sizeof(struct fr_blackbox) + 4095) & ~4095ul;
	uint64_t off_arena = off_index + FR_BB_STACK_INDEX * sizeof(uint64_t);
	struct fr_blackbox *blackbox = mmap(NULL, off_arena + FR_BB_STACK_ARENA,
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (blackbox == MAP_FAILED)
		return NULL;
	blackbox->off_stack_index = off_index;
	blackbox->off_stack_arena = off_arena;
	stack_init(blackbox, commit);
	return blackbox;
}

static void report_intern(struct fr_blackbox *blackbox)
{
	enum { N = 20000, DEPTH = 27 };
	uintptr_t addr[DEPTH];
	uint64_t begin, used = blackbox->stack_arena_used, spent[2];

	for (int round = 0; round < 2; round++) {
		begin = now_ns();
		for (unsigned i = 0; i < N; i++) {
			for (unsigned k = 0; k < DEPTH; k++)
				addr[k] = 0x555555554000u + (i * 40503u + k * 9973u) % 0x80000;
			addr[DEPTH - 1] = 0x7ffff7c29d90u;
			addr[0] = 0x7ffff7d14a37u + i;
			last_id = stack_intern(addr, DEPTH, 0);
		}
		spent[round] = now_ns() - begin;
	}
	printf("\nintern, %d stacks of %d frames: insert %.0f ns, hit %.0f ns (filling in the "
	       "addresses "
	       "included), %.0f bytes each\n",
		N, DEPTH, (double)spent[0] / N, (double)spent[1] / N,
		(double)(blackbox->stack_arena_used - used) / N);
}

int main(void)
{
	struct fr_blackbox *blackbox = make_blackbox();

	if (!blackbox) {
		fprintf(stderr, "Cannot map the stack table: %s\n", strerror(errno));
		return 1;
	}
	bounds = walk_own_bounds();
	find_others();
	printf("ns per frame, at depth%31s%8d%8d%8d\n", "10", 20, 30, 60);
	report("walk, warm", frames_without_fp, leaf_walk, N_ROTATIONS);
	report("walk, warm, code with frame pointers", frames_with_fp, leaf_walk, N_ROTATIONS);
	report("walk, warm, unknown stack (pages probed)", frames_without_fp, leaf_walk_unknown,
		N_ROTATIONS / 10);
	report("walk and intern, warm", frames_without_fp, leaf_walk_intern, N_ROTATIONS);
	report("walk after invalidation, new pcs miss", frames_without_fp, leaf_walk_cold,
		N_ROTATIONS / 30);
	if (libgcc_backtrace && libgcc_ip)
		report("libgcc _Unwind_Backtrace", frames_without_fp, leaf_libgcc,
			N_ROTATIONS / 30);
	else
		printf("libgcc: not measured (no libgcc_s.so.1)\n");
	if (libunwind_backtrace)
		report("libunwind unw_backtrace", frames_without_fp, leaf_libunwind, N_ROTATIONS);
	else
		printf("libunwind: not measured (no libunwind.so.8)\n");
	report("frame-pointer loop", frames_with_fp, leaf_frame_pointers, N_ROTATIONS);
	report_intern(blackbox);
	printf("\nns per stack, at depth%31s%8d%8d%8d\n", "10", 20, 30, 60);
	n_repeat_hits = n_repeat_misses = 0;
	report("repeated-stack check, 64 stacks in rotation", frames_without_fp, leaf_repeat,
		N_ROTATIONS);
	printf("%44s%7.1f %% hits\n", "",
		100.0 * n_repeat_hits / (n_repeat_hits + n_repeat_misses));
	n_paths = 1;
	n_repeat_hits = n_repeat_misses = 0;
	report("repeated-stack check, 1 stack", frames_without_fp, leaf_repeat, N_ROTATIONS * 64);
	printf("%44s%7.1f %% hits\n", "",
		100.0 * n_repeat_hits / (n_repeat_hits + n_repeat_misses));
	report("failed check, walk, intern, new record", frames_without_fp, leaf_repeat_miss,
		N_ROTATIONS * 6);
	return 0;
}
