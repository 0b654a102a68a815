/* SPDX-License-Identifier: MIT */
/*
 * crash: a thread got the signal that killed its process; death: a signal or a lack of memory killed a process without a word
 *   of where: high. exit: a process ended with a status other than 0: low.
 * trigger: why the trace was written without being asked for: medium.
 */
#include <string.h>

#include "proto/blackbox.h"
#include "viewer/finding_rule.h"

static uint64_t moment(const struct findings *findings, uint64_t time_ns)
{
	uint64_t origin = findings->index->origin_ns;

	return time_ns > origin ? MIN(time_ns - origin, findings->window_ns) : 0;
}

static void tell_crash(struct findings *findings, const struct crash *crash)
{
	const struct trace *trace = findings->index->trace;
	struct finding finding = finding_new("crash", FINDING_HIGH);
	g_autofree char *name = NULL;

	finding.thread = trace_find_thread(trace, crash->process, crash->tid, crash->time_ns);
	finding.time_ns = moment(findings, crash->time_ns);
	finding.stack = crash->stack;
	name = finding_thread_name(findings, finding.thread);
	finding_add(findings, finding,
		g_strdup_printf("%s in %s", crash->is_overflow ? "Stack overflow" : "Crash",
			finding_function(findings, crash->stack)),
		g_strdup_printf(
			"%s was killed by signal %u (%s) at %s, address 0x%" G_GINT64_MODIFIER
			"x.%s",
			name, crash->signal, strsignal((int)crash->signal),
			finding_site(findings, crash->stack), crash->addr,
			crash->is_overflow ? " Its stack was full." : ""));
}

static int has_crash(const struct trace *trace, uint32_t process)
{
	for (guint i = 0; i < trace->crashes->len; i++)
		if (g_array_index(trace->crashes, struct crash, i).process == process)
			return 1;
	return 0;
}

static void tell_end(struct findings *findings, uint32_t index)
{
	const struct trace *trace = findings->index->trace;
	const struct process *process = trace_process(trace, index);
	const char *name = trace_process_name(trace, index);
	struct finding finding = finding_new("death", FINDING_HIGH);

	finding.time_ns = moment(findings, process->end_ns);
	if (process->is_oom) {
		finding_add(findings, finding, g_strdup_printf("%s was killed: no memory", name),
			g_strdup_printf(
				"The kernel killed %s (pid %u) because memory was short. The heap "
				"profile tells what it held.",
				name, process->pid));
		return;
	}
	if (process->signal && !has_crash(trace, index)) {
		/* To be told to end is no fault. */
		if (process->signal == 15 || process->signal == 2 || process->signal == 1)
			return;
		finding_add(findings, finding, g_strdup_printf("%s was killed", name),
			g_strdup_printf("%s (pid %u) was killed by signal %u (%s).", name,
				process->pid, process->signal, strsignal((int)process->signal)));
		return;
	}
	if (process->exit_code && !process->signal &&
		(process->exit_kind == FR_EXIT_NORMAL || process->exit_kind == FR_EXIT_DIRECT)) {
		finding = finding_new("exit", FINDING_LOW);
		finding.time_ns = moment(findings, process->end_ns);
		finding_add(findings, finding, g_strdup_printf("%s ended with an error", name),
			g_strdup_printf("%s (pid %u) ended with status %d.", name, process->pid,
				process->exit_code));
	}
}

static void tell_trigger(struct findings *findings, const struct trigger *trigger)
{
	const struct trace *trace = findings->index->trace;
	struct finding finding = finding_new("trigger", FINDING_MEDIUM);

	if (trigger->tid)
		finding.thread =
			trace_find_thread(trace, trigger->process, trigger->tid, trigger->time_ns);
	finding.time_ns = moment(findings, trigger->time_ns);
	finding.stack = trigger->stack;
	finding_add(findings, finding,
		g_strdup_printf("Trigger: %s", strings_get(trace->strings, trigger->kind)),
		g_strdup_printf("The trace was kept for this: %s%s%s",
			strings_get(trace->strings, trigger->reason),
			trigger->stack == STACK_INDEX_NONE ? "" : "; at ",
			trigger->stack == STACK_INDEX_NONE
				? ""
				: finding_site(findings, trigger->stack)));
}

void finding_end(struct findings *findings)
{
	const struct trace *trace = findings->index->trace;

	for (guint i = 0; i < trace->crashes->len; i++)
		tell_crash(findings, &g_array_index(trace->crashes, struct crash, i));
	for (guint i = 0; i < trace->processes->len; i++)
		if (trace_process(trace, i)->end_ns && trace_process(trace, i)->pid)
			tell_end(findings, i);
	for (guint i = 0; i < trace->triggers->len; i++)
		tell_trigger(findings, &g_array_index(trace->triggers, struct trigger, i));
}
