/* SPDX-License-Identifier: MIT */
/*
 * A hook's interval always encloses the switches it caused, and its event comes after them. So stays off the CPU wait in a list per
 * thread until an event explains them: those at the end of the list that began within its interval. What is
 * nested comes first and takes its own. Stays that nothing explains (page faults, preemption) remain, and are
 * joined when they become many.
 *
 * Records may be missing: an event of a thread proves that it runs, a switch-in of one that runs that it had been out.
 */
#include "viewer/thread_run.h"

#include "proto/schema.h"
#include "viewer/nesting.h"

#define MAX_OFFS 1024

enum where { WHERE_UNKNOWN, WHERE_ON, WHERE_OFF };

struct run {
	struct nesting nesting;
	struct run_off *offs; /* owned; in order of time, n used of size */
	uint32_t n, size;
	uint8_t where; /* enum where */
	uint8_t is_preempted;
	uint8_t has_last;
	uint64_t out_ns, wake_ns; /* while off; wake 0: not yet, or not known */
	uint64_t seen_ns;	  /* last event of its own */
	struct run_off last;
	struct run_counts counts;
	uint32_t last_cpu;
	uint64_t cpus[RUN_MAX_CPUS / 64];
};

struct runs {
	GPtrArray *by_thread; /* owned struct run *, NULL: nothing known */
	uint64_t first_kernel_ns;
	struct run_off one; /* behind a stay with a single one */
};

static void run_free(gpointer run)
{
	if (run)
		g_free(((struct run *)run)->offs);
	g_free(run);
}

struct runs *runs_new(void)
{
	struct runs *runs = g_new0(struct runs, 1);

	runs->by_thread = g_ptr_array_new_with_free_func(run_free);
	return runs;
}

void runs_free(struct runs *runs)
{
	if (!runs)
		return;
	g_ptr_array_free(runs->by_thread, TRUE);
	g_free(runs);
}

static struct run *runs_of(struct runs *runs, uint32_t thread)
{
	if (thread >= runs->by_thread->len)
		g_ptr_array_set_size(runs->by_thread, (gint)thread + 1);
	if (!runs->by_thread->pdata[thread])
		runs->by_thread->pdata[thread] = g_new0(struct run, 1);
	return runs->by_thread->pdata[thread];
}

/* Joins the older half in pairs. */
static void run_join(struct run *run)
{
	uint32_t half = run->n / 2, to = 0;

	for (uint32_t i = 0; i + 1 < half; i += 2) {
		struct run_off joined = run->offs[i];
		const struct run_off *next = &run->offs[i + 1];
		joined.end_ns = next->end_ns;
		joined.blocked_ns += next->blocked_ns;
		joined.runnable_ns += next->runnable_ns;
		joined.n_blocked += next->n_blocked;
		joined.n_runnable += next->n_runnable;
		joined.is_guessed = 0;
		run->offs[to++] = joined;
	}
	for (uint32_t i = half & ~1u; i < run->n; i++)
		run->offs[to++] = run->offs[i];
	run->n = to;
}

static void run_push(struct run *run, struct run_off off)
{
	if (run->n == run->size && run->size == MAX_OFFS)
		run_join(run);
	if (run->n == run->size) {
		run->size = run->size ? run->size * 2 : 8;
		run->offs = g_renew(struct run_off, run->offs, run->size);
	}
	run->offs[run->n++] = off;
}

/* The thread is off since run->out_ns and comes back at `in`. */
static void run_back(struct run *run, uint64_t in, int is_guessed)
{
	uint64_t out = run->out_ns;
	struct run_off off = { .begin_ns = out, .end_ns = in, .is_guessed = is_guessed != 0 };

	if (in <= out)
		return;
	if (run->is_preempted)
		off.runnable_ns = in - out;
	else if (run->wake_ns)
		off.runnable_ns = in - CLAMP(run->wake_ns, out, in);
	off.blocked_ns = in - out - off.runnable_ns;
	off.n_blocked = !run->is_preempted;
	off.n_runnable = off.runnable_ns > 0;
	run_push(run, off);
}

static void run_in(struct run *run, const struct trace *trace, const struct trace_event *at)
{
	const struct thread *thread = trace_thread(trace, at->thread);
	uint64_t time = at->event->time_ns;
	uint32_t cpu = at->event->kernel_switch.cpu;

	run->counts.n_missing += run->where == WHERE_ON;
	if (run->where == WHERE_UNKNOWN) {
		/* It went off at some time after what it was last seen doing. */
		run->out_ns = MAX(MAX(run->seen_ns, thread->start_ns), trace->begin_ns);
		run->is_preempted = 0;
	}
	if (run->where != WHERE_ON)
		run_back(run, time, run->where == WHERE_UNKNOWN);
	run->where = WHERE_ON;
	run->wake_ns = 0;
	run->counts.n_migrations += run->counts.n_in > 0 && cpu != run->last_cpu;
	run->counts.n_in++;
	run->last_cpu = cpu;
	if (cpu < RUN_MAX_CPUS && !(run->cpus[cpu / 64] >> cpu % 64 & 1)) {
		run->cpus[cpu / 64] |= UINT64_C(1) << cpu % 64;
		run->counts.n_cpus++;
	}
}

static void run_out(struct run *run, const struct event *event)
{
	int is_preempted = event->kernel_switch.is_preempted != 0;

	if (run->where == WHERE_OFF) {
		run->counts.n_missing++;
		run_back(run, event->time_ns, 0);
	}
	run->counts.n_involuntary += is_preempted;
	run->counts.n_voluntary += !is_preempted;
	run->where = WHERE_OFF;
	run->is_preempted = is_preempted;
	run->out_ns = event->time_ns;
	run->wake_ns = 0;
}

static void run_wakeup(struct run *run, const struct event *event)
{
	run->counts.n_wakeups++;
	if (!run->wake_ns && run->where != WHERE_ON)
		run->wake_ns = event->time_ns;
}

/* The thread did something of its own at `time`: it runs. */
static void run_seen(struct run *run, uint64_t time)
{
	run->seen_ns = time;
	if (run->where != WHERE_OFF || time <= run->out_ns)
		return;
	run->counts.n_missing++;
	run_back(run, time, 0);
	run->where = WHERE_ON;
	run->wake_ns = 0;
}

/* One stay, not several that were joined. */
static int off_is_single(const struct run_off *off)
{
	return off->blocked_ns + off->runnable_ns == off->end_ns - off->begin_ns;
}

/*
 * Takes the stays that are part of a wait or call since `begin` off the list. Returns how many; *offs_out: they. An event is
 * stamped some us after its duration was measured, so `begin` is late: a stay that goes on at `begin`, when
 * the thread must have run to make the call, is one of the call's.
 */
static size_t run_take(struct run *run, uint64_t begin, const struct run_off **offs_out)
{
	uint32_t first = run->n;

	while (first > 0) {
		struct run_off *off = &run->offs[first - 1];
		if (off->is_guessed && off->begin_ns < begin && off->end_ns > begin) {
			/* At `begin` it still ran, to make the call. */
			uint64_t early = begin - off->begin_ns;
			off->blocked_ns -= MIN(early, off->blocked_ns);
			off->begin_ns = begin;
			off->runnable_ns =
				MIN(off->runnable_ns, off->end_ns - begin - off->blocked_ns);
		}
		if (off->begin_ns < begin && !(off->end_ns > begin && off_is_single(off)))
			break;
		first--;
	}
	*offs_out = run->offs + first;
	size_t n = run->n - first;
	run->n = first;
	return n;
}

/* When it began, also before the window. */
static uint64_t begin_of(const struct event *event, uint64_t dur)
{
	return event->time_ns - MIN(dur, event->time_ns);
}

/*
 * `wake` is when somebody let the thread in, by its own account; serves where the kernel's records do not say. Returns
 * how much of the blocked time it makes runnable.
 */
static uint64_t off_split(const struct run_off *off, uint64_t wake)
{
	if (off->runnable_ns || !off->n_blocked || wake <= off->begin_ns || wake >= off->end_ns ||
		!off_is_single(off))
		return 0;
	return off->end_ns - wake;
}

static int stay_of_wait(struct runs *runs, struct run *run, const struct trace_event *at,
	uint64_t begin, uint64_t wake_ns, struct run_stay *stay)
{
	const struct event *event = at->event;
	uint64_t end = at->begin_ns + at->dur_ns;

	run->has_last = 0;
	stay->untaken_ns = nesting_take(&run->nesting, at->begin_ns, end);
	stay->n_offs = run_take(run, begin, &stay->offs);
	if (stay->n_offs > 0) {
		struct run_off *last = (struct run_off *)&stay->offs[stay->n_offs - 1];
		uint64_t wake = event->time_ns - MIN(wake_ns, event->time_ns);
		uint64_t moved = wake_ns ? off_split(last, wake) : 0;
		last->blocked_ns -= moved;
		last->runnable_ns += moved;
		last->n_runnable += moved > 0;
		run->last = *last;
		run->has_last = 1;
	} else if (run->where == WHERE_UNKNOWN &&
		   (!runs->first_kernel_ns || at->begin_ns < runs->first_kernel_ns)) {
		/* From a time without records: all of it. */
		runs->one = (struct run_off){ .begin_ns = at->begin_ns,
			.end_ns = end,
			.blocked_ns = stay->untaken_ns,
			.n_blocked = 1 };
		stay->offs = &runs->one;
		stay->n_offs = stay->untaken_ns > 0;
		stay->is_whole = 1;
	}
	return 1;
}

/* The tracer's own word on who ended the last wait; moves time that was reported with it. */
static int stay_of_woken(
	struct runs *runs, struct run *run, const struct trace_event *at, struct run_stay *stay)
{
	const struct event *event = at->event;
	uint64_t wake = event->time_ns - MIN(event->woken.wake, event->time_ns);
	uint64_t moved = 0;

	if (run->has_last && event->woken.wake &&
		begin_of(event, event->woken.dur) <= run->last.begin_ns)
		moved = off_split(&run->last, wake);
	run->has_last = 0;
	if (!moved)
		return 0;
	runs->one = (struct run_off){ .begin_ns = wake,
		.end_ns = wake + moved,
		.runnable_ns = moved,
		.n_runnable = 1,
		.is_moved = 1 };
	stay->offs = &runs->one;
	stay->n_offs = 1;
	return 1;
}

int runs_event(struct runs *runs, struct trace *trace, const struct trace_event *at,
	struct run_stay *stay_out)
{
	const struct event *event = at->event;
	struct run *run = runs_of(runs, at->thread);

	*stay_out = (struct run_stay){ 0 };
	if (event_is_kernel(event->kind)) {
		if (!runs->first_kernel_ns)
			runs->first_kernel_ns = event->time_ns;
		if (event->kind == EVENT_SWITCH_IN)
			run_in(run, trace, at);
		else if (event->kind == EVENT_SWITCH_OUT)
			run_out(run, event);
		else
			run_wakeup(run, event);
		return 0;
	}
	if (event->kind != EVENT_EXIT)
		run_seen(run, event->time_ns);
	if (at->is_outside)
		return 0;
	switch (event->kind) {
	case EVENT_WAIT:
		stay_out->state = event_lock_state(event->wait.kind);
		return stay_of_wait(runs, run, at, begin_of(event, event->wait.dur),
			event->wait.wake, stay_out);
	case EVENT_CALL:
	case EVENT_PATH:
		stay_out->state = event_call_state(event->call.call);
		return stay_of_wait(runs, run, at, begin_of(event, event->call.dur), 0, stay_out);
	case EVENT_WOKEN:
		stay_out->state = event_call_state(event->woken.call);
		return stay_of_woken(runs, run, at, stay_out);
	default:
		return 0;
	}
}

void runs_presence(
	const struct trace *trace, uint32_t index, uint64_t *begin_out, uint64_t *end_out)
{
	const struct thread *thread = trace_thread(trace, index);
	const struct process *process = trace_process(trace, thread->process);
	uint64_t end = thread->end_ns ? thread->end_ns : process->end_ns;

	*begin_out = MAX(thread->start_ns, trace->begin_ns);
	*end_out = end && (!trace->end_ns || end < trace->end_ns) ? end : trace->end_ns;
}

int runs_open(struct runs *runs, struct trace *trace, uint32_t index, struct run_stay *stay_out)
{
	const struct thread *thread = trace_thread(trace, index);
	struct run *run = runs_of(runs, index);
	uint64_t start, end;

	*stay_out = (struct run_stay){ .state = thread->state };
	runs_presence(trace, index, &start, &end);
	if (run->where == WHERE_OFF) {
		run_back(run, end, 0);
		run->where = WHERE_ON;
	}
	if (!thread->since_ns || thread->state == FR_STATE_RUNNING ||
		thread->state >= FR_STATE_EXITED || thread->since_ns >= end)
		return 0;
	uint64_t begin = MAX(thread->since_ns, start);
	stay_out->untaken_ns = nesting_take(&run->nesting, begin, end);
	if (run->where != WHERE_UNKNOWN) {
		stay_out->n_offs = run_take(run, begin, &stay_out->offs);
		return 1;
	}
	runs->one = (struct run_off){
		.begin_ns = begin, .end_ns = end, .blocked_ns = stay_out->untaken_ns, .n_blocked = 1
	};
	stay_out->offs = &runs->one;
	stay_out->n_offs = stay_out->untaken_ns > 0;
	return 1;
}

int runs_rest(struct runs *runs, struct trace *trace, uint32_t thread, struct run_stay *stay_out)
{
	struct run *run = runs_of(runs, thread);

	(void)trace;
	*stay_out = (struct run_stay){ .state = FR_STATE_RUNNING };
	stay_out->n_offs = run_take(run, 0, &stay_out->offs);
	return stay_out->n_offs > 0;
}

int runs_are_exact(const struct runs *runs)
{
	return runs->first_kernel_ns != 0;
}

struct run_counts runs_counts(const struct runs *runs, uint32_t thread)
{
	const struct run *run =
		thread < runs->by_thread->len ? runs->by_thread->pdata[thread] : NULL;

	return run ? run->counts : (struct run_counts){ 0 };
}

static uint64_t overlap(uint64_t a, uint64_t b, uint64_t begin, uint64_t end)
{
	a = MAX(a, begin);
	b = MIN(b, end);
	return b > a ? b - a : 0;
}

void run_off_add(const struct run_off *off, uint64_t begin, uint64_t end, int64_t *blocked,
	int64_t *runnable)
{
	uint64_t length = off->end_ns - off->begin_ns;
	uint64_t wake = off->begin_ns + off->blocked_ns;

	if (length == 0)
		return;
	if (off->blocked_ns + off->runnable_ns == length) {
		uint64_t ready = overlap(wake, off->end_ns, begin, end);
		*runnable += (int64_t)ready;
		*blocked += off->is_moved ? -(int64_t)ready
					  : (int64_t)overlap(off->begin_ns, wake, begin, end);
		return;
	}
	double share = (double)overlap(off->begin_ns, off->end_ns, begin, end) / (double)length;
	*blocked += (int64_t)((double)off->blocked_ns * share);
	*runnable += (int64_t)((double)off->runnable_ns * share);
}
