/* SPDX-License-Identifier: MIT */
/*
 * The handler of SIGPROF: a tick of the interrupted thread's CPU timer, or a request for its stack. It may have
 * interrupted anything: malloc, the loader, liblttng-ust, our own hooks and walks. So it takes no locks and calls
 * nothing of libc; the stack table and the buckets are wait-free, the walk's cache is made of single words, and the
 * frames go to a buffer of its own. All signals are blocked while it runs (sigprof.c), so that it is never
 * interrupted itself, nor left by a jump.
 */
#include "tracer/sampler.h"

#include "proto/stack.h"
#include "tracer/blackbox.h"
#include "tracer/bucket.h"
#include "tracer/sigprof.h"
#include "tracer/stack.h"
#include "tracer/sys.h"

/* Frames of ours that a stack may have on top of those that are kept. */
#define OWN_FRAMES 24
#define NS_PER_S 1000000000u

static int is_ours_or_lttng(uintptr_t frame)
{
	return fr_is_own(frame - 1) || fr_is_lttng(frame - 1);
}

/*
 * How many leading frames are work for us, when the guard was held: up to and with the first frame of ours whose
 * caller is neither ours nor liblttng-ust. 0 when a handler of the program's was running on top of it: that is the
 * program's work.
 */
static size_t own_part(const uintptr_t *frames, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (disposition_is_trampoline(frames[i]))
			return 0;
		if (fr_is_own(frames[i] - 1) && (i + 1 == n || !is_ours_or_lttng(frames[i + 1])))
			return i + 1;
	}
	return 0;
}

size_t sampler_strip(uintptr_t *frames, size_t n, int is_busy, int *is_own_out)
{
	size_t from = is_busy ? own_part(frames, n) : 0;

	*is_own_out = from > 0 || (n > 0 && fr_is_own(frames[0] - 1));
	return fr_strip_own(frames, from, n);
}

static int is_within(uintptr_t address, uintptr_t start, uintptr_t size)
{
	return address - start < size;
}

/*
 * Our guard is held, but the time is the program's: during a fork, which the guard covers, all signals are blocked, and
 * what ticked meanwhile arrives at its end.
 */
static int is_forking(const struct fr_thread *t)
{
	return t->slot->call == FR_CALL_fork || t->slot->call == FR_CALL_daemon;
}

/* The interrupted stack, interned. */
static uint32_t capture(struct fr_thread *t, const ucontext_t *context, int *is_own_out)
{
	struct unwind_start start = unwind_start_context(context);
	struct unwind_bounds bounds = t->bounds;
	uintptr_t alternate = (uintptr_t)context->uc_stack.ss_sp,
		  *frames = t->private->signal_frames;
	size_t depth = __atomic_load_n(&fr_control->stack_depth, __ATOMIC_RELAXED), max, n;
	unsigned flags = 0;

	if (depth == 0 || depth > FR_STACK_MAX_FRAMES)
		depth = 64;
	max = depth + OWN_FRAMES > FR_STACK_MAX_FRAMES ? FR_STACK_MAX_FRAMES : depth + OWN_FRAMES;
	if (!is_within(start.sp, bounds.lo, bounds.hi - bounds.lo) &&
		is_within(start.sp, alternate, context->uc_stack.ss_size)) {
		bounds.lo = alternate;
		bounds.hi = alternate + context->uc_stack.ss_size;
	}
	n = unwind_walk(&start, &bounds, frames, max, &flags);
	n = sampler_strip(frames, n, t->busy && !is_forking(t), is_own_out);
	if (n > depth) {
		n = depth;
		flags |= FR_STACK_CUT;
	}
	if (flags & FR_STACK_CUT)
		fr_count(stacks_cut, 1);
	if (flags & FR_STACK_BROKEN)
		fr_count(stacks_broken, 1);
	return stack_intern(frames, n, flags);
}

/* The newest samples in the order of time: a place of the ring is ours by its number, whoever had it before. */
static void keep(const struct fr_thread *t, uint32_t stack, uint32_t labels_id, uint64_t weight_ns)
{
	uint64_t number = __atomic_fetch_add(&fr_blackbox->samples_next, 1, __ATOMIC_RELAXED);
	uint64_t at =
		fr_blackbox->off_samples + number % FR_BB_SAMPLES * sizeof(struct fr_cpu_sample);
	struct fr_cpu_sample *sample = (struct fr_cpu_sample *)((char *)fr_blackbox + at);

	if (blackbox_commit(at, sizeof(*sample)) < 0)
		return;
	__atomic_store_n(&sample->seq, 0, __ATOMIC_RELAXED);
	/* Release fence: who sees one of the fields below sees that the number has gone. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	sample->time_ns = fr_now();
	sample->weight_ns = weight_ns;
	sample->tid = t->tid;
	sample->stack = stack;
	sample->labels_id = labels_id;
	/* Release: who sees the number sees the fields. */
	__atomic_store_n(&sample->seq, number + 1, __ATOMIC_RELEASE);
}

/* One expiry and `n_missed` that came with it, at `hz` per second. */
static void tick(struct fr_thread *t, const ucontext_t *context, uint32_t hz, uint64_t n_missed)
{
	struct bucket_key key = { .kind = FR_BUCKET_CPU };
	uint64_t n = n_missed + 1;
	uint32_t bucket;
	int is_own = 0;

	fr_count(cpu_ticks, n);
	if (n_missed)
		fr_count(cpu_missed, n_missed);
	if (t->stage != FR_STAGE_ON || !t->private) {
		fr_count(cpu_lost, n);
		return;
	}
	__atomic_store_n(&t->private->timer_ticks, t->private->timer_ticks + n, __ATOMIC_RELAXED);
	key.stack = capture(t, context, &is_own);
	key.key = __atomic_load_n(&t->slot->labels_id, __ATOMIC_RELAXED);
	if (is_own)
		fr_count(cpu_own, n);
	bucket = bucket_find(&key);
	if (bucket == FR_BUCKET_OVERFLOW || key.stack == FR_STACK_OVERFLOW)
		fr_count(cpu_lost, n);
	bucket_add(FR_BUCKET_CPU, bucket, 0, n);
	bucket_add(FR_BUCKET_CPU, bucket, 1, n * (NS_PER_S / hz));
	keep(t, key.stack, (uint32_t)key.key, n * (NS_PER_S / hz));
}

/*
 * Answers a request for the stack, if there is one. Any signal of ours may be it: the kernel drops a SIGPROF sent to a
 * thread that has one pending.
 */
static void dump(struct fr_thread *t, const ucontext_t *context)
{
	uint32_t seq;
	int is_own;

	if (t->stage != FR_STAGE_ON || !t->private)
		return;
	seq = __atomic_load_n(&t->private->dump_wanted, __ATOMIC_ACQUIRE);
	if (likely(!seq))
		return;
	__atomic_store_n(&t->slot->dump_stack, capture(t, context, &is_own), __ATOMIC_RELAXED);
	/* Release: who sees the number sees the stack. */
	__atomic_store_n(&t->slot->dump_seq, seq, __ATOMIC_RELEASE);
	__atomic_store_n(&t->private->dump_wanted, 0, __ATOMIC_RELAXED);
}

/*
 * A request that lost its value: where the limit on pending signals is used up, the kernel delivers the bare signal. It
 * then looks like kill() by nobody.
 */
static int is_bare_request(const struct fr_thread *t, const siginfo_t *info)
{
	return info->si_code == SI_USER && info->si_pid == 0 && t->private &&
	       __atomic_load_n(&t->private->dump_wanted, __ATOMIC_RELAXED);
}

/* See eintr.h: the call that was interrupted said EINTR because of this signal, and for no other reason. */
static void claim_eintr(struct fr_thread *t, const ucontext_t *context)
{
	uint64_t pending = 0, blocked = *(const uint64_t *)(const void *)&context->uc_sigmask;

	if (!arch_context_has_eintr(context))
		return;
	/* Pending and blocked, and while a handler of ours runs all are blocked. */
	sys(SYS_rt_sigpending, &pending, sizeof(pending));
	if (!(pending & ~blocked & ~(1ull << (SIGPROF - 1))))
		t->eintr_sp = arch_context_sp(context);
}

void sampler_on_signal(int number, siginfo_t *info, void *argument)
{
	const ucontext_t *context = argument;
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;
	uint32_t value = 0;

	if (sampler_is_ours(info, &value) || is_bare_request(t, info)) {
		if (info->si_code == SI_TIMER && value)
			tick(t, context, value,
				info->si_overrun > 0 ? (uint64_t)info->si_overrun : 0);
		dump(t, context);
		claim_eintr(t, context);
	} else {
		sigprof_foreign(number);
	}
	errno = saved_errno;
}
