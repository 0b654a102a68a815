/* SPDX-License-Identifier: MIT */
/* The way into the functions of flightrec.h that write events: the guard, errno, the event. */
#pragma once

#include "tracer/events_user.h"
#include "tracer/internal.h"

struct user_entry {
	struct fr_thread *t;
	int saved_errno;
};

/* Takes the guard; 0: not traced, or inside our own work. `frame` is that of the exported function. */
static inline int user_enter(struct user_entry *entry, uintptr_t frame)
{
	if (!fr_on)
		return 0;
	entry->saved_errno = errno;
	entry->t = &fr_self;
	if (!guard_enter(entry->t, frame)) {
		errno = entry->saved_errno;
		return 0;
	}
	return 1;
}

static inline void user_leave(struct user_entry *entry)
{
	guard_leave(entry->t);
	errno = entry->saved_errno;
}

/* An event of flightrec_user with the stack of the caller, when it is wanted. */
#define USER_EMIT(entry, event, e, frame)                                       \
	do {                                                                    \
		if (fr_wants(FR_EVENTS_USER)) {                                 \
			fr_event_init(&(e)->common, (entry)->t,                 \
				fr_capture((entry)->t, frame, FR_REPEAT_USER)); \
			lttng_ust_tracepoint(flightrec_user, event, e);         \
			fr_count_own((entry)->t, events, 1);                    \
		}                                                               \
	} while (0)
