/* SPDX-License-Identifier: MIT */
/*
 * What the scheduler did to a thread around its long waits (flightrec_sched:delay), where the recorder has no records of the
 * kernel: fr_control.delay_ns.
 */
#pragma once

#include <stdint.h>

#include "tracer/internal.h"

void delay_note(struct fr_thread *t, uint64_t dur);

/* A wait or call of `dur` ns is over; after its own event. Keeps errno. Context: hook, under the guard. */
static inline void delay_after(struct fr_thread *t, uint64_t dur)
{
	/* 0, off, becomes the largest number. */
	if (unlikely(dur > __atomic_load_n(&fr_control->delay_ns, __ATOMIC_RELAXED) - 1))
		delay_note(t, dur);
}

/* The thread begins; it ends: gives its descriptor back. Context: under the guard. */
void delay_attach(struct fr_thread *t);
void delay_detach(struct fr_thread *t);

/* Child of a fork: closes what was its parent's. Context: init. */
void delay_after_fork(void);

/*
 * The program is about to install a seccomp filter, which may kill whoever makes a system call that it does not know: no
 * more of ours. Context: any.
 */
void delay_stop(void);
int delay_is_stopped(void);
