/* SPDX-License-Identifier: MIT */
/*
 * What the files of the tracer share: the per-thread block, the guard, and the way into a hook.
 *
 * The guard (`busy`) covers our own work: capture, intern, emit. It is never held across the real call,
 * which may run the program's code, block, be cancelled or be left by longjmp. A hook that finds it
 * held calls straight through: it is either our own work calling libc, or a signal handler that
 * interrupted it.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <time.h>

#include "proto/blackbox.h"
#include "proto/control.h"
#include "proto/schema.h"
#include "tracer/event.h"
#include "tracer/real.h"
#include "tracer/stack_repeat.h"
#include "tracer/unwind.h"

enum fr_stage {
	FR_STAGE_NEW = 0, /* not seen yet */
	FR_STAGE_ON,	  /* attached */
	FR_STAGE_OFF,	  /* never traced: lttng-ust's own threads, raw children, after its exit */
};

#define FR_WAIT_PLACES 3 /* enum wait_place of wait_table.h */
#define FR_HEARD 16	 /* channels that one call may be heard to wait for */

/*
 * One per thread, initial-exec TLS: no allocation on first use, and small, since large initial-exec blocks
 * make pthread_create() fail in programs with small stacks.
 */
struct fr_thread {
	void *vfork_return; /* these two first: vfork.S knows their offsets */
	uint8_t in_vfork;   /* a vfork child runs on this thread's memory: touch nothing */
	uint8_t busy;
	uint8_t stage; /* enum fr_stage */
	uint8_t exit_rounds;
	uint32_t tid;
	struct fr_slot *slot; /* borrowed from the blackbox; NULL: table full or not attached */
	struct fr_private *private; /* borrowed, parallel to slot */
	uint64_t alloc_passed;	    /* ~ of the bytes until alloc_sample() looks again */
	uint64_t alloc_rest;	    /* and from then on until the next sample */
	uint64_t alloc_rate;	    /* under which that was drawn */
	uint64_t random;
	struct unwind_bounds bounds;
	uintptr_t busy_frame; /* where the guard was taken; see guard_enter() */
	uint64_t *waiting
		[FR_WAIT_PLACES]; /* entries of the wait table that this thread holds; NULL none */
	struct fr_call_total *totals; /* its own, borrowed; NULL none. See call_total.h */
	const uint64_t *inside;	      /* cookie of the wait or call under way; see thread_enter() */
	uintptr_t eintr_sp; /* sp of a call that our own signal interrupted; see eintr.h */
#ifdef __aarch64__
	uintptr_t noted_frame, noted_cfa; /* of the last FR_FRAME() */
#endif
};

#define FR_REGION_DEPTH 32
#define FR_LABEL_DEPTH 16

/* A region that is open on a thread. */
struct fr_region {
	uint64_t id, task, begin_ns;
	char type[40];
};

/* What delay.c knows of a thread: counts since its begin as they were at its last event. */
struct fr_delay {
	uint64_t since_ns, waited, cpu_ns, voluntary, involuntary;
	uint64_t long_ns;    /* of long waits since */
	uint8_t file, place; /* enum file_state; index of its descriptor */
};

/* What a thread needs that nobody outside reads; mapped, never in TLS, one per slot. */
struct fr_private {
	uint64_t pthread; /* pthread_t of the owner, to name who ended in a join */
	uint32_t n_regions;
	uint32_t n_labels;
	uint32_t n_captures;	     /* before `repeat` is mapped */
	struct stack_repeat *repeat; /* owned mapping; NULL: not yet */
	uintptr_t frames[512]; /* of the walk under way: too large for the program's small stacks */
	uint64_t timer;	       /* the CPU timer; see sampler.c. Atomic: owner and helper thread */
	uint32_t timer_hz;     /* its rate; whoever made it writes, whoever takes it away reads */
	uint32_t
		dump_wanted; /* fr_control.dump_seq that a signal is on its way for; 0: none. Atomic */
	uint64_t timer_first_ns; /* CPU time of the thread at which its first tick is due */
	uint64_t timer_ticks;	 /* ticks that arrived since; the owner's handler alone writes */
	uintptr_t signal_frames
		[512]; /* of the signal handler's walk, which may interrupt the other */
	/* The channels that the call under way waits for, or may come back to (call_channel.c). */
	struct fr_heard {
		uint64_t *held; /* of wait_enter_at() */
		uint32_t mark;
	} heard[FR_HEARD], epoll, space; /* space: held in fr_thread.waiting */
	uintptr_t epoll_name;		 /* that `epoll` is registered for */
	const void *
		polled; /* array of the last poll() or sets of the last select() that the kernel read */
	size_t n_polled;     /* its bytes */
	uint32_t exit_stack; /* of pthread_exit(); FR_STACK_NONE: not called */
	struct fr_delay delay;
	struct fr_region regions[FR_REGION_DEPTH];
	char labels[FR_LABEL_DEPTH + 1]
		   [sizeof(((struct fr_slot *)0)->labels)]; /* [0] is inherited */
	uint32_t labels_id[FR_LABEL_DEPTH + 1];		    /* of labels_intern() */
};

extern __thread struct fr_thread fr_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* State of the process. fr_on is the one word that every hook looks at first. */
extern int fr_on __attribute__((visibility("hidden")));
extern int fr_answers_dlopen __attribute__((visibility("hidden"))); /* see dlopen.S */
extern uint16_t fr_proc __attribute__((visibility("hidden")));
extern const struct fr_control *fr_control
	__attribute__((visibility("hidden"))); /* valid while fr_on */
extern struct fr_blackbox *fr_blackbox __attribute__((visibility("hidden"))); /* likewise */

/* Where the code of liblttng-ust lies; hooks called from there pass straight through. */
#define FR_LTTNG_RANGES 8
struct fr_range {
	uintptr_t start, end;
};
extern struct fr_range fr_lttng_all __attribute__((visibility("hidden"))); /* hull of the ranges */
int fr_is_lttng_slow(uintptr_t address);

/* Where our own code lies. */
extern struct fr_range fr_own __attribute__((visibility("hidden")));

static inline int fr_is_own(uintptr_t address)
{
	return address - fr_own.start < fr_own.end - fr_own.start;
}

/*
 * Moves the frames of a stack from `from` on that are not our own to its front; returns their number. A hook stands between
 * libc and the program where libc calls back: malloc() inside the real pthread_create(), a thread's first function.
 */
static inline size_t fr_strip_own(uintptr_t *frames, size_t from, size_t n)
{
	size_t i, n_kept = 0;

	for (i = from; i < n; i++)
		if (likely(!fr_is_own(frames[i] - 1)))
			frames[n_kept++] = frames[i];
	return n_kept;
}

static inline int fr_is_lttng(uintptr_t address)
{
	if (likely(address - fr_lttng_all.start >= fr_lttng_all.end - fr_lttng_all.start))
		return 0;
	return fr_is_lttng_slow(address);
}

/* CLOCK_MONOTONIC in ns, through the vdso. */
static inline uint64_t fr_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* xorshift64*: for decisions about samples. Context: the thread itself, under the guard. */
static inline uint64_t fr_random(struct fr_thread *t)
{
	t->random ^= t->random >> 12;
	t->random ^= t->random << 25;
	t->random ^= t->random >> 27;
	return t->random * 0x2545f4914f6cdd1dull;
}

/* Adds to a counter of the whole process; for rare things (hot ones are per slot). */
#define fr_count(field, n) \
	((void)__atomic_fetch_add(&fr_blackbox->counters.field, (n), __ATOMIC_RELAXED))

/* Adds to the calling thread's share. The owner alone writes, readers may look at any time. */
#define fr_count_own(t, field, n)                                                             \
	do {                                                                                  \
		if (likely((t)->slot))                                                        \
			__atomic_store_n(                                                     \
				&(t)->slot->field, (t)->slot->field + (n), __ATOMIC_RELAXED); \
		else                                                                          \
			fr_count(field, n);                                                   \
	} while (0)

int guard_enter_slow(struct fr_thread *t, uintptr_t frame);

/*
 * Takes the guard; 0 when it is held or this thread is not to be traced. `frame` is the hook's frame: a
 * guard whose holder's frame lies below it was left behind by a longjmp, and is taken over.
 */
static inline int guard_enter(struct fr_thread *t, uintptr_t frame)
{
	if (unlikely(t->busy || t->stage != FR_STAGE_ON || t->in_vfork))
		return guard_enter_slow(t, frame);
	t->busy = 1;
	t->busy_frame = frame;
	/* Signal fence: a handler on this thread must see the guard before any of our work. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return 1;
}

static inline void guard_leave(struct fr_thread *t)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	t->busy = 0;
}

/* Where a hook was called from: used in the exported function itself, never in a helper. */
#ifdef __aarch64__
/*
 * The record of fp and return address lies anywhere in a frame there, and does not tell where the caller's begins: that
 * is noted beside it for fr_capture().
 */
static inline uintptr_t fr_note_frame(const void *frame, const void *cfa)
{
	fr_self.noted_frame = (uintptr_t)frame;
	fr_self.noted_cfa = (uintptr_t)cfa;
	return (uintptr_t)frame;
}
#ifdef __clang__
#define FR_FRAME() fr_note_frame(__builtin_frame_address(0), __builtin_sponentry())
#else
#define FR_FRAME() fr_note_frame(__builtin_frame_address(0), __builtin_dwarf_cfa())
#endif
#else
#define FR_FRAME() ((uintptr_t)__builtin_frame_address(0))
#endif
#define FR_RETURN() ((uintptr_t)__builtin_return_address(0))

/* The caller's stack, interned; `kind` chooses the records that repeated stacks are looked for in. Needs the guard. */
uint32_t fr_capture(struct fr_thread *t, uintptr_t frame, enum fr_repeat kind);

/* The same without its `skip` innermost frames, always walked; FR_STACK_NONE when no frame is left. Needs the guard. */
uint32_t fr_capture_skip(struct fr_thread *t, uintptr_t frame, unsigned skip);

/* Fills what every event has. */
static inline void fr_event_init(struct fr_event *e, const struct fr_thread *t, uint32_t stack)
{
	e->tid = t->tid;
	e->stack = stack;
	e->proc = fr_proc;
}

/* Is a class of events wanted now? */
static inline int fr_wants(uint32_t class)
{
	return (__atomic_load_n(&fr_control->events, __ATOMIC_RELAXED) & class) != 0;
}
