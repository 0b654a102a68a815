/* SPDX-License-Identifier: MIT */
/*
 * A call is recorded when it returns. Its stack is taken before, so that a thread that never comes back
 * shows in its slot where it waits. Nothing on the way of a short call touches errno.
 */
#include "tracer/call.h"

#include <string.h>

#include "tracer/call_channel.h"
#include "tracer/call_total.h"
#include "tracer/delay.h"
#include "tracer/events_syscall.h"
#include "tracer/trigger.h"

static const uint8_t call_states[FR_CALL_N] = {
#define FR_X(name, class, state) [FR_CALL_##name] = (state),
	FR_CALL_TABLE(FR_X)
#undef FR_X
};

int call_begin_slow(struct call *call, unsigned id, int fd, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;
	struct thread_state state = { .state = call_states[id], .call = id, .fd = fd };
	uint32_t end;

	if (!guard_enter(t, frame))
		return 0;
	call->id = (uint16_t)id;
	call->fd = fd;
	call->stack =
		fr_wants(FR_EVENTS_SYSCALL) ? fr_capture(t, frame, FR_REPEAT_CALL) : FR_STACK_NONE;
	call->begin_ns = fr_now();
	state.stack = call->stack;
	state.since_ns = call->begin_ns;
	thread_enter(t, &state, &call->wait);
	call->n_heard = 0;
	end = channel_end(fd);
	if (unlikely(end))
		call_channel_begin(t, call, end, frame);
	guard_leave(t);
	return 1;
}

static uint64_t threshold(void)
{
	uint64_t always = __atomic_load_n(&fr_control->syscall_ns, __ATOMIC_RELAXED);
	uint64_t ring = __atomic_load_n(&fr_control->ring_syscall_ns, __ATOMIC_RELAXED);

	if (__atomic_load_n(&fr_control->is_run, __ATOMIC_RELAXED) || ring < always)
		return always;
	return ring;
}

static void emit(
	struct fr_thread *t, const struct call *call, int64_t ret, uint64_t dur, const char *path)
{
	struct fr_event_call e = { .call = call->id, .fd = call->fd, .ret = ret, .dur = dur };
	int saved_errno = errno;
	char text[256];

	fr_event_init(&e.common, t, call->stack);
	if (path) {
		size_t n = strnlen(path, sizeof(text) - 1);

		memcpy(text, path, n);
		text[n] = '\0';
		e.path = text;
		lttng_ust_tracepoint(flightrec_syscall, path, &e);
	} else {
		lttng_ust_tracepoint(flightrec_syscall, call, &e);
	}
	fr_count_own(t, events, 1);
	errno = saved_errno;
}

void call_end(struct call *call, int64_t ret, const char *path)
{
	struct fr_thread *t = &fr_self;
	uint64_t dur;
	int is_short;

	if (!guard_enter(t, FR_FRAME()))
		return;
	dur = fr_now() - call->begin_ns;
	is_short = dur < threshold();
	/* First of all: it is stamped when it is written, and means now. */
	if (!is_short && fr_wants(FR_EVENTS_SYSCALL))
		emit(t, call, ret, dur, path && call_saw_path(ret) && path[0] ? path : NULL);
	fr_count_own(t, syscalls, 1);
	if (is_short)
		fr_count_own(t, syscalls_short, 1);
	if (unlikely(call->n_heard))
		call_channel_end(t, call, is_short ? -1 : ret, dur);
	call_total_add(t, call->id, dur, ret, is_short);
	delay_after(t, dur);
	if (trigger_is_over(dur, &fr_control->trigger_call_ns))
		trigger_call(t, call, dur);
	thread_leave(t, &call->wait);
	guard_leave(t);
}

int call_saw_path(int64_t ret)
{
	switch (-ret) {
	case ENOENT:
	case EACCES:
	case EEXIST:
	case ENOTDIR:
	case EISDIR:
	case ENOTEMPTY:
	case ELOOP:
	case EROFS:
	case EXDEV:
	case ENOEXEC:
	case ETXTBSY:
	case ECONNREFUSED:
	case EINPROGRESS:
	case EADDRINUSE:
	case EADDRNOTAVAIL:
		return 1;
	default:
		return ret >= 0;
	}
}

void call_announce(struct call *call, const char *path)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;

	if (!guard_enter(t, FR_FRAME()))
		return;
	if (fr_wants(FR_EVENTS_SYSCALL))
		emit(t, call, 0, 0, path);
	guard_leave(t);
	errno = saved_errno;
}
