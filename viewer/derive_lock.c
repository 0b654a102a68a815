/* SPDX-License-Identifier: MIT */
/* Profile `sync`: time threads waited for each other, at the stack that waited. */
#include "viewer/derive.h"

static void sync_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	const int64_t values[] = { 1, (int64_t)at->dur_ns };

	if (at->event->kind == EVENT_WAIT && at->dur_ns > 0)
		derive_add(derive, at->process, trace_stack(trace, at->process, at->event->stack),
			0, values);
}

const struct derivation derive_sync = {
	.name = "sync",
	.about = "waits for locks, conditions, semaphores, barriers and other threads",
	.types = { { "contentions", "count" }, { "delay", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "trace", "count" },
	.event = sync_event,
};
