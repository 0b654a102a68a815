/* SPDX-License-Identifier: MIT */
/*
 * sleeping-workers: eight or more threads, started in the window and not all at once (over a quarter of it), sleep at its end at
 *   one place on a condition or semaphore, and slept for most of their lives: medium; high from twenty. A pool that is made at
 *   once is none.
 * thread-churn: threads of one creator that began and ended within the window, fifty or more and ten a second, half of them
 *   alive for less than a second: medium.
 */
#include <stdlib.h>

#include "viewer/finding_rule.h"

#define PILE_MEDIUM 8
#define PILE_HIGH 20
#define PILE_SPREAD 0.25
#define CHURN_MIN 50
#define CHURN_RATE 10.0
#define CHURN_LIFE_NS 1000000000u

struct group {
	uint64_t first_ns, last_ns;	 /* starts within the window */
	uint64_t asleep_ns, lived_ns;	 /* of those started within the window */
	uint64_t n, n_started, n_short;	 /* n: at its end; started: of these, within it */
	uint64_t sum_ns;		 /* of lives that ended */
	uint32_t stack, process, thread; /* thread: the last */
	uint32_t creator_stack;
};

struct groups {
	struct idmap by_stack;
	GArray *all; /* struct group */
};

static struct group *group_of(struct groups *groups, uint64_t a, uint64_t b)
{
	uint32_t i = idmap_get(&groups->by_stack, a, b);

	if (i == IDMAP_NONE) {
		struct group first = { .first_ns = UINT64_MAX };

		i = groups->all->len;
		g_array_append_val(groups->all, first);
		idmap_set(&groups->by_stack, a, b, i);
	}
	return &g_array_index(groups->all, struct group, i);
}

static int is_asleep(const struct thread *thread)
{
	return !thread->end_ns && thread->since_ns &&
	       (thread->state == FR_STATE_COND || thread->state == FR_STATE_SEM);
}

static void tell_pile(struct findings *findings, const struct group *group)
{
	const struct trace *trace = findings->index->trace;
	const struct thread *last = trace_thread(trace, group->thread);
	struct finding finding = finding_new(
		"sleeping-workers", group->n_started >= PILE_HIGH ? FINDING_HIGH : FINDING_MEDIUM);
	g_autofree char *creator = NULL, *name = finding_thread_name(findings, group->thread);
	double seconds = (double)findings->window_ns / 1e9;

	finding.thread = group->thread;
	finding.time_ns = last->since_ns > trace->begin_ns ? last->since_ns - trace->begin_ns : 0;
	finding.dur_ns = findings->window_ns - MIN(finding.time_ns, findings->window_ns);
	finding.stack = group->stack;
	finding.other_stack = group->creator_stack;
	finding.weight = (double)group->n;
	if (group->creator_stack != STACK_INDEX_NONE)
		creator =
			g_strdup_printf(", from %s", finding_site(findings, group->creator_stack));
	finding_add(findings, finding,
		g_strdup_printf(
			"Ever more threads sleep in %s", finding_function(findings, group->stack)),
		g_strdup_printf("%" G_GUINT64_FORMAT " threads, such as %s, sleep at %s at the end "
				"of the window. %" G_GUINT64_FORMAT
				" of them were started within it (%.1f a second%s), and did "
				"little else since. Work starts new threads rather than wake "
				"those: look at how a sleeper is found.",
			group->n, name, finding_site(findings, group->stack), group->n_started,
			(double)group->n_started / seconds, creator ? creator : ""));
}

static void find_piles(struct findings *findings)
{
	const struct trace *trace = findings->index->trace;
	struct groups groups = { .all = g_array_new(FALSE, FALSE, sizeof(struct group)) };

	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		struct group *group;

		if (!is_asleep(thread) || trace_process(trace, thread->process)->end_ns ||
			thread->since_ns > trace->end_ns)
			continue;
		group = group_of(&groups, thread->process, thread->stack);
		group->stack = thread->stack;
		group->n++;
		if (thread->start_ns <= trace->begin_ns || thread->start_ns >= trace->end_ns)
			continue;
		group->n_started++;
		group->first_ns = MIN(group->first_ns, thread->start_ns);
		if (thread->start_ns >= group->last_ns) {
			group->last_ns = thread->start_ns;
			group->thread = i;
			group->creator_stack = thread->creator_stack;
		}
		group->asleep_ns += trace->end_ns - thread->since_ns;
		group->lived_ns += trace->end_ns - thread->start_ns;
	}
	for (guint i = 0; i < groups.all->len; i++) {
		const struct group *group = &g_array_index(groups.all, struct group, i);

		if (group->n_started >= PILE_MEDIUM && group->asleep_ns * 2 >= group->lived_ns &&
			(double)(group->last_ns - group->first_ns) >=
				PILE_SPREAD * (double)findings->window_ns)
			tell_pile(findings, group);
	}
	idmap_fini(&groups.by_stack);
	g_array_unref(groups.all);
}

static void tell_churn(struct findings *findings, const struct group *group)
{
	const struct trace *trace = findings->index->trace;
	struct finding finding = finding_new("thread-churn", FINDING_MEDIUM);
	char life[FORMAT_SIZE];

	finding.thread = group->thread;
	finding.time_ns = trace_thread(trace, group->thread)->start_ns - trace->begin_ns;
	finding.stack = group->creator_stack;
	finding.weight = (double)group->n;
	format_ns(life, group->sum_ns / group->n);
	finding_add(findings, finding,
		g_strdup_printf("Threads of short life are started in %s",
			finding_function(findings, group->creator_stack)),
		g_strdup_printf("%" G_GUINT64_FORMAT
				" threads started at %s began and ended within the window (%.0f a "
				"second), and lived for %s on average. A pool of threads would "
				"save starting them.",
			group->n, finding_site(findings, group->creator_stack),
			(double)group->n * 1e9 / (double)findings->window_ns, life));
}

static void find_churn(struct findings *findings)
{
	const struct trace *trace = findings->index->trace;
	struct groups groups = { .all = g_array_new(FALSE, FALSE, sizeof(struct group)) };

	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);
		struct group *group;

		if (!thread->is_defined || thread->creator_stack == STACK_INDEX_NONE ||
			thread->start_ns < trace->begin_ns || thread->end_ns < thread->start_ns ||
			thread->end_ns > trace->end_ns)
			continue;
		group = group_of(&groups, thread->process, thread->creator_stack);
		group->creator_stack = thread->creator_stack;
		group->thread = i;
		group->n++;
		group->sum_ns += thread->end_ns - thread->start_ns;
		group->n_short += thread->end_ns - thread->start_ns < CHURN_LIFE_NS;
	}
	for (guint i = 0; i < groups.all->len; i++) {
		const struct group *group = &g_array_index(groups.all, struct group, i);

		if (group->n >= CHURN_MIN && group->n_short * 2 >= group->n &&
			(double)group->n * 1e9 / (double)findings->window_ns >= CHURN_RATE)
			tell_churn(findings, group);
	}
	idmap_fini(&groups.by_stack);
	g_array_unref(groups.all);
}

void finding_thread(struct findings *findings)
{
	find_piles(findings);
	find_churn(findings);
}
