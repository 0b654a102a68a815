/* SPDX-License-Identifier: MIT */
/*
 * Profile `wall`: all time of every thread. Off the CPU by the wait or call it was in; the rest by its CPU samples, which are
 * scaled to sum to it, so that the whole is the time the thread was there.
 */
#include "viewer/derive.h"

#include <string.h>

#include "proto/schema.h"

/* CPU samples of a thread at a stack. */
struct sampled {
	uint32_t thread, stack;
	int64_t n, weight;
};

/* Sums of a thread. */
struct lane {
	int64_t off_ns, weight;
};

struct wall {
	struct runs *runs;
	GArray *sampled; /* struct sampled */
	struct idmap by_stack;
	GArray *lanes; /* struct lane, by thread */
};

static void *wall_new(void)
{
	struct wall *wall = g_new0(struct wall, 1);

	wall->runs = runs_new();
	wall->sampled = g_array_new(FALSE, FALSE, sizeof(struct sampled));
	wall->lanes = g_array_new(FALSE, TRUE, sizeof(struct lane));
	return wall;
}

static void wall_free(void *state)
{
	struct wall *wall = state;

	runs_free(wall->runs);
	g_array_free(wall->sampled, TRUE);
	g_array_free(wall->lanes, TRUE);
	idmap_fini(&wall->by_stack);
	g_free(wall);
}

static struct lane *wall_lane(struct wall *wall, uint32_t thread)
{
	if (thread >= wall->lanes->len)
		g_array_set_size(wall->lanes, thread + 1);
	return &g_array_index(wall->lanes, struct lane, thread);
}

static void add(struct derive *derive, struct trace *trace, uint32_t thread, uint32_t stack,
	int64_t n, int64_t ns)
{
	const char *name = trace_thread_name(trace, thread);
	g_autoptr(GString) label = g_string_new("thread=");
	const int64_t values[] = { n, ns };

	if (ns == 0)
		return;
	for (; *name; name++) {
		if (strchr("\\,=", *name))
			g_string_append_c(label, '\\');
		g_string_append_c(label, *name);
	}
	const struct derive_key key = { .process = trace_thread(trace, thread)->process,
		.stack = stack,
		.labels = strings_add(trace->strings, label->str) };
	derive_add(derive, &key, values);
}

static void add_off(struct derive *derive, struct trace *trace, uint32_t thread, uint32_t stack,
	const struct run_stay *stay)
{
	struct wall *wall = derive_state(derive);

	for (size_t i = 0; i < stay->n_offs; i++) {
		const struct run_off *off = &stay->offs[i];
		int64_t blocked, runnable;
		if (off->is_moved) /* blocked became runnable: the same time */
			continue;
		derive_off(derive, trace, thread, off, &blocked, &runnable);
		wall_lane(wall, thread)->off_ns += blocked + runnable;
		add(derive, trace, thread, stack, MAX(off->n_blocked, off->n_runnable),
			blocked + runnable);
	}
}

static void add_sample(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	struct wall *wall = derive_state(derive);
	uint32_t stack = trace_stack(trace, at->process, at->event->stack);
	int64_t weight = (int64_t)MIN(at->event->cpu.weight, INT64_MAX / 1024);
	uint32_t index = idmap_get(&wall->by_stack, at->thread, stack);

	if (index == IDMAP_NONE) {
		struct sampled sampled = { at->thread, stack, 0, 0 };
		index = wall->sampled->len;
		g_array_append_val(wall->sampled, sampled);
		idmap_set(&wall->by_stack, at->thread, stack, index);
	}
	struct sampled *sampled = &g_array_index(wall->sampled, struct sampled, index);
	sampled->n++;
	sampled->weight += weight;
	wall_lane(wall, at->thread)->weight += weight;
}

static void wall_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	struct wall *wall = derive_state(derive);
	struct run_stay stay;

	if (runs_event(wall->runs, trace, at, &stay))
		add_off(derive, trace, at->thread,
			trace_stack(trace, at->process, at->event->stack), &stay);
	if (at->event->kind == EVENT_CPU && derive_moment(derive, trace, at, at->event->cpu.labels))
		add_sample(derive, trace, at);
}

/* Ends the stays of a thread. Returns what is left of its time: it ran, or nobody knows. */
static int64_t wall_rest(struct derive *derive, struct trace *trace, uint32_t thread)
{
	struct wall *wall = derive_state(derive);
	struct run_stay stay;

	if (runs_open(wall->runs, trace, thread, &stay))
		add_off(derive, trace, thread, trace_thread(trace, thread)->stack, &stay);
	if (runs_rest(wall->runs, trace, thread, &stay))
		add_off(derive, trace, thread, STACK_INDEX_OFF_CPU, &stay);
	return (int64_t)derive_presence(derive, trace, thread) - wall_lane(wall, thread)->off_ns;
}

static void wall_finish(struct derive *derive, struct trace *trace)
{
	struct wall *wall = derive_state(derive);
	g_autofree int64_t *on = g_new0(int64_t, trace->threads->len + 1);

	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		const struct lane *lane = wall_lane(wall, i);
		int64_t rest = wall_rest(derive, trace, i);
		if (rest <= 0)
			continue;
		on[i] = rest;
		/* Without records what is in no call may as well wait: the samples say how much ran. */
		if (!runs_are_exact(wall->runs))
			on[i] = MIN(rest, MAX(thread->cpu_ns, lane->weight));
		if (lane->weight == 0)
			add(derive, trace, i, STACK_INDEX_ON_CPU, 1, on[i]);
		add(derive, trace, i, STACK_INDEX_NOT_IN_CALL, 1, rest - on[i]);
	}
	for (guint i = 0; i < wall->sampled->len; i++) {
		const struct sampled *sampled = &g_array_index(wall->sampled, struct sampled, i);
		const struct lane *lane = wall_lane(wall, sampled->thread);
		if (lane->weight > 0)
			add(derive, trace, sampled->thread, sampled->stack, sampled->n,
				(int64_t)((double)on[sampled->thread] * (double)sampled->weight /
					  (double)lane->weight));
	}
	if (!runs_are_exact(wall->runs))
		derive_note(derive, trace,
			"the trace has no records of switches: calls count whole, and time outside "
			"of them as running as far as CPU times and samples show it");
}

const struct derivation derive_wall = {
	.name = "wall",
	.about = "all time of every thread: waits and calls, and CPU samples for the rest; label "
		 "`thread`",
	.types = { { "samples", "count" }, { "wall", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "wall", "nanoseconds" },
	.is_unclipped = 1,
	.state_new = wall_new,
	.state_free = wall_free,
	.event = wall_event,
	.finish = wall_finish,
};
