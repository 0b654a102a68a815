/* SPDX-License-Identifier: MIT */
/*
 * System calls that say EINTR because of a signal of ours. SA_RESTART lets the kernel restart most of them, but not the
 * poll family, sleeping, waiting for signals, sockets with a timeout and System V IPC (signal(7)). A CPU timer only
 * fires while its thread runs, so it meets these calls on their way into the wait or out of it; and
 * then the program, which has no handler and knows of no signal, would be told EINTR.
 *
 * The hooks of these calls make them again, with the time that is left. What the program sees is what it would see
 * had our signal come just before the call, which is a moment like any other. That is only so when no handler of
 * the program's own ran as well, since its end of the call is one that the program may rely on. The
 * handler (sampler_signal.c) claims an EINTR only if
 *   - it interrupted the very end of a system call with that result. The kernel builds the frames of pending
 *     handlers one on another, lowest signal number first: had another one with a lower number been due, we
 *     would stand at the entry of its handler, and
 *   - no signal is pending that the interrupted code does not block: those with higher numbers run after us.
 * The claim names the stack pointer of the call, so that a hook takes no other call's claim for its own: one
 * inside a handler of the program lies at least a signal frame below.
 *
 * The variants with a signal mask (ppoll, pselect, epoll_pwait, sigsuspend) are no exception: after our handler the
 * thread's own mask is back, a signal that only the call lets through stays pending until the call is
 * made again, and ends it then.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#include "tracer/internal.h"

/*
 * The system call lies no further below the hook's frame, in bytes; a signal frame alone is larger. Set by
 * sampler_init() from what the kernel says of that, so that there is room for a sanitizer's interceptor between the two.
 */
extern uint32_t eintr_reach __attribute__((visibility("hidden")));
#define EINTR_MIN_REACH 1024	/* x86-64's smallest signal frames have 1.3 KiB */
#define EINTR_FRAME_PADDING 512 /* how much larger than the frame AT_MINSIGSTKSZ may be */

/* Before the real call. */
static inline void eintr_begin(void)
{
	fr_self.eintr_sp = 0;
}

/* The real call said EINTR: was that our signal's doing alone? `frame` is the hook's. */
static inline int eintr_is_ours(uintptr_t frame)
{
	uintptr_t sp = fr_self.eintr_sp;

	return sp && frame - sp < eintr_reach;
}

/* A call with a timeout that is made again; zero but for begin_ns. */
struct eintr_wait {
	uint64_t begin_ns; /* CLOCK_MONOTONIC, when it was made first */
	uint64_t end_ns;   /* begin_ns and the timeout, from the first repetition on */
	struct timespec left;
};

/* Rest of a timeout in ns; 0 when it is over. */
static inline uint64_t eintr_left_ns(struct eintr_wait *wait, uint64_t timeout_ns)
{
	uint64_t now = fr_now();

	if (!wait->end_ns && __builtin_add_overflow(wait->begin_ns, timeout_ns, &wait->end_ns))
		wait->end_ns = UINT64_MAX;
	return wait->end_ns > now ? wait->end_ns - now : 0;
}

/* In ms, rounded up: no wait is shorter than was asked for. Negative: for ever. */
static inline int eintr_left_ms(struct eintr_wait *wait, int timeout)
{
	if (timeout <= 0)
		return timeout;
	return (int)((eintr_left_ns(wait, (uint64_t)timeout * 1000000) + 999999) / 1000000);
}

/* As a timespec that lives in *wait. NULL: for ever. The kernel has read `timeout` before: it is valid memory. */
static inline const struct timespec *eintr_left_time(
	struct eintr_wait *wait, const struct timespec *timeout)
{
	uint64_t ns;

	if (!timeout)
		return NULL;
	if (__builtin_mul_overflow((uint64_t)timeout->tv_sec, 1000000000u, &ns) ||
		__builtin_add_overflow(ns, (uint64_t)timeout->tv_nsec, &ns))
		return timeout;
	ns = eintr_left_ns(wait, ns);
	wait->left.tv_sec = (time_t)(ns / 1000000000u);
	wait->left.tv_nsec = (long)(ns % 1000000000u);
	return &wait->left;
}
