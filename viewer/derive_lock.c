/* SPDX-License-Identifier: MIT */
/*
 * Profiles of waits for each other: by who waited (sync, block), by the lock (lock), by who let go (mutex), by who ended
 * the wait (waker).
 */
#include "viewer/derive.h"

#include "proto/schema.h"

static void add_at(struct derive *derive, const struct trace_event *at, uint32_t stack,
	uint32_t labels, uint64_t dur)
{
	const struct derive_key key = { .process = at->process, .stack = stack, .labels = labels };
	const int64_t values[] = { 1, (int64_t)dur };

	derive_add(derive, &key, values);
}

static void sync_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	uint64_t dur = at->event->kind == EVENT_WAIT ? derive_dur(derive, trace, at) : 0;

	if (dur > 0)
		add_at(derive, at, trace_stack(trace, at->process, at->event->stack), 0, dur);
}

static int is_contention(uint32_t kind)
{
	return kind == FR_LOCK_MUTEX || kind == FR_LOCK_RWLOCK_RD || kind == FR_LOCK_RWLOCK_WR ||
	       kind == FR_LOCK_SPIN;
}

static void mutex_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint64_t dur;

	if (event->kind != EVENT_WAIT || !is_contention(event->wait.kind))
		return;
	dur = derive_dur(derive, trace, at);
	if (dur > 0)
		add_at(derive, at, trace_stack(trace, at->process, event->wait.holder_stack), 0,
			dur);
}

static void waker_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint32_t stack = 0;
	uint64_t dur;

	/* A wait that timed out or was over at once was ended by nobody. */
	if (event->kind == EVENT_WAIT && (event->wait.holder || event->wait.holder_stack))
		stack = event->wait.holder_stack;
	else if (event->kind == EVENT_WOKEN)
		stack = event->woken.waker_stack;
	else
		return;
	dur = derive_dur(derive, trace, at);
	if (dur > 0)
		add_at(derive, at, trace_stack(trace, at->process, stack), 0, dur);
}

static void lock_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint64_t dur = event->kind == EVENT_WAIT ? derive_dur(derive, trace, at) : 0;
	uint32_t state = event->kind == EVENT_WAIT ? event_lock_state(event->wait.kind) : 0;

	if (!dur)
		return;
	/* Both sides of an rwlock are one lock. */
	g_autofree char *label = g_strdup_printf(
		"lock=%s 0x%" G_GINT64_MODIFIER "x", event_state_name(state), event->wait.obj);
	add_at(derive, at, trace_stack(trace, at->process, event->stack),
		strings_add(trace->strings, label), dur);
}

#define WAITS                                  \
	{                                      \
		{ "contentions", "count" },    \
		{                              \
			"delay", "nanoseconds" \
		}                              \
	}

const struct derivation derive_sync = {
	.name = "sync",
	.about = "waits for locks, conditions, semaphores, barriers and other threads",
	.types = WAITS,
	.n_types = 2,
	.period_type = { "trace", "count" },
	.event = sync_event,
};

const struct derivation derive_block = {
	.name = "block",
	.about = "the same, in the form of the program's own block profile",
	.types = WAITS,
	.n_types = 2,
	.period_type = { "contentions", "count" },
	.event = sync_event,
};

const struct derivation derive_mutex = {
	.name = "mutex",
	.about = "what mutexes, rwlocks and spinlocks made others wait, by who let go",
	.types = WAITS,
	.n_types = 2,
	.period_type = { "contentions", "count" },
	.event = mutex_event,
};

const struct derivation derive_waker = {
	.name = "waker",
	.about = "all waits that a thread of the program ended (locks, conditions, pipes, ...), by "
		 "its stack then",
	.types = WAITS,
	.n_types = 2,
	.period_type = { "contentions", "count" },
	.event = waker_event,
};

const struct derivation derive_lock = {
	.name = "lock",
	.about = "waits by lock: label `lock` names it (pprof -tagfocus=lock=...)",
	.types = WAITS,
	.n_types = 2,
	.period_type = { "contentions", "count" },
	.event = lock_event,
};
