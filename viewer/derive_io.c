/* SPDX-License-Identifier: MIT */
/* Profiles `net` and `syscall`: time inside libc's calls, at the stack that called. Sleep is in neither. */
#include "viewer/derive.h"

#include "proto/schema.h"

static void call_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	const struct derive_key key = { .process = at->process,
		.stack = trace_stack(trace, at->process, at->event->stack) };
	const int64_t values[] = { 1, (int64_t)derive_dur(derive, trace, at) };

	if (values[1] > 0)
		derive_add(derive, &key, values);
}

static int is_call(const struct trace_event *at)
{
	return at->event->kind == EVENT_CALL || at->event->kind == EVENT_PATH;
}

static void net_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	if (is_call(at) && event_call_class(at->event->call.call) == FR_CALL_NET)
		call_event(derive, trace, at);
}

static void syscall_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	if (!is_call(at))
		return;
	uint32_t class = event_call_class(at->event->call.call);
	if (class != FR_CALL_NET && class != FR_CALL_SLEEP)
		call_event(derive, trace, at);
}

const struct derivation derive_net = {
	.name = "net",
	.about = "waits for the network: poll, epoll, select, recv, send, accept, connect",
	.types = { { "contentions", "count" }, { "delay", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "trace", "count" },
	.event = net_event,
};

const struct derivation derive_syscall = {
	.name = "syscall",
	.about = "time in all other system calls made through libc, without sleeping",
	.types = { { "contentions", "count" }, { "delay", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "trace", "count" },
	.event = syscall_event,
};
