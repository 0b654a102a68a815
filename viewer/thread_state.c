/* SPDX-License-Identifier: MIT */
/*
 * Events come when they end, so something nested arrives before what it is nested in: syscall() inside
 * another call, a signal handler's write inside a poll. Each thread therefore keeps its last accounted
 * intervals; a new one takes only the time that the ones inside it have not taken already.
 */
#include "viewer/thread_state.h"

#define N_RECENT 16

struct interval {
	uint64_t begin_ns, end_ns;
	uint64_t taken_ns; /* accounted within; less than its length where intervals were joined */
};

struct lane {
	struct thread_time time;
	struct interval recent[N_RECENT]; /* disjoint, oldest first */
	uint32_t n_recent;
};

struct thread_states {
	GPtrArray *lanes; /* owned struct lane *, by thread; NULL: no events */
};

static const struct thread_time no_time;

struct thread_states *thread_states_new(void)
{
	struct thread_states *states = g_new0(struct thread_states, 1);

	states->lanes = g_ptr_array_new_with_free_func(g_free);
	return states;
}

void thread_states_free(struct thread_states *states)
{
	if (!states)
		return;
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

/* Time of [begin, end] that nothing took yet; takes it. */
static uint64_t lane_take(struct lane *lane, uint64_t begin, uint64_t end)
{
	uint64_t taken = 0;

	while (lane->n_recent > 0) {
		struct interval *last = &lane->recent[lane->n_recent - 1];
		if (last->end_ns <= begin)
			break;
		if (last->begin_ns <
			begin) { /* overlaps partly: never seen, but must not count twice */
			begin = MIN(last->end_ns, end);
			break;
		}
		taken += last->taken_ns;
		lane->n_recent--;
	}
	uint64_t length = end > begin ? end - begin : 0;
	taken = MIN(taken, length);
	if (lane->n_recent == N_RECENT) { /* join the two oldest */
		struct interval *a = &lane->recent[0];
		a->end_ns = a[1].end_ns;
		a->taken_ns += a[1].taken_ns;
		for (uint32_t i = 1; i + 1 < N_RECENT; i++)
			lane->recent[i] = lane->recent[i + 1];
		lane->n_recent--;
	}
	lane->recent[lane->n_recent++] = (struct interval){ begin, end, length };
	return length - taken;
}

static int states_event(void *self, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	uint32_t state;

	if (event->kind == EVENT_WAIT)
		state = event_lock_state(event->wait.kind);
	else if (event->kind == EVENT_CALL || event->kind == EVENT_PATH)
		state = event_call_state(event->call.call);
	else
		return 0;
	struct lane *lane = states_lane(self, at->thread);
	lane->time.n_events++;
	lane->time.state_ns[state] += lane_take(lane, at->begin_ns, at->begin_ns + at->dur_ns);
	return 0;
}

struct trace_pass thread_states_pass(struct thread_states *states)
{
	return (struct trace_pass){ .event = states_event, .self = states };
}

void thread_states_finish(struct thread_states *states, struct trace *trace)
{
	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		const struct process *process = trace_process(trace, thread->process);
		uint64_t start = MAX(thread->start_ns, trace->begin_ns);
		uint64_t end = thread->end_ns ? thread->end_ns : process->end_ns;
		uint64_t known = 0;
		struct lane *lane = states_lane(states, i);
		struct thread_time *time = &lane->time;

		end = end && end < trace->end_ns ? end : trace->end_ns;
		time->present_ns = end > start ? end - start : 0;
		if (thread->since_ns && thread->state != FR_STATE_RUNNING &&
			thread->state < FR_STATE_EXITED && thread->since_ns < end) {
			uint64_t begin = MAX(thread->since_ns, start);
			time->open_ns = lane_take(lane, begin, end);
			time->state_ns[thread->state] += time->open_ns;
		}
		for (int j = 0; j < FR_STATE_N; j++)
			known += time->state_ns[j];
		time->state_ns[FR_STATE_RUNNING] =
			time->present_ns > known ? time->present_ns - known : 0;
	}
}

const struct thread_time *thread_states_get(const struct thread_states *states, uint32_t thread)
{
	const struct lane *lane = thread < states->lanes->len ? states->lanes->pdata[thread] : NULL;

	return lane ? &lane->time : &no_time;
}
