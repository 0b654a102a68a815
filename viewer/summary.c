/* SPDX-License-Identifier: MIT */
/* Runs all analyses at once and ranks their rows; how they look is up to summary_text.c and summary_json.c. */
#include "viewer/summary.h"

#include <stdlib.h>

/* A counter of the tracer. */
#define SYSCALLS_SHORT "syscalls_short"

struct ranked {
	double key, second;
	uint32_t index;
};

static int ranked_compare(const void *a_, const void *b_)
{
	const struct ranked *a = a_, *b = b_;

	if (a->key != b->key)
		return a->key > b->key ? -1 : 1;
	if (a->second != b->second)
		return a->second > b->second ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* Sorts `ranked` (struct ranked) by key, largest first, and returns the indices. Frees it. */
static GArray *rank(GArray *ranked)
{
	GArray *order = g_array_new(FALSE, FALSE, sizeof(uint32_t));

	if (ranked->len)
		qsort(ranked->data, ranked->len, sizeof(struct ranked), ranked_compare);
	for (guint i = 0; i < ranked->len; i++)
		g_array_append_val(order, g_array_index(ranked, struct ranked, i).index);
	g_array_free(ranked, TRUE);
	return order;
}

static GArray *ranked_new(void)
{
	return g_array_new(FALSE, FALSE, sizeof(struct ranked));
}

static void ranked_add(GArray *ranked, uint32_t index, double key, double second)
{
	struct ranked new = { key, second, index };

	g_array_append_val(ranked, new);
}

void summary_init(struct summary *summary, struct trace *trace)
{
	*summary = (struct summary){ .trace = trace };
	summary->states = thread_states_new();
	locks_init(&summary->locks);
	calls_init(&summary->calls);
	allocs_init(&summary->allocs);
	tasks_init(&summary->tasks);
	wakers_init(&summary->wakers);
	cpu_samples_init(&summary->cpu);
}

void summary_fini(struct summary *summary)
{
	GArray *arrays[] = { summary->by_thread, summary->by_lock, summary->by_call,
		summary->by_call_site, summary->by_task, summary->by_region, summary->alloc_places,
		summary->first_pair, summary->by_waker, summary->by_cpu_site };

	for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++)
		if (arrays[i])
			g_array_free(arrays[i], TRUE);
	thread_states_free(summary->states);
	locks_fini(&summary->locks);
	calls_fini(&summary->calls);
	allocs_fini(&summary->allocs);
	tasks_fini(&summary->tasks);
	wakers_fini(&summary->wakers);
	cpu_samples_fini(&summary->cpu);
	*summary = (struct summary){ 0 };
}

void summary_passes(struct summary *summary, struct trace_pass passes[SUMMARY_N_PASSES])
{
	passes[0] = thread_states_pass(summary->states);
	passes[1] = locks_pass(&summary->locks);
	passes[2] = calls_pass(&summary->calls);
	passes[3] = allocs_pass(&summary->allocs);
	passes[4] = tasks_pass(&summary->tasks);
	passes[5] = wakers_pass(&summary->wakers);
	passes[6] = cpu_samples_pass(&summary->cpu);
}

/* Threads that were there within the window; the busiest of a process first, processes in their order. */
static GArray *rank_threads(const struct summary *summary)
{
	const struct trace *trace = summary->trace;
	GArray *ranked = ranked_new();

	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		const struct thread_time *time = thread_states_get(summary->states, i);
		double busy = thread->cpu_ns >= 0 ? (double)thread->cpu_ns : (double)time->run_ns;
		/* Those that nobody but the kernel knows: summary_unfollowed(). */
		if (!trace_thread_is_traced(trace, i))
			continue;
		if (time->present_ns > 0 || time->n_events > 0)
			ranked_add(ranked, i, -(double)thread->process, busy);
	}
	return rank(ranked);
}

static GArray *rank_locks(const struct summary *summary)
{
	GArray *ranked = ranked_new();

	for (guint i = 0; i < summary->locks.locks->len; i++) {
		const struct lock *lock = &g_array_index(summary->locks.locks, struct lock, i);
		ranked_add(ranked, i, (double)lock->total.ns + (double)lock->open_ns,
			(double)lock->total.n);
	}
	return rank(ranked);
}

static GArray *rank_calls(const struct summary *summary)
{
	GArray *ranked = ranked_new();

	for (uint32_t i = 0; i <= FR_CALL_N; i++) {
		const struct call_stat *stat = &summary->calls.by_call[i];
		if (stat->n || stat->exact_n || stat->n_open)
			ranked_add(ranked, i, (double)stat->ns + (double)stat->short_ns,
				(double)stat->n + (double)stat->exact_n);
	}
	return rank(ranked);
}

static GArray *rank_call_sites(const struct summary *summary)
{
	GArray *ranked = ranked_new();

	for (guint i = 0; i < summary->calls.sites->len; i++) {
		const struct call_site *site =
			&g_array_index(summary->calls.sites, struct call_site, i);
		ranked_add(ranked, i, (double)site->ns, (double)site->n);
	}
	return rank(ranked);
}

static GArray *rank_wakers(const struct summary *summary)
{
	GArray *ranked = ranked_new();

	for (guint i = 0; i < summary->wakers.wakers->len; i++) {
		const struct waker *waker = &g_array_index(summary->wakers.wakers, struct waker, i);
		ranked_add(ranked, i, (double)waker->ns, (double)waker->n);
	}
	return rank(ranked);
}

static GArray *rank_cpu_sites(const struct summary *summary)
{
	GArray *ranked = ranked_new();

	for (guint i = 0; i < summary->cpu.sites->len; i++) {
		const struct cpu_site *site =
			&g_array_index(summary->cpu.sites, struct cpu_site, i);
		ranked_add(ranked, i, (double)site->ns, (double)site->n);
	}
	return rank(ranked);
}

static GArray *rank_types(const GArray *types)
{
	GArray *ranked = ranked_new();

	for (guint i = 0; i < types->len; i++) {
		const struct task_type *type = &g_array_index(types, struct task_type, i);
		ranked_add(ranked, i, (double)type->latency.sum_ns, (double)type->n_open);
	}
	return rank(ranked);
}

static int place_compare(const void *a_, const void *b_)
{
	const struct alloc_place *a = a_, *b = b_;

	if (a->in_use_bytes != b->in_use_bytes)
		return a->in_use_bytes > b->in_use_bytes ? -1 : 1;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return a->site < b->site ? -1 : a->site > b->site;
}

static GArray *alloc_places(struct summary *summary)
{
	GArray *places = g_array_new(FALSE, TRUE, sizeof(struct alloc_place));
	struct idmap by_site = { 0 };

	for (guint i = 0; i < summary->allocs.sites->len; i++) {
		const struct alloc_site *from =
			&g_array_index(summary->allocs.sites, struct alloc_site, i);
		uint32_t site = stacks_site(&summary->trace->stacks, from->stack);
		uint32_t index = idmap_get(&by_site, site, 0);
		double scale = alloc_scale(from->size, from->rate);
		if (index == IDMAP_NONE) {
			struct alloc_place new = { .site = site };
			index = places->len;
			g_array_append_val(places, new);
			idmap_set(&by_site, site, 0, index);
		}
		struct alloc_place *place = &g_array_index(places, struct alloc_place, index);
		place->n_samples += from->n_alloc;
		place->n_in_use_samples += from->n_in_use;
		place->objects += (double)from->n_alloc * scale;
		place->bytes += (double)from->n_alloc * (double)from->size * scale;
		place->in_use_objects += (double)from->n_in_use * scale;
		place->in_use_bytes += (double)from->n_in_use * (double)from->size * scale;
	}
	idmap_fini(&by_site);
	if (places->len)
		qsort(places->data, places->len, sizeof(struct alloc_place), place_compare);
	return places;
}

static int pair_compare(const void *a_, const void *b_)
{
	const struct lock_pair *a = a_, *b = b_;

	if (a->lock != b->lock)
		return a->lock < b->lock ? -1 : 1;
	if (a->total.ns != b->total.ns)
		return a->total.ns > b->total.ns ? -1 : 1;
	return a->waiter_site < b->waiter_site ? -1 : a->waiter_site > b->waiter_site;
}

/* Sorts the pairs by lock, the heaviest first, and notes where each lock's begin. */
static GArray *sort_pairs(struct locks *locks)
{
	GArray *first = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	uint32_t at = 0;

	if (locks->pairs->len)
		qsort(locks->pairs->data, locks->pairs->len, sizeof(struct lock_pair),
			pair_compare);
	idmap_fini(&locks->by_pair); /* its indices are void now */
	for (uint32_t lock = 0; lock <= locks->locks->len; lock++) {
		while (at < locks->pairs->len &&
			g_array_index(locks->pairs, struct lock_pair, at).lock < lock)
			at++;
		g_array_append_val(first, at);
	}
	return first;
}

void summary_finish(struct summary *summary)
{
	struct trace *trace = summary->trace;

	thread_states_finish(summary->states, trace);
	locks_finish(&summary->locks, trace);
	calls_finish(&summary->calls, trace);
	allocs_finish(&summary->allocs, trace);
	tasks_finish(&summary->tasks, trace);
	summary->by_thread = rank_threads(summary);
	summary->by_lock = rank_locks(summary);
	summary->by_call = rank_calls(summary);
	summary->by_call_site = rank_call_sites(summary);
	summary->by_task = rank_types(summary->tasks.tasks);
	summary->by_region = rank_types(summary->tasks.regions);
	summary->by_waker = rank_wakers(summary);
	summary->by_cpu_site = rank_cpu_sites(summary);
	summary->alloc_places = alloc_places(summary);
	summary->first_pair = sort_pairs(&summary->locks);
}

int summary_is_contention(uint32_t kind)
{
	return kind == FR_LOCK_MUTEX || kind == FR_LOCK_RWLOCK_RD || kind == FR_LOCK_RWLOCK_WR ||
	       kind == FR_LOCK_SPIN;
}

size_t summary_lock_pairs(const struct summary *summary, uint32_t lock,
	const struct lock_pair **pairs_out, size_t max)
{
	uint32_t first = g_array_index(summary->first_pair, uint32_t, lock);
	uint32_t behind = g_array_index(summary->first_pair, uint32_t, lock + 1);
	size_t n = MIN(max, behind - first);

	for (size_t i = 0; i < n; i++)
		pairs_out[i] = &g_array_index(summary->locks.pairs, struct lock_pair, first + i);
	return n;
}

int summary_has_sched(const struct summary *summary)
{
	for (guint i = 0; i < summary->by_thread->len; i++)
		if (thread_states_get(
			    summary->states, g_array_index(summary->by_thread, uint32_t, i))
				->sched != THREAD_SCHED_UNKNOWN)
			return 1;
	return 0;
}

struct summary_unfollowed summary_unfollowed(const struct summary *summary)
{
	struct summary_unfollowed sums = { 0 };

	for (guint i = 0; i < summary->trace->threads->len; i++) {
		const struct thread_time *time = thread_states_get(summary->states, i);
		if (trace_thread_is_traced(summary->trace, i) || !time->present_ns)
			continue;
		sums.n++;
		sums.run_ns += time->run_ns;
	}
	return sums;
}

uint64_t summary_counter(const struct summary *summary, const char *name)
{
	const struct trace *trace = summary->trace;
	uint64_t sum = 0;

	for (guint i = 0; i < trace->counters->len; i++) {
		const struct counter *counter = &g_array_index(trace->counters, struct counter, i);
		if (g_str_equal(strings_get(trace->strings, counter->name), name))
			sum += counter->value;
	}
	return sum;
}

const char *summary_loss_counter(size_t i, const char **text_out)
{
	static const struct {
		const char *name, *text;
	} losses[] = {
		{ "stacks_overflow", "stacks lost because the stack table was full" },
		{ "stacks_cut", "stacks cut at the depth limit" },
		{ "stacks_broken", "stacks whose walk stopped early" },
		{ "threads_overflow", "threads without a slot, so without a name and open waits" },
		{ "modules_overflow", "modules without an entry, so without names" },
		{ "waiters_overflow", "lock waits without a holder" },
		{ "live_overflow", "sampled allocations whose free is not followed" },
		{ "tasks_overflow", "tasks beyond the table of open tasks" },
		{ "regions_misnested", "regions ended out of order, dropped" },
		{ "forks_raw", "children of raw clone or _Fork, left untraced" },
		{ "locks_short", "lock waits below the threshold, counted but not recorded" },
		{ SYSCALLS_SHORT, "system calls below the threshold, counted but not recorded" },
	};

	if (i >= G_N_ELEMENTS(losses))
		return NULL;
	*text_out = losses[i].text;
	return losses[i].name;
}

uint64_t summary_loss(const struct summary *summary, const char *name)
{
	uint64_t n = 0;

	if (!g_str_equal(name, SYSCALLS_SHORT) || summary->trace->totals->len == 0)
		return summary_counter(summary, name);
	for (uint32_t i = 0; i <= FR_CALL_N; i++)
		n += summary->calls.by_call[i].short_n;
	return n;
}

int64_t summary_receipt_number(const struct summary *summary, const char *key)
{
	const char *text = trace_receipt(summary->trace, key);

	return text ? (int64_t)g_ascii_strtoull(text, NULL, 10) : -1;
}
