/* SPDX-License-Identifier: MIT */
#include "tracer/lock_wait.h"

#include "tracer/delay.h"
#include "tracer/events_lock.h"
#include "tracer/lock_profile.h"
#include "tracer/trigger.h"

static const uint8_t lock_states[FR_LOCK_N] = {
#define FR_X(id, name, state) [id] = (state),
	FR_LOCK_TABLE(FR_X)
#undef FR_X
};

/* Is there an owner that lets others in by an unlock? What Go's mutex profile covers. */
static int has_owner(unsigned kind)
{
	switch (kind) {
	case FR_LOCK_MUTEX:
	case FR_LOCK_RWLOCK_RD:
	case FR_LOCK_RWLOCK_WR:
	case FR_LOCK_SPIN:
		return 1;
	default:
		return 0;
	}
}

static int begin(struct lock_wait *wait, const void *mutex, uintptr_t frame, uintptr_t caller)
{
	struct fr_thread *t = &fr_self;
	struct thread_state state = {
		.state = lock_states[wait->kind],
		.obj = wait->obj,
		.holder = wait->holder,
		.fd = -1,
		.lock = wait->kind + 1u,
	};
	int saved_errno = errno;

	/*
	 * liblttng-ust takes mutexes inside a tracepoint's first use and at the exit of every thread that traced: a
	 * tracepoint from there would take them again.
	 */
	if (!fr_on || fr_is_lttng(caller) || !guard_enter(t, frame))
		return 0;
	wait->stack = fr_capture(t, frame, FR_REPEAT_LOCK);
	wait->mark[WAIT_LOCK] = wait_enter(
		t, WAIT_LOCK, wait->obj | (wait->kind == FR_LOCK_RWLOCK_RD ? WAIT_READER : 0));
	if (mutex)
		wait->mark[WAIT_MUTEX] = wait_enter(t, WAIT_MUTEX, (uintptr_t)mutex);
	wait->begin_ns = fr_now();
	state.since_ns = wait->begin_ns;
	state.stack = wait->stack;
	thread_enter(t, &state, &wait->wait);
	guard_leave(t);
	errno = saved_errno;
	return 1;
}

int lock_wait_begin(struct lock_wait *wait, enum fr_lock kind, const void *obj, uint32_t holder,
	uintptr_t frame, uintptr_t caller)
{
	wait->kind = (uint8_t)kind;
	wait->obj = (uintptr_t)obj;
	wait->holder = holder;
	return begin(wait, NULL, frame, caller);
}

int lock_wait_begin_cond(struct lock_wait *wait, const void *cond, const void *mutex,
	uintptr_t frame, uintptr_t caller)
{
	wait->kind = FR_LOCK_COND;
	wait->obj = (uintptr_t)cond;
	wait->holder = 0;
	return begin(wait, mutex, frame, caller);
}

/* What was heard during a wait. */
struct heard {
	uint64_t begin_ns, end_ns;
	struct wait_release releases[WAIT_N_RELEASES], relocks[WAIT_N_RELEASES];
	unsigned n_releases, n_relocks; /* relocks: of the mutex that a condition takes again */
	bool is_vain;			/* it ended without the lock */
};

/*
 * A condition was signalled while others held its mutex: from the signal on, the waiter waited for them. Those who
 * let it go before did not matter.
 */
static unsigned after_signal(const struct heard *heard, uint64_t signal_ns)
{
	unsigned i = 0;

	while (i < heard->n_relocks && heard->relocks[i].time_ns < signal_ns)
		i++;
	return i;
}

static void profile_relock(struct fr_thread *t, const struct heard *heard, uint64_t signal_ns)
{
	struct lock_profile_wait wait = { .begin_ns = signal_ns, .end_ns = heard->end_ns };
	unsigned first = after_signal(heard, signal_ns);

	wait.releases = &heard->relocks[first];
	wait.n_releases = heard->n_relocks - first;
	if (wait.n_releases)
		lock_profile_mutex(t, &wait);
}

/* Into the profiles, whatever the thresholds of events. */
static void profile(
	struct fr_thread *t, const struct lock_wait *wait, int ret, const struct heard *heard)
{
	struct lock_profile_wait owned = { .begin_ns = wait->begin_ns,
		.end_ns = heard->end_ns,
		.releases = heard->releases,
		.n_releases = heard->n_releases,
		.is_vain = heard->is_vain };

	/* Answers that come at once, whoever has the lock. */
	if (ret == EDEADLK || ret == EINVAL || ret == EAGAIN)
		return;
	fr_count(block_ns, heard->end_ns - wait->begin_ns);
	lock_profile_block(t, wait->stack, heard->end_ns - wait->begin_ns);
	if (has_owner(wait->kind))
		lock_profile_mutex(t, &owned);
	else if (wait->kind == FR_LOCK_COND && heard->n_releases && ret == 0)
		profile_relock(t, heard,
			wait_pick(heard->releases, heard->n_releases, heard->end_ns)->time_ns);
}

/*
 * Who let the waiter in. A lock that was let go may be taken by somebody else, so there it is the last. After a signal the mutex
 * is taken again: if that took the longer part of the wait, then it is who kept the mutex. NULL: not known.
 */
static const struct wait_release *who_let_in(unsigned kind, const struct heard *heard)
{
	const struct wait_release *who;
	unsigned first;

	if (heard->is_vain || !heard->n_releases)
		return NULL;
	who = &heard->releases[heard->n_releases - 1];
	if (kind == FR_LOCK_BARRIER || kind == FR_LOCK_COND)
		who = wait_pick(heard->releases, heard->n_releases, heard->end_ns);
	if (kind != FR_LOCK_COND)
		return who;
	first = after_signal(heard, who->time_ns);
	if (first < heard->n_relocks) {
		const struct wait_release *unlock = &heard->relocks[heard->n_relocks - 1];

		if (unlock->time_ns - who->time_ns > who->time_ns - heard->begin_ns)
			return unlock;
	}
	return who;
}

static void emit(
	struct fr_thread *t, const struct lock_wait *wait, int ret, const struct heard *heard)
{
	const struct wait_release *who = who_let_in(wait->kind, heard);
	struct fr_event_wait e = { .kind = wait->kind,
		.ret = ret,
		.obj = wait->obj,
		.dur = heard->end_ns - wait->begin_ns,
		.holder = wait->holder };

	if (who) {
		e.holder = who->tid;
		e.holder_stack = who->stack;
		/* Registered before the wait began. */
		e.wake = heard->end_ns - who->time_ns;
		if (e.wake > e.dur)
			e.wake = e.dur;
	}
	fr_event_init(&e.common, t, wait->stack);
	lttng_ust_tracepoint(flightrec_lock, wait, &e);
	fr_count_own(t, events, 1);
}

/* Conditions, semaphores, joins and the like are left out: their waits may be for work. */
static void fire(struct fr_thread *t, const struct lock_wait *wait, uint64_t dur)
{
	struct trigger trigger = { .kind = FR_TRIGGER_LOCK,
		.stack = wait->stack,
		.call = wait->kind,
		.obj = wait->obj,
		.value = dur };

	trigger.limit = __atomic_load_n(&fr_control->trigger_lock_ns, __ATOMIC_RELAXED);
	trigger_fire(t, &trigger);
}

void lock_wait_end(struct lock_wait *wait, int ret)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;
	struct heard heard;
	int is_short;
	uint64_t dur;

	if (!guard_enter(t, FR_FRAME()))
		goto out;
	heard.begin_ns = wait->begin_ns;
	heard.end_ns = fr_now();
	heard.is_vain = ret != 0 && ret != EOWNERDEAD;
	heard.n_relocks = 0;
	dur = heard.end_ns - wait->begin_ns;
	heard.n_releases = wait_leave(t, WAIT_LOCK, wait->mark[WAIT_LOCK], heard.releases);
	if (wait->kind == FR_LOCK_COND)
		heard.n_relocks = wait_leave(t, WAIT_MUTEX, wait->mark[WAIT_MUTEX], heard.relocks);
	is_short = dur < __atomic_load_n(&fr_control->lock_ns, __ATOMIC_RELAXED);
	/* First of all: it is stamped when it is written, and means now. */
	if (!is_short && fr_wants(FR_EVENTS_LOCK))
		emit(t, wait, ret, &heard);
	thread_leave(t, &wait->wait);
	fr_count(locks_waited, 1);
	if (is_short)
		fr_count(locks_short, 1);
	profile(t, wait, ret, &heard);
	delay_after(t, dur);
	if (trigger_is_over(dur, &fr_control->trigger_lock_ns) && has_owner(wait->kind))
		fire(t, wait, dur);
	guard_leave(t);
out:
	errno = saved_errno;
}

void lock_wait_drop(struct lock_wait *wait)
{
	struct fr_thread *t = &fr_self;
	struct wait_release releases[WAIT_N_RELEASES];
	int saved_errno = errno;

	if (guard_enter(t, FR_FRAME())) {
		wait_leave(t, WAIT_LOCK, wait->mark[WAIT_LOCK], releases);
		thread_leave(t, &wait->wait);
		lock_free_count();
		guard_leave(t);
	}
	errno = saved_errno;
}
