/* SPDX-License-Identifier: MIT */
/* Per-thread blocks and their slots in the blackbox. */
#pragma once

#include <stdint.h>

#include "tracer/internal.h"

/* Sets up the tables for this process. Returns 0 or -errno. Context: init. */
int thread_init(void);

/* What a creator hands to a new thread. */
struct thread_birth {
	uint32_t creator, creator_stack;
	uint64_t start_routine;
	uint64_t stack_size; /* 0: unknown */
	const char *labels;  /* inherited; NULL none. Borrowed for the call. */
};

/*
 * Makes the calling thread a traced one: slot, stack bounds, flightrec_thread:start. Does nothing when it is
 * one already or is never to be. Context: hook; `birth` NULL when the thread was not created through our hook.
 */
void thread_attach(const struct thread_birth *birth);

/* Ends it: flightrec_thread:exit, slot marked. Context: the thread itself, late in its exit. */
void thread_detach(void);

/*
 * All slots used so far, and what belongs to them, in parallel; borrowed. Returns their number. A slot may change at any
 * time. Context: hook | helper thread.
 */
uint32_t thread_table(struct fr_slot **slots_out, struct fr_private **privates_out);

/* Child of a fork: the one thread that is left gets a new slot in the new blackbox. Context: init. */
void thread_after_fork(void);

/* The thread was named: slot and event. Context: hook. */
void thread_renamed(const char *name);

/* tid of a living thread by its pthread_t; 0 unknown. Bounded scan. Context: hook. */
uint32_t thread_tid_of(uint64_t pthread);

/* State of the calling thread, as its slot shows it. */
struct thread_state {
	uint64_t since_ns, obj;
	uint32_t state, call, holder, stack;
	int32_t fd;
	uint32_t lock; /* enum fr_lock + 1; 0: none */
};

/* A wait or call under way; lives in the frame of the hook. */
struct thread_wait {
	uint64_t cookie;	/* its beginning; says that the frame is still alive */
	const uint64_t *inside; /* of the one that this one interrupted */
	struct thread_state saved;
	int is_nested;
};

/*
 * The thread enters a wait or call. When another one is under way (a signal handler inside a blocking
 * call), its state is kept and put back at the end; one that was left by longjmp is recognised by its
 * frame, which is then no longer above ours with its cookie in place. Context: hook, under the guard.
 */
void thread_enter(struct fr_thread *t, const struct thread_state *state, struct thread_wait *wait);

/* It is over: running again, or back to what was interrupted. Context: hook. */
void thread_leave(struct fr_thread *t, struct thread_wait *wait);

/* Writes the slot's labels, text and id. Context: hook, under the guard. */
void thread_set_labels(struct fr_thread *t, const char *labels, uint32_t id);
