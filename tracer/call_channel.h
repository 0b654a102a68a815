/* SPDX-License-Identifier: MIT */
/*
 * Calls on channels: who waits for one says so before the real call, who puts something in or takes something out tells
 * those who wait. A call that was let go on that way is followed by flightrec_sched:woken.
 */
#pragma once

#include <poll.h>
#include <sys/select.h>

#include "tracer/call.h"
#include "tracer/channel.h"

/*
 * The call is on a descriptor whose word is `end`. `frame` as in call_begin(). Context: call_begin(), under the guard.
 */
void call_channel_begin(struct fr_thread *t, struct call *call, uint32_t end, uintptr_t frame);

/* It returned `ret` after `dur` ns; negative: no event is wanted. Context: call_end(), under the guard. */
void call_channel_end(struct fr_thread *t, struct call *call, int64_t ret, uint64_t dur);

/*
 * poll() and select() of any number of descriptors, between call_begin() and the real call; the first FR_HEARD that are
 * channels count. Arrays that may not be readable are not looked at: readable are those on the thread's stack, and
 * the one that the kernel has read the last time.
 */
void call_channel_poll(struct call *call, const struct pollfd *fds, nfds_t n, uintptr_t frame);
void call_channel_select(
	struct call *call, int n, const fd_set *readable, const fd_set *writable, uintptr_t frame);

/* The call has put something into what has that name. */
void call_channel_tell(struct call *call, uintptr_t name, uintptr_t frame);

/* poll() has read `size` bytes there. */
void call_channel_polled(const void *array, size_t size);

/* Spares all that where there is no channel. */
static inline int call_channel_any(void)
{
	return unlikely(__atomic_load_n(&channel_n, __ATOMIC_RELAXED) != 0);
}
