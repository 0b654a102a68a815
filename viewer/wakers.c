/* SPDX-License-Identifier: MIT */
#include "viewer/wakers.h"

#include "proto/schema.h"

void wakers_init(struct wakers *wakers)
{
	*wakers = (struct wakers){ 0 };
	wakers->wakers = g_array_new(FALSE, FALSE, sizeof(struct waker));
}

void wakers_fini(struct wakers *wakers)
{
	if (wakers->wakers)
		g_array_free(wakers->wakers, TRUE);
	idmap_fini(&wakers->by_stack);
	*wakers = (struct wakers){ 0 };
}

static struct waker *find_waker(
	struct wakers *wakers, uint32_t process, uint32_t stack, uint32_t thread)
{
	/* Without a stack the thread is all there is to tell them apart. */
	uint64_t b = stack == STACK_INDEX_NONE ? UINT64_C(1) << 32 | thread : stack;
	uint32_t index = idmap_get(&wakers->by_stack, process, b);

	if (index == IDMAP_NONE) {
		struct waker new = { .process = process, .stack = stack, .thread = thread };
		if (wakers->wakers->len >= WAKERS_MAX)
			return NULL;
		index = wakers->wakers->len;
		g_array_append_val(wakers->wakers, new);
		idmap_set(&wakers->by_stack, process, b, index);
	}
	return &g_array_index(wakers->wakers, struct waker, index);
}

static int wakers_event(void *self, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	struct wakers *wakers = self;
	uint32_t tid, id, state, thread;

	if (event->kind == EVENT_WAIT) {
		tid = event->wait.holder;
		id = event->wait.holder_stack;
		state = event_lock_state(event->wait.kind);
	} else if (event->kind == EVENT_WOKEN) {
		tid = event->woken.waker;
		id = event->woken.waker_stack;
		state = event_call_state(event->woken.call);
	} else {
		return 0;
	}
	if ((!tid && !id) || !at->dur_ns)
		return 0;
	thread = tid ? trace_find_thread(trace, at->process, tid, event->time_ns) : THREAD_NONE;
	struct waker *waker =
		find_waker(wakers, at->process, trace_stack(trace, at->process, id), thread);
	if (!waker) {
		wakers->n_rest++;
		wakers->rest_ns += at->dur_ns;
		return 0;
	}
	waker->n++;
	waker->ns += at->dur_ns;
	waker->max_ns = MAX(waker->max_ns, at->dur_ns);
	waker->states |= 1u << state;
	if (waker->thread != thread)
		waker->thread = WAKER_VARIOUS;
	return 0;
}

struct trace_pass wakers_pass(struct wakers *wakers)
{
	return (struct trace_pass){
		.event = wakers_event,
		.self = wakers,
		.kinds = TRACE_KIND(EVENT_WAIT) | TRACE_KIND(EVENT_WOKEN),
	};
}
