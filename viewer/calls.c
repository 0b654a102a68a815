/* SPDX-License-Identifier: MIT */
/* A place is (process, call, site): descriptors and paths are kept only while they are the same. */
#include "viewer/calls.h"

void calls_init(struct calls *calls)
{
	*calls = (struct calls){ 0 };
	calls->sites = g_array_new(FALSE, FALSE, sizeof(struct call_site));
}

void calls_fini(struct calls *calls)
{
	if (calls->sites)
		g_array_free(calls->sites, TRUE);
	idmap_fini(&calls->by_site);
	*calls = (struct calls){ 0 };
}

static struct call_stat *call_stat(struct calls *calls, uint32_t call)
{
	return &calls->by_call[MIN(call, (uint32_t)FR_CALL_N)];
}

static struct call_site *find_site(
	struct calls *calls, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint32_t site = stacks_site(&trace->stacks, trace_stack(trace, at->process, event->stack));
	uint64_t key = (uint64_t)at->process << 32 | event->call.call;
	uint32_t index = idmap_get(&calls->by_site, key, site);

	if (index == IDMAP_NONE) {
		struct call_site new = { .process = at->process,
			.call = event->call.call,
			.site = site,
			.fd = event->call.fd };
		if (calls->sites->len >= CALL_SITES_MAX)
			return NULL;
		if (event->kind == EVENT_PATH)
			new.path = strings_add(trace->strings, event->call.path);
		index = calls->sites->len;
		g_array_append_val(calls->sites, new);
		idmap_set(&calls->by_site, key, site, index);
	}
	return &g_array_index(calls->sites, struct call_site, index);
}

static int calls_event(void *self, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	struct calls *calls = self;
	uint64_t bytes = 0;

	if (event->kind != EVENT_CALL && event->kind != EVENT_PATH)
		return 0;
	if (event->call.ret > 0 && event_call_moves_bytes(event->call.call))
		bytes = (uint64_t)event->call.ret;
	struct call_stat *stat = call_stat(calls, event->call.call);
	stat->n++;
	stat->ns += at->dur_ns;
	stat->max_ns = MAX(stat->max_ns, at->dur_ns);
	stat->bytes += bytes;
	stat->n_errors += event->call.ret < 0;
	struct call_site *site = find_site(calls, trace, at);
	if (!site) {
		calls->n_sites_left_out++;
		return 0;
	}
	site->n++;
	site->ns += at->dur_ns;
	site->max_ns = MAX(site->max_ns, at->dur_ns);
	site->bytes += bytes;
	site->n_errors += event->call.ret < 0;
	if (site->fd != event->call.fd)
		site->fd = CALL_FD_VARIOUS;
	if (event->kind == EVENT_PATH && !site->is_path_various &&
		!g_str_equal(strings_get(trace->strings, site->path), event->call.path))
		site->is_path_various = 1;
	return 0;
}

struct trace_pass calls_pass(struct calls *calls)
{
	return (struct trace_pass){
		.event = calls_event,
		.self = calls,
		.kinds = TRACE_KIND(EVENT_CALL) | TRACE_KIND(EVENT_PATH),
	};
}

void calls_finish(struct calls *calls, struct trace *trace)
{
	for (guint i = 0; i < trace->totals->len; i++) {
		const struct call_total *total =
			&g_array_index(trace->totals, struct call_total, i);
		struct call_stat *stat = call_stat(calls, total->call);
		stat->exact_n += total->n;
		stat->exact_ns += total->dur_ns;
		stat->exact_bytes += total->bytes;
		stat->short_n += total->n_short;
		stat->short_ns += total->short_ns;
	}
	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		uint64_t begin = MAX(thread->since_ns, trace->begin_ns);
		if (!thread->since_ns || thread->state == FR_STATE_RUNNING ||
			thread->state >= FR_STATE_EXITED ||
			event_call_state(thread->call) != thread->state)
			continue;
		struct call_stat *stat = call_stat(calls, thread->call);
		stat->n_open++;
		stat->open_ns += trace->end_ns > begin ? trace->end_ns - begin : 0;
	}
}
