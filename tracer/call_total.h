/* SPDX-License-Identifier: MIT */
/*
 * Totals per libc call (proto/blackbox.h). A thread adds without atomic operations to an array of its own, as long as
 * there are some; the others share a few, with atomic additions. An array goes from thread to thread with what
 * is in it: only the sum of all has a meaning.
 */
#pragma once

#include "tracer/internal.h"

/* The thread takes an array. Context: hook, under the guard. */
void call_total_attach(struct fr_thread *t);

/* It gives the array back; more calls of it go to a shared one. Context: hook, under the guard. */
void call_total_detach(struct fr_thread *t);

/* A new blackbox: nobody has an array. Context: init, one thread. */
void call_total_reset(void);

/* A call (enum fr_call) ended after `dur` ns with `ret` or -errno. Context: hook, under the guard. */
void call_total_add(struct fr_thread *t, unsigned id, uint64_t dur, int64_t ret, int is_short);
