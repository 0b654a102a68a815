/* SPDX-License-Identifier: MIT */
/*
 * recursion: a function that is eight times or more in a stack, with four samples and a twentieth of the sampled CPU time: medium.
 * cpu: a function with a quarter of the sampled CPU time and half of a CPU: low; it is where to begin, not a fault.
 * runnable-wait: threads that were ready waited for a processor at least a quarter of the time that they wanted one, and a
 *   twentieth of the window: medium. Says nothing where the kernel's numbers are missing.
 */
#include "viewer/finding_rule.h"

#define RECURSION_DEPTH 8
#define RECURSION_SAMPLES 4
#define RECURSION_SHARE 0.05
#define CPU_SHARE 0.25
#define CPU_OF_ONE 0.5
#define RUNNABLE_SHARE 0.25
#define RUNNABLE_OF_WINDOW 0.05

struct hot {
	uint64_t ns, n, row, deep_ns, n_deep;
	uint32_t function, max_depth;
};

static uint32_t depth_of(const struct findings *findings, uint32_t index, uint32_t function)
{
	const struct stacks *stacks = &findings->index->trace->stacks;
	const struct stack *stack = stacks_get(stacks, index);
	uint32_t depth = 0;

	for (uint32_t k = 0; k < stack->n_frames; k++) {
		const struct location *location = stacks_frame(stacks, stack, k);

		for (uint32_t i = 0; i < location->n_lines; i++)
			depth += g_array_index(stacks->lines, struct line, location->first_line + i)
					 .func == function;
	}
	return depth;
}

static void tell_hot(struct findings *findings, const struct hot *hot, uint64_t sum_ns)
{
	struct finding_rows rows = finding_rows(findings, INDEX_SAMPLE);
	int is_recursion = hot->n_deep >= RECURSION_SAMPLES &&
			   (double)hot->deep_ns >= RECURSION_SHARE * (double)sum_ns;
	struct finding finding = finding_new(
		is_recursion ? "recursion" : "cpu", is_recursion ? FINDING_MEDIUM : FINDING_LOW);
	const char *name = strings_get(findings->index->trace->strings, hot->function);
	char ns[FORMAT_SIZE], share[FORMAT_SIZE], window[FORMAT_SIZE];

	if (!is_recursion && ((double)hot->ns < CPU_SHARE * (double)sum_ns ||
				     (double)hot->ns < CPU_OF_ONE * (double)findings->window_ns))
		return;
	finding.table = INDEX_SAMPLE;
	finding.row = hot->row;
	finding.thread = (uint32_t)finding_get(&rows, hot->row, SAMPLE_THREAD);
	finding.time_ns = finding_get(&rows, hot->row, INDEX_END);
	finding.stack = (uint32_t)finding_get(&rows, hot->row, SAMPLE_STACK);
	finding.weight = (double)hot->ns;
	finding_share(share, (double)hot->ns, (double)sum_ns);
	finding_share(window, (double)hot->ns, (double)findings->window_ns);
	format_ns(ns, hot->ns);
	if (is_recursion)
		finding_add(findings, finding,
			g_strdup_printf("%s calls itself and uses the CPU", name),
			g_strdup_printf(
				"%s is up to %u times in one stack, and used %s of CPU time (%s of "
				"all that was sampled, %s of one CPU). Work that doubles with each "
				"level wants to keep results, or a loop.",
				name, hot->max_depth, ns, share, window));
	else
		finding_add(findings, finding, g_strdup_printf("Most CPU time goes into %s", name),
			g_strdup_printf(
				"%s itself used %s of CPU time: %s of all that was sampled, "
				"%s of one CPU. This is where to begin.",
				name, ns, share, window));
}

static void find_hot(struct findings *findings)
{
	struct finding_rows rows = finding_rows(findings, INDEX_SAMPLE);
	GArray *all = g_array_new(FALSE, FALSE, sizeof(struct hot));
	struct idmap by_function = { 0 };
	uint64_t sum_ns = 0;

	for (uint64_t row = 0; row < rows.n; row++) {
		uint32_t stack = (uint32_t)finding_get(&rows, row, SAMPLE_STACK), function, i;
		uint64_t weight = finding_get(&rows, row, SAMPLE_WEIGHT);
		struct hot *hot;
		uint32_t depth;

		sum_ns += weight;
		if (!finding_functions(findings, stack, 1, &function, 1))
			continue;
		i = idmap_get(&by_function, function, 0);
		if (i == IDMAP_NONE) {
			struct hot first = { .function = function };

			i = all->len;
			g_array_append_val(all, first);
			idmap_set(&by_function, function, 0, i);
		}
		hot = &g_array_index(all, struct hot, i);
		depth = depth_of(findings, stack, function);
		hot->ns += weight;
		hot->n++;
		if (depth >= RECURSION_DEPTH) {
			hot->n_deep++;
			hot->deep_ns += weight;
		}
		if (depth >= hot->max_depth) {
			hot->max_depth = depth;
			hot->row = row;
		}
	}
	for (guint i = 0; i < all->len; i++)
		tell_hot(findings, &g_array_index(all, struct hot, i), sum_ns);
	idmap_fini(&by_function);
	g_array_unref(all);
}

static void find_runnable(struct findings *findings)
{
	const struct trace *trace = findings->index->trace;
	uint64_t run_ns = 0, ready_ns = 0, most_ns = 0;
	uint32_t most = INDEX_NONE;
	struct finding finding = finding_new("runnable-wait", FINDING_MEDIUM);
	char ready[FORMAT_SIZE], run[FORMAT_SIZE], part[FORMAT_SIZE];

	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);

		if (thread->cpu_ns < 0 || thread->delay_ns < 0 || !trace_thread_is_traced(trace, i))
			continue;
		run_ns += (uint64_t)thread->cpu_ns;
		ready_ns += (uint64_t)thread->delay_ns;
		if ((uint64_t)thread->delay_ns > most_ns) {
			most_ns = (uint64_t)thread->delay_ns;
			most = i;
		}
	}
	if (most == INDEX_NONE || (double)ready_ns < RUNNABLE_SHARE * (double)(ready_ns + run_ns) ||
		(double)ready_ns < RUNNABLE_OF_WINDOW * (double)findings->window_ns)
		return;
	g_autofree char *name = finding_thread_name(findings, most);
	const char *cpus = trace_env(trace, "cpus");

	finding.thread = most;
	finding.time_ns = 0;
	finding.weight = (double)ready_ns;
	finding_add(findings, finding, g_strdup("Threads wait for a processor"),
		g_strdup_printf(
			"Threads that could have run waited %s for a processor, beside %s on "
			"one (%s of the time that they wanted one); %s most, %s%s%s. There are "
			"too few cores for this load, or other programs use them.",
			format_ns(ready, ready_ns), format_ns(run, run_ns),
			finding_share(part, (double)ready_ns, (double)(ready_ns + run_ns)), name,
			cpus ? "on a machine with " : "with ", cpus ? cpus : "few", " CPUs"));
}

void finding_cpu(struct findings *findings)
{
	find_hot(findings);
	find_runnable(findings);
}
