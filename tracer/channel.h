/* SPDX-License-Identifier: MIT */
/*
 * Descriptors whose other end may be in this process: pipes, socket pairs, eventfds, connections to ourselves. A
 * channel has a number; each descriptor that is an end of it has its word in a table, and so have epoll instances, which
 * watch ends. What one thread waits for and another one brings about has a name made of that (wait_table.h).
 *
 * The table follows the descriptors: a word is there from the return of the call that made the descriptor until the
 * one that closes it begins. A child of fork() has its parent's. What libc closes inside itself goes unseen,
 * but for fclose(): such a word stays until the number is closed or given out again by a call that is hooked.
 */
#pragma once

#include <stdint.h>

#include "tracer/internal.h"
#include "tracer/wait_table.h"

#define CHANNEL_FDS 65536 /* descriptors from there on are not followed (counted) */

enum channel_kind {
	CHANNEL_PAIR = 0, /* two sides: what is put in at one is taken out at the other */
	CHANNEL_SELF,	  /* eventfd: one side */
	CHANNEL_EPOLL,
	CHANNEL_LISTENER, /* of sockets that may be connected to by ourselves */
};

/* id << 3 | kind << 1 | side; 0: not followed. */
extern uint32_t channel_ends[CHANNEL_FDS] __attribute__((visibility("hidden")));
extern uint32_t channel_n
	__attribute__((visibility("hidden"))); /* made so far, not 0 once there is one */

/* The word of a descriptor; 0 for what is none, too. */
static inline uint32_t channel_end(int fd)
{
	return likely((unsigned)fd < CHANNEL_FDS)
		       ? __atomic_load_n(&channel_ends[fd], __ATOMIC_RELAXED)
		       : 0;
}

static inline uint32_t channel_id(uint32_t end)
{
	return end >> 3;
}

static inline enum channel_kind channel_kind(uint32_t end)
{
	return (enum channel_kind)(end >> 1 & 3);
}

/* The other end of the same channel; an eventfd's own. */
static inline uint32_t channel_peer(uint32_t end)
{
	return channel_kind(end) == CHANNEL_PAIR ? end ^ 1 : end;
}

/* Names for wait_table.h: of something to take at an end, and of room to put something in there. */
static inline uintptr_t channel_data(uint32_t end)
{
	return WAIT_CHANNEL | (uintptr_t)channel_id(end) << 2 | (end & 1) << 1;
}

static inline uintptr_t channel_space(uint32_t end)
{
	return channel_data(end) | 1;
}

static inline uint32_t channel_of_name(uintptr_t name)
{
	return (uint32_t)((name & ~WAIT_CHANNEL) >> 2);
}

/* Do the descriptors of the calling thread belong to the table? Not in a child of vfork(), whose own they are. */
static inline int channel_follows(void)
{
	return fr_on && !fr_self.in_vfork && fr_self.stage != FR_STAGE_OFF;
}

/*
 * What the functions below say has happened to descriptors. All are wait-free, take no guard and keep errno; racing ones on
 * the same number leave one of their words. They do nothing where channel_follows() says no. Context: hook.
 */
void channel_make_pair(const int fds[2]);		  /* fds[0] is side 0 */
void channel_make_one(int fd, enum channel_kind kind);	  /* fd -1: nothing */
void channel_join(int fd, uint32_t end);		  /* a new descriptor of an end */
void channel_copy(int from, int to);			  /* dup and its like */
void channel_forget(int fd);				  /* before it is closed */
void channel_forget_range(unsigned first, unsigned last); /* likewise, all of them */
void channel_watch(int epoll, int operation, int fd, uint32_t events); /* epoll_ctl() succeeded */

/* Epoll instances that watch for a name. */
#define CHANNEL_WATCHERS 8
unsigned channel_watchers(uintptr_t name, uintptr_t epolls_out[CHANNEL_WATCHERS]);

/* Is anything watched by an epoll instance? */
int channel_has_watches(void);

/* Forgets all: for tests. */
void channel_reset(void);
