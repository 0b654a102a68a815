/* SPDX-License-Identifier: MIT */
#include "tracer/lock_wait.h"

#include "tracer/events_lock.h"

static const uint8_t lock_states[FR_LOCK_N] = {
#define FR_X(id, name, state) [id] = (state),
	FR_LOCK_TABLE(FR_X)
#undef FR_X
};

int lock_wait_begin(struct lock_wait *wait, enum fr_lock kind, const void *obj, uint32_t holder,
	uintptr_t frame, uintptr_t caller)
{
	struct fr_thread *t = &fr_self;
	struct thread_state state = {
		.state = lock_states[kind], .obj = (uintptr_t)obj, .holder = holder, .fd = -1
	};
	int saved_errno = errno;

	/*
	 * liblttng-ust takes mutexes inside a tracepoint's first use and at the exit of every thread that traced: a
	 * tracepoint from there would take them again.
	 */
	if (!fr_on || fr_is_lttng(caller) || !guard_enter(t, frame))
		return 0;
	wait->kind = (uint8_t)kind;
	wait->obj = (uintptr_t)obj;
	wait->holder = holder;
	wait->stack = fr_capture(t, frame, FR_REPEAT_LOCK);
	wait_enter(t, (uintptr_t)obj | (kind == FR_LOCK_RWLOCK_RD ? WAIT_READER : 0));
	wait->begin_ns = fr_now();
	state.since_ns = wait->begin_ns;
	state.stack = wait->stack;
	thread_enter(t, &state, &wait->wait);
	guard_leave(t);
	errno = saved_errno;
	return 1;
}

void lock_wait_end(struct lock_wait *wait, int ret)
{
	struct fr_thread *t = &fr_self;
	struct fr_event_wait e = { .kind = wait->kind, .ret = ret, .obj = wait->obj };
	int saved_errno = errno;

	if (!guard_enter(t, FR_FRAME()))
		goto out;
	e.dur = fr_now() - wait->begin_ns;
	wait_leave(t, &e.holder, &e.holder_stack);
	if (!e.holder)
		e.holder = wait->holder;
	thread_leave(t, &wait->wait);
	fr_count(locks_waited, 1);
	if (e.dur < __atomic_load_n(&fr_control->lock_ns, __ATOMIC_RELAXED)) {
		fr_count(locks_short, 1);
	} else if (fr_wants(FR_EVENTS_LOCK)) {
		fr_event_init(&e.common, t, wait->stack);
		lttng_ust_tracepoint(flightrec_lock, wait, &e);
		fr_count_own(t, events, 1);
	}
	guard_leave(t);
out:
	errno = saved_errno;
}

void lock_wait_drop(struct lock_wait *wait)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;
	uint32_t tid, stack;

	if (guard_enter(t, FR_FRAME())) {
		wait_leave(t, &tid, &stack);
		thread_leave(t, &wait->wait);
		lock_free_count();
		guard_leave(t);
	}
	errno = saved_errno;
}
