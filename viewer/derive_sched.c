/* SPDX-License-Identifier: MIT */
/*
 * Profiles of the scheduler: `sched`, time ready to run but not running, and `offcpu`, time blocked; both at the stack of the
 * wait or call that the thread was in.
 */
#include "viewer/derive.h"

#include "proto/schema.h"

/* What the run queue's time rests on, by falling precision; set of a row. */
enum { SET_RECORDS, SET_DELAYS, SET_WAKES };

static void *runs_make(void)
{
	return runs_new();
}

static void runs_drop(void *state)
{
	runs_free(state);
}

static void add(struct derive *derive, uint32_t process, uint32_t stack, uint32_t set, int64_t n,
	int64_t ns)
{
	const struct derive_key key = { .process = process, .stack = stack, .set = set };
	const int64_t values[] = { n, ns };

	if (n || ns)
		derive_add(derive, &key, values);
}

static void add_runnable(struct derive *derive, const struct trace *trace, uint32_t thread,
	uint32_t stack, const struct run_stay *stay)
{
	uint32_t process = trace_thread(trace, thread)->process;

	for (size_t i = 0; i < stay->n_offs; i++) {
		int64_t blocked, runnable;
		derive_off(derive, trace, thread, &stay->offs[i], &blocked, &runnable);
		if (runnable > 0)
			add(derive, process, stack, SET_RECORDS, stay->offs[i].n_runnable,
				runnable);
	}
}

static void add_blocked(struct derive *derive, const struct trace *trace, uint32_t thread,
	uint32_t stack, const struct run_stay *stay)
{
	uint32_t process = trace_thread(trace, thread)->process;

	for (size_t i = 0; i < stay->n_offs; i++) {
		int64_t blocked, runnable;
		derive_off(derive, trace, thread, &stay->offs[i], &blocked, &runnable);
		if (blocked)
			add(derive, process, stack, SET_RECORDS,
				stay->offs[i].is_moved ? 0 : stay->offs[i].n_blocked, blocked);
	}
}

static void sched_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	struct run_stay stay;
	uint32_t stack = trace_stack(trace, at->process, event->stack);

	if (runs_event(derive_state(derive), trace, at, &stay))
		add_runnable(derive, trace, at->thread, stack, &stay);
	if (at->is_outside || !derive_moment(derive, trace, at, NULL))
		return;
	if (event->kind == EVENT_DELAY && event->delay.delay > 0)
		add(derive, at->process, stack, SET_DELAYS, 1,
			(int64_t)MIN(event->delay.delay, at->dur_ns));
	else if (event->kind == EVENT_WAIT && event->wait.wake > 0)
		add(derive, at->process, stack, SET_WAKES, 1,
			(int64_t)MIN(event->wait.wake, at->dur_ns));
	else if (event->kind == EVENT_WOKEN && event->woken.wake > 0)
		add(derive, at->process, stack, SET_WAKES, 1,
			(int64_t)MIN(event->woken.wake, at->dur_ns));
}

static void sched_finish(struct derive *derive, struct trace *trace)
{
	struct runs *runs = derive_state(derive);
	struct run_stay stay;

	if (!runs_are_exact(runs)) {
		if (derive_has_set(derive, SET_DELAYS)) {
			derive_keep_set(derive, SET_DELAYS);
			derive_note(derive, trace,
				"by the kernel's totals around long waits: short waits and "
				"preemption count where the next long one ended");
		} else {
			derive_keep_set(derive, SET_WAKES);
			derive_note(derive, trace,
				"only waits that a thread of the program ended, from its wake-up "
				"to their end: nothing was recorded of the scheduler");
		}
		return;
	}
	for (guint i = 0; i < trace->threads->len; i++) {
		if (runs_open(runs, trace, i, &stay))
			add_runnable(derive, trace, i, trace_thread(trace, i)->stack, &stay);
		if (runs_rest(runs, trace, i, &stay))
			add_runnable(derive, trace, i, STACK_INDEX_PREEMPTED, &stay);
	}
	derive_keep_set(derive, SET_RECORDS);
}

static char *sched_refuse(const struct derive *derive, const struct trace *trace)
{
	const char *said = trace_receipt(trace, "scheduling");

	if (runs_are_exact(derive_state(derive)) || derive_has_set(derive, 0))
		return NULL;
	return g_strdup_printf(
		"there is no sched profile: the trace has no records of switches, no "
		"delays and no wake-ups%s%s",
		said ? "; its recorder says: " : "", said ? said : "");
}

/* Whether a call's whole time may stand for time blocked, where nothing better is known. */
static int is_waiting(uint32_t state)
{
	return state != FR_STATE_SYSCALL && state != FR_STATE_SPIN;
}

static void offcpu_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	struct runs *runs = derive_state(derive);
	struct run_stay stay;

	if (!runs_event(runs, trace, at, &stay))
		return;
	if (runs_are_exact(runs) || is_waiting(stay.state))
		add_blocked(derive, trace, at->thread,
			trace_stack(trace, at->process, at->event->stack), &stay);
}

static void offcpu_finish(struct derive *derive, struct trace *trace)
{
	struct runs *runs = derive_state(derive);
	struct run_stay stay;

	for (guint i = 0; i < trace->threads->len; i++) {
		if (runs_open(runs, trace, i, &stay))
			add_blocked(derive, trace, i, trace_thread(trace, i)->stack, &stay);
		if (runs_rest(runs, trace, i, &stay))
			add_blocked(derive, trace, i, STACK_INDEX_OFF_CPU, &stay);
	}
	if (!runs_are_exact(runs))
		derive_note(derive, trace,
			"the trace has no records of switches: waits and calls count whole, also "
			"what they ran or waited for a CPU");
}

const struct derivation derive_sched = {
	.name = "sched",
	.about = "time ready to run but not running, by the wait that had ended",
	.types = { { "contentions", "count" }, { "delay", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "trace", "count" },
	.is_unclipped = 1,
	.state_new = runs_make,
	.state_free = runs_drop,
	.event = sched_event,
	.finish = sched_finish,
	.refuse = sched_refuse,
};

const struct derivation derive_offcpu = {
	.name = "offcpu",
	.about = "time blocked, by the wait or call that blocked",
	.types = { { "contentions", "count" }, { "delay", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "trace", "count" },
	.is_unclipped = 1,
	.state_new = runs_make,
	.state_free = runs_drop,
	.event = offcpu_event,
	.finish = offcpu_finish,
};
