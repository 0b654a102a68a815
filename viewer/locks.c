/* SPDX-License-Identifier: MIT */
/* Two tables, found by idmap: locks by (process and state, address), pairs by lock, sites and holder. */
#include "viewer/locks.h"

#include "proto/schema.h"

void locks_init(struct locks *locks)
{
	*locks = (struct locks){ 0 };
	locks->locks = g_array_new(FALSE, FALSE, sizeof(struct lock));
	locks->pairs = g_array_new(FALSE, FALSE, sizeof(struct lock_pair));
}

void locks_fini(struct locks *locks)
{
	if (locks->locks)
		g_array_free(locks->locks, TRUE);
	if (locks->pairs)
		g_array_free(locks->pairs, TRUE);
	idmap_fini(&locks->by_obj);
	idmap_fini(&locks->by_pair);
	*locks = (struct locks){ 0 };
}

static void total_add(struct lock_total *total, uint64_t ns)
{
	total->n++;
	total->ns += ns;
	total->max_ns = MAX(total->max_ns, ns);
}

/* Index of the lock, or IDMAP_NONE when the table is full. */
static uint32_t find_lock(struct locks *locks, uint32_t process, uint32_t kind, uint64_t obj)
{
	uint64_t key = (uint64_t)process << 32 | event_lock_state(kind);
	uint32_t index = idmap_get(&locks->by_obj, key, obj);

	if (index == IDMAP_NONE && locks->locks->len < LOCKS_MAX) {
		struct lock lock = { .obj = obj, .process = process, .kind = kind };
		index = locks->locks->len;
		g_array_append_val(locks->locks, lock);
		idmap_set(&locks->by_obj, key, obj, index);
	}
	return index;
}

static struct lock_pair *find_pair(struct locks *locks, struct lock_pair want)
{
	uint64_t a = (uint64_t)want.lock << 32 | want.holder;
	uint64_t b = (uint64_t)want.waiter_site << 32 | want.holder_site;
	uint32_t index = idmap_get(&locks->by_pair, a, b);

	if (index == IDMAP_NONE) {
		if (locks->pairs->len >= LOCKS_MAX)
			return NULL;
		index = locks->pairs->len;
		g_array_append_val(locks->pairs, want);
		idmap_set(&locks->by_pair, a, b, index);
	}
	return &g_array_index(locks->pairs, struct lock_pair, index);
}

static int locks_event(void *self, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	struct locks *locks = self;

	if (event->kind != EVENT_WAIT)
		return 0;
	locks->n_waits++;
	uint32_t index = find_lock(locks, at->process, event->wait.kind, event->wait.obj);
	if (index == IDMAP_NONE) {
		total_add(&locks->rest, at->dur_ns);
		return 0;
	}
	struct lock *lock = &g_array_index(locks->locks, struct lock, index);
	total_add(&lock->total, at->dur_ns);
	lock->n_failed += event->wait.ret != 0;
	uint32_t waiter = trace_stack(trace, at->process, event->stack);
	uint32_t holder = trace_stack(trace, at->process, event->wait.holder_stack);
	struct lock_pair *pair = find_pair(locks,
		(struct lock_pair){
			.lock = index,
			.waiter_site = stacks_site(&trace->stacks, waiter),
			.holder_site = holder ? stacks_site(&trace->stacks, holder) : 0,
			.holder = event->wait.holder ? trace_find_thread(trace, at->process,
							       event->wait.holder, event->time_ns)
						     : THREAD_NONE,
		});
	if (pair)
		total_add(&pair->total, at->dur_ns);
	return 0;
}

struct trace_pass locks_pass(struct locks *locks)
{
	return (struct trace_pass){
		.event = locks_event, .self = locks, .kinds = TRACE_KIND(EVENT_WAIT)
	};
}

static int state_lock(uint32_t state, uint32_t *kind_out)
{
	for (uint32_t kind = 0; kind < FR_LOCK_N; kind++)
		if (event_lock_state(kind) == state) {
			*kind_out = kind;
			return 1;
		}
	return 0;
}

void locks_finish(struct locks *locks, struct trace *trace)
{
	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		uint64_t begin = MAX(thread->since_ns, trace->begin_ns);
		uint32_t kind;
		if (!thread->since_ns || !state_lock(thread->state, &kind))
			continue;
		uint32_t index = find_lock(locks, thread->process, kind, thread->obj);
		if (index == IDMAP_NONE)
			continue;
		struct lock *lock = &g_array_index(locks->locks, struct lock, index);
		lock->n_open++;
		lock->open_ns += trace->end_ns > begin ? trace->end_ns - begin : 0;
	}
}
