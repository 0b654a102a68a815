/* SPDX-License-Identifier: MIT */
/*
 * deadlock: at the end of the window, threads wait for each other in a circle, by what the tracer says of each thread's wait and
 * of the lock's owner. High, always. A lock without an owner (a condition, a semaphore) ends a chain.
 */
#include "viewer/finding_rule.h"

#define MAX_CIRCLE 64

/* The thread that `thread` waits for at the end; INDEX_NONE: none that is known. */
static uint32_t waits_for(const struct trace *trace, uint32_t index)
{
	const struct thread *thread = trace_thread(trace, index);

	if (thread->end_ns || !thread->holder || trace_process(trace, thread->process)->end_ns)
		return INDEX_NONE;
	switch (thread->state) {
	case FR_STATE_MUTEX:
	case FR_STATE_RWLOCK:
	case FR_STATE_SPIN:
	case FR_STATE_JOIN:
	case FR_STATE_ONCE:
		return trace_find_thread(trace, thread->process, thread->holder, trace->end_ns);
	default:
		return INDEX_NONE;
	}
}

/* The circle that starting from `first` leads to `first` again: its threads. 0: none. */
static size_t circle_of(const struct trace *trace, uint32_t first, uint32_t *circle)
{
	uint32_t at = first;
	size_t n = 0;

	do {
		circle[n++] = at;
		at = waits_for(trace, at);
	} while (at != INDEX_NONE && at != first && n < MAX_CIRCLE);
	return at == first ? n : 0;
}

/* Others that wait for one of the circle, directly or behind another. */
static unsigned count_stuck(const struct trace *trace, const uint8_t *is_in)
{
	unsigned n_stuck = 0;

	for (guint i = 0; i < trace->threads->len; i++) {
		uint32_t at = i;

		for (int step = 0; !is_in[i] && at != INDEX_NONE && step < MAX_CIRCLE; step++) {
			at = waits_for(trace, at);
			if (at != INDEX_NONE && is_in[at]) {
				n_stuck++;
				break;
			}
		}
	}
	return n_stuck;
}

static void tell(struct findings *findings, const uint32_t *circle, size_t n)
{
	const struct trace *trace = findings->index->trace;
	struct finding finding = finding_new("deadlock", FINDING_HIGH);
	g_autofree uint8_t *is_in = g_malloc0((gsize)trace->threads->len + 1);
	g_autoptr(GString) text = g_string_new(NULL);
	uint32_t last = circle[0];
	char since[FORMAT_SIZE];
	unsigned n_stuck;

	for (size_t i = 0; i < n; i++) {
		const struct thread *thread = trace_thread(trace, circle[i]);
		g_autofree char *name = finding_thread_name(findings, circle[i]);
		g_autofree char *holder = finding_thread_name(findings, circle[(i + 1) % n]);

		is_in[circle[i]] = 1;
		g_string_append_printf(text,
			"%s%s waits for %s 0x%" G_GINT64_MODIFIER "x at %s, which %s has",
			i ? "; " : "", name, event_state_name(thread->state), thread->obj,
			finding_site(findings, thread->stack), holder);
		if (thread->since_ns > trace_thread(trace, last)->since_ns)
			last = circle[i];
	}
	const struct thread *closing = trace_thread(trace, last);

	n_stuck = count_stuck(trace, is_in);
	format_ns(since, trace->end_ns > closing->since_ns ? trace->end_ns - closing->since_ns : 0);
	g_string_append_printf(
		text, ". None of them can go on, for %s before the end of the window", since);
	if (n_stuck)
		g_string_append_printf(text, ", nor can %u other%s that wait%s behind them",
			n_stuck, n_stuck == 1 ? "" : "s", n_stuck == 1 ? "s" : "");
	g_string_append(text, n == 1 ? ". A thread must not take a lock that it has."
				     : ". Take these locks in one order everywhere.");
	finding.thread = last;
	finding.time_ns = closing->since_ns > findings->index->origin_ns
				  ? closing->since_ns - findings->index->origin_ns
				  : 0;
	finding.stack = closing->stack;
	finding.other_stack =
		trace_thread(trace, circle[0] == last && n > 1 ? circle[1] : circle[0])->stack;
	finding.weight = (double)(n + n_stuck);
	finding_add(findings, finding,
		n == 1 ? g_strdup_printf("Deadlock: a thread waits for itself in %s",
				 finding_function(findings, finding.stack))
		       : g_strdup_printf("Deadlock: %zu threads wait for each other in %s", n,
				 finding_function(findings, finding.stack)),
		g_strdup(text->str));
}

void finding_deadlock(struct findings *findings)
{
	const struct trace *trace = findings->index->trace;
	uint32_t circle[MAX_CIRCLE];

	for (guint i = 0; i < trace->threads->len; i++) {
		size_t n = circle_of(trace, i, circle);
		int is_first = n > 0;

		/* Each circle once: at its lowest thread. */
		for (size_t k = 1; k < n; k++)
			is_first &= circle[k] > i;
		if (is_first)
			tell(findings, circle, n);
	}
}
