/* SPDX-License-Identifier: MIT */
/* The caller's stack, as an id of the stack table: from the records of repeated stacks, or walked. */
#include <sys/mman.h>

#include "proto/stack.h"
#include "tracer/internal.h"
#include "tracer/stack.h"
#include "tracer/sys.h"

/* Captures of a thread before it gets records of repeated stacks: those that end soon never pay for them. */
#define CAPTURES_BEFORE_REPEAT 16

static struct stack_repeat *repeat_of(struct fr_private *private)
{
	long ret;

	if (likely(private->repeat) || ++private->n_captures < CAPTURES_BEFORE_REPEAT)
		return private->repeat;
	private->n_captures = 0;
	ret = sys(SYS_mmap, NULL, sizeof(struct stack_repeat), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ret > 0 || ret <= -4096)
	private->repeat = (struct stack_repeat *)ret;
	return private->repeat;
}

/* The id of the frames that are not ours. */
static uint32_t intern(uintptr_t *frames, size_t from, size_t n, unsigned flags)
{
	return stack_intern(frames, fr_strip_own(frames, from, n), flags);
}

#ifdef FR_REPEAT_VERIFY
/* A build that walks after each hit, too, and dies of a difference. */
static void verify_hit(struct fr_thread *t, const struct unwind_start *start, size_t max,
	uint32_t id, unsigned flags)
{
	unsigned fresh_flags = 0;
	size_t n = unwind_walk(start, &t->bounds, t->private->frames, max, &fresh_flags);
	uint32_t fresh = intern(t->private->frames, 0, n, fresh_flags);
	static const char text[] = "flightrec: a repeated stack was not the one that was kept\n";

	if (fresh == id && fresh_flags == flags)
		return;
	sys(SYS_write, 2, text, sizeof(text) - 1);
	__builtin_trap();
}
#else
#define verify_hit(t, start, max, id, flags) ((void)0)
#endif

static void count_flags(unsigned flags)
{
	if (unlikely(flags & FR_STACK_CUT))
		fr_count(stacks_cut, 1);
	if (unlikely(flags & FR_STACK_BROKEN))
		fr_count(stacks_broken, 1);
}

static size_t depth(void)
{
	size_t max = __atomic_load_n(&fr_control->stack_depth, __ATOMIC_RELAXED);

	return max == 0 || max > FR_STACK_MAX_FRAMES ? 64 : max;
}

/* The caller of the hook whose frame that is, just after the call. sp 0: not known. */
static inline struct unwind_start start_of(const struct fr_thread *t, uintptr_t frame)
{
	const uintptr_t *fp = (const uintptr_t *)frame;
	uintptr_t sp = frame + 2 * sizeof(uintptr_t);

#ifdef __aarch64__
	/* Another frame was noted by a signal handler in between. */
	sp = t->noted_frame == frame ? t->noted_cfa : 0;
#else
	(void)t;
#endif
	return (struct unwind_start){
		.pc = arch_address(fp[1]), .sp = sp, .fp = fp[0], .is_call = 1
	};
}

uint32_t fr_capture_skip(struct fr_thread *t, uintptr_t frame, unsigned skip)
{
	struct unwind_start start = start_of(t, frame);
	size_t n, max = depth();
	unsigned flags = 0;

	if (unlikely(!t->private || !start.sp))
		return FR_STACK_NONE;
	/* The depth counts from the first frame that is kept. */
	max = skip < FR_STACK_MAX_FRAMES - max ? max + skip : FR_STACK_MAX_FRAMES;
	n = unwind_walk(&start, &t->bounds, t->private->frames, max, &flags);
	fr_count_own(t, repeat_misses, 1);
	count_flags(flags);
	return intern(t->private->frames, skip, n, flags);
}

#ifdef FR_CAPTURE_COST
#include "tracer/capture_cost.h"
#else
#define cost_no_repeat 0
#define cost_cycles() 0
#define cost_add(is_known, cycles) ((void)(cycles))
#endif

uint32_t fr_capture(struct fr_thread *t, uintptr_t frame, enum fr_repeat kind)
{
	struct unwind_start start = start_of(t, frame);
	size_t n, max = depth();
	struct repeat_query query = { 0 };
	struct stack_repeat *repeat;
	struct unwind_trail trail;
	uint64_t begin = cost_cycles();
	unsigned flags = 0;
	uint32_t id;

	if (unlikely(!t->private || !start.sp))
		return FR_STACK_NONE;
	repeat = cost_no_repeat ? NULL : repeat_of(t->private);
	if (likely(repeat)) {
		id = stack_repeat_find(repeat, kind, &start, &t->bounds, max, &flags, &query);
		if (likely(id != FR_STACK_NONE)) {
			verify_hit(t, &start, max, id, flags);
			fr_count_own(t, repeat_hits, 1);
			count_flags(flags);
			cost_add(1, cost_cycles() - begin);
			return id;
		}
	}
	fr_count_own(t, repeat_misses, 1);
	n = unwind_walk_trail(&start, &t->bounds, t->private->frames, max, &flags, &trail);
	count_flags(flags);
	id = intern(t->private->frames, 0, n, flags);
	stack_repeat_keep(&query, &trail, id, flags);
	cost_add(0, cost_cycles() - begin);
	return id;
}
