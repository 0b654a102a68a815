/* SPDX-License-Identifier: MIT */
/*
 * Who ended the waits of others, by the stack it had then: unlocks, signals, posts, exits, and writes to pipes, eventfds
 * and connections inside the process.
 */
#pragma once

#include "viewer/trace.h"

/* Stacks beyond this are counted together in `rest`. */
#define WAKERS_MAX 262144

/* thread of several */
#define WAKER_VARIOUS (UINT32_MAX - 1)

struct waker {
	uint64_t n, ns, max_ns;	 /* waits ended, how long they had lasted */
	uint32_t process, stack; /* indices */
	uint32_t thread; /* the one that always did it, WAKER_VARIOUS, or THREAD_NONE: unknown */
	uint32_t states; /* bits by enum fr_state: what was waited for */
};

struct wakers {
	GArray *wakers; /* struct waker */
	struct idmap by_stack;
	uint64_t n_rest, rest_ns;
};

void wakers_init(struct wakers *wakers);
void wakers_fini(struct wakers *wakers);
struct trace_pass wakers_pass(struct wakers *wakers);
