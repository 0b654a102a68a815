/* SPDX-License-Identifier: MIT */
/* Sums what thread_run.c finds out, by thread and state, and makes it add up to the thread's presence. */
#include "viewer/thread_state.h"

struct lane {
	struct thread_time time;
	int64_t blocked_ns[FR_STATE_N], runnable_ns; /* may pass below 0 on the way */
};

struct thread_states {
	struct runs *runs;
	GPtrArray *lanes; /* owned struct lane *, by thread; NULL: no events */
};

static const struct thread_time no_time;

struct thread_states *thread_states_new(void)
{
	struct thread_states *states = g_new0(struct thread_states, 1);

	states->runs = runs_new();
	states->lanes = g_ptr_array_new_with_free_func(g_free);
	return states;
}

void thread_states_free(struct thread_states *states)
{
	if (!states)
		return;
	runs_free(states->runs);
	g_ptr_array_free(states->lanes, TRUE);
	g_free(states);
}

static struct lane *states_lane(struct thread_states *states, uint32_t thread)
{
	if (thread >= states->lanes->len)
		g_ptr_array_set_size(states->lanes, (gint)thread + 1);
	if (!states->lanes->pdata[thread])
		states->lanes->pdata[thread] = g_new0(struct lane, 1);
	return states->lanes->pdata[thread];
}

static void lane_add(
	struct lane *lane, const struct trace *trace, uint32_t thread, const struct run_stay *stay)
{
	uint64_t begin, end;

	if (stay->n_offs == 0)
		return;
	runs_presence(trace, thread, &begin, &end);
	for (size_t i = 0; i < stay->n_offs; i++)
		run_off_add(&stay->offs[i], begin, end ? end : UINT64_MAX,
			&lane->blocked_ns[stay->state], &lane->runnable_ns);
}

static int states_event(void *self, struct trace *trace, const struct trace_event *at)
{
	struct thread_states *states = self;
	struct run_stay stay;

	if (!runs_event(states->runs, trace, at, &stay))
		return 0;
	struct lane *lane = states_lane(states, at->thread);
	lane->time.n_events += at->event->kind != EVENT_WOKEN;
	lane->time.state_ns[stay.state] += stay.untaken_ns;
	if (stay.is_whole)
		lane->blocked_ns[stay.state] += (int64_t)stay.untaken_ns;
	else
		lane_add(lane, trace, at->thread, &stay);
	return 0;
}

struct trace_pass thread_states_pass(struct thread_states *states)
{
	return (struct trace_pass){ .event = states_event, .self = states, .is_unclipped = 1 };
}

static uint64_t sum(const uint64_t parts[FR_STATE_N])
{
	uint64_t all = 0;

	for (int i = 0; i < FR_STATE_N; i++)
		all += parts[i];
	return all;
}

/* Makes the parts sum to `total` by shares; the largest takes what rounding leaves. Without any, the first. */
static void scale(uint64_t parts[FR_STATE_N], uint64_t total)
{
	uint64_t all = sum(parts), rest = total;
	int largest = 0;

	if (all == total)
		return;
	for (int i = 0; i < FR_STATE_N; i++) {
		if (parts[i] > parts[largest])
			largest = i;
		parts[i] = all ? (uint64_t)((double)parts[i] / (double)all * (double)total) : 0;
		parts[i] = MIN(parts[i], rest);
		rest -= parts[i];
	}
	parts[largest] += rest;
}

/*
 * By records. Where no wakeups were recorded, a wait's time in the run queue is part of its blocked time; the kernel's total
 * tells how much of it there was. With wakeups the total is no better: it has what a new thread waited before it was there.
 */
static void finish_exact(
	const struct lane *lane, const struct thread *thread, struct thread_time *time)
{
	uint64_t runnable = MAX(lane->runnable_ns, 0), blocked;

	for (int i = 0; i < FR_STATE_N; i++)
		time->blocked_ns[i] = MAX(lane->blocked_ns[i], 0);
	runnable = MIN(runnable, time->present_ns);
	blocked = MIN(sum(time->blocked_ns), time->present_ns - runnable);
	if (!time->counts.n_wakeups && thread->delay_ns > 0 &&
		(uint64_t)thread->delay_ns > runnable) {
		uint64_t more = MIN((uint64_t)thread->delay_ns - runnable, blocked);
		runnable += more;
		blocked -= more;
	}
	scale(time->blocked_ns, blocked);
	time->runnable_ns = runnable;
	time->run_ns = time->present_ns - runnable - blocked;
	time->sched = THREAD_SCHED_EXACT;
}

/* By the kernel's totals: the calls say how the time off the CPU divides. */
static void finish_totals(const struct thread *thread, struct thread_time *time)
{
	uint64_t blocked;

	time->run_ns = MIN((uint64_t)MAX(thread->cpu_ns, 0), time->present_ns);
	time->runnable_ns =
		MIN((uint64_t)MAX(thread->delay_ns, 0), time->present_ns - time->run_ns);
	blocked = time->present_ns - time->run_ns - time->runnable_ns;
	for (int i = 1; i < FR_STATE_N; i++)
		time->blocked_ns[i] = time->state_ns[i];
	if (sum(time->blocked_ns) < blocked)
		time->blocked_ns[FR_STATE_RUNNING] = blocked - sum(time->blocked_ns);
	scale(time->blocked_ns, blocked);
	time->sched = THREAD_SCHED_TOTALS;
}

static void finish_unknown(struct thread_time *time)
{
	for (int i = 1; i < FR_STATE_N; i++)
		time->blocked_ns[i] = time->state_ns[i];
	time->run_ns = time->state_ns[FR_STATE_RUNNING];
	time->sched = THREAD_SCHED_UNKNOWN;
}

void thread_states_finish(struct thread_states *states, struct trace *trace)
{
	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		struct lane *lane = states_lane(states, i);
		struct thread_time *time = &lane->time;
		struct run_stay stay;
		uint64_t begin, end, known;

		runs_presence(trace, i, &begin, &end);
		time->present_ns = end > begin ? end - begin : 0;
		if (runs_open(states->runs, trace, i, &stay)) {
			time->open_ns = stay.untaken_ns;
			time->state_ns[stay.state] += time->open_ns;
			lane_add(lane, trace, i, &stay);
		}
		if (runs_rest(states->runs, trace, i, &stay))
			lane_add(lane, trace, i, &stay);
		known = sum(time->state_ns);
		time->state_ns[FR_STATE_RUNNING] =
			time->present_ns > known ? time->present_ns - known : 0;
		time->counts = runs_counts(states->runs, i);
		int is_exact = runs_are_exact(states->runs);
		const struct run_counts *counts = &time->counts;
		int has_records = counts->n_in + counts->n_voluntary + counts->n_involuntary > 0;
		if (is_exact && (has_records || thread->cpu_ns < 0))
			finish_exact(lane, thread, time);
		else if (thread->cpu_ns >= 0 && (is_exact || thread->delay_ns >= 0))
			finish_totals(thread, time);
		else
			finish_unknown(time);
	}
}

const struct thread_time *thread_states_get(const struct thread_states *states, uint32_t thread)
{
	const struct lane *lane = thread < states->lanes->len ? states->lanes->pdata[thread] : NULL;

	return lane ? &lane->time : &no_time;
}
