/* SPDX-License-Identifier: MIT */
/* What the scheduler did, who ended the waits of others, and where CPU time went, for people. */
#include "viewer/summary_print.h"

#include "viewer/format.h"

#define MAX_WAKER_FRAMES 4

/* The kernel's count where it is known, else that of the records. */
static const char *count(char buffer[FORMAT_SIZE], int64_t kernel, uint64_t records, int is_exact)
{
	if (kernel < 0 && !is_exact)
		return "?";
	return format_count(buffer, kernel >= 0 ? (double)kernel : (double)records);
}

void summary_print_sched(const struct summary *summary, FILE *out, unsigned top)
{
	const struct trace *trace = summary->trace;
	char a[FORMAT_SIZE], b[FORMAT_SIZE], c[FORMAT_SIZE];

	if (!summary_has_sched(summary))
		return;
	fprintf(out, "\nScheduling (CPU, DELAY and counts: the kernel's totals; VOLUNTARY: it "
		     "waited, FORCED: preempted)\n");
	fprintf(out, "  %7s %-15s %8s %8s %8s %8s %9s %8s %5s %8s\n", "TID", "NAME", "CPU", "DELAY",
		"BLOCKED", "SLICES", "VOLUNTARY", "FORCED", "CPUS", "MOVES");
	for (guint i = 0; i < summary_at_most(summary->by_thread, top); i++) {
		uint32_t index = g_array_index(summary->by_thread, uint32_t, i);
		const struct thread *thread = trace_thread(trace, index);
		const struct thread_time *time = thread_states_get(summary->states, index);
		const struct run_counts *counts = &time->counts;
		int is_exact = time->sched == THREAD_SCHED_EXACT;
		g_autofree char *name = format_text(trace_thread_name(trace, index), 15, 0);
		fprintf(out, "  %7u %-15s %8s %8s %8s", thread->tid, name,
			thread->cpu_ns >= 0 ? format_ns(a, (uint64_t)thread->cpu_ns) : "?",
			thread->delay_ns >= 0 ? format_ns(b, (uint64_t)thread->delay_ns) : "?",
			format_ns(c, time->present_ns - time->run_ns - time->runnable_ns));
		fprintf(out, " %8s %9s %8s", count(a, thread->n_slices, counts->n_in, is_exact),
			count(b, thread->n_voluntary, counts->n_voluntary, is_exact),
			count(c, thread->n_involuntary, counts->n_involuntary, is_exact));
		if (is_exact)
			fprintf(out, " %5u %8s\n", counts->n_cpus,
				format_count(a, (double)counts->n_migrations));
		else
			fprintf(out, " %5s %8s\n", "?", "?");
	}
	summary_print_more(out, summary->by_thread, top);
}

static void append_states(GString *text, uint32_t states)
{
	for (uint32_t i = 0, n = 0; i < FR_STATE_N; i++)
		if (states >> i & 1)
			g_string_append_printf(text, "%s%s", n++ ? "+" : "", event_state_name(i));
}

/* The callers of the place, without the runtime's own frames at the leaf. */
static void append_callers(GString *text, const struct stacks *stacks, uint32_t index)
{
	const struct stack *stack = stacks_get(stacks, index);
	uint32_t first = 0, n = 0;

	while (first < stack->n_frames) {
		uint32_t module = stacks_frame(stacks, stack, first)->module;
		if (module == MODULE_NONE ||
			!g_array_index(stacks->modules, struct module, module).is_runtime)
			break;
		first++;
	}
	for (uint32_t i = first + 1; i < stack->n_frames && n < MAX_WAKER_FRAMES; i++, n++) {
		g_string_append(text, " < ");
		stacks_append_function(stacks, stacks_frame(stacks, stack, i), 0, text);
	}
}

void summary_print_wakers(const struct summary *summary, FILE *out, unsigned top)
{
	const struct trace *trace = summary->trace;
	char a[FORMAT_SIZE], b[FORMAT_SIZE], c[FORMAT_SIZE];

	if (summary->by_waker->len == 0)
		return;
	fprintf(out, "\nWho made others wait: who let go of, signalled or wrote what they waited "
		     "for\n");
	fprintf(out, "  %8s %9s %8s  %s\n", "WAITED", "COUNT", "MAX", "WHO, WHERE IT DID");
	for (guint i = 0; i < summary_at_most(summary->by_waker, top); i++) {
		const struct waker *waker = &g_array_index(summary->wakers.wakers, struct waker,
			g_array_index(summary->by_waker, uint32_t, i));
		g_autoptr(GString) who = g_string_new(NULL);
		g_autoptr(GString) where = g_string_new(NULL);
		append_states(who, waker->states);
		if (waker->thread == WAKER_VARIOUS)
			g_string_append(who, " by several threads");
		else if (waker->thread != THREAD_NONE)
			g_string_append_printf(who, " by %s (%u)",
				trace_thread_name(trace, waker->thread),
				trace_thread(trace, waker->thread)->tid);
		g_autofree char *who_text = format_text(who->str, SUMMARY_WIDTH - 32, 0);
		fprintf(out, "  %8s %9s %8s  %s\n", format_ns(a, waker->ns),
			format_count(b, (double)waker->n), format_ns(c, waker->max_ns), who_text);
		g_string_append(where, strings_get(trace->strings,
					       stacks_site(&summary->trace->stacks, waker->stack)));
		append_callers(where, &trace->stacks, waker->stack);
		g_autofree char *where_text = format_text(where->str, SUMMARY_WIDTH - 36, 0);
		fprintf(out, "%33sat %s\n", "", where_text);
	}
	summary_print_more(out, summary->by_waker, top);
	if (summary->wakers.n_rest)
		fprintf(out,
			"  %" G_GUINT64_FORMAT " more waits, ended at places beyond the table's "
			"limit.\n",
			summary->wakers.n_rest);
}

void summary_print_cpu(const struct summary *summary, FILE *out, unsigned top)
{
	const struct cpu_samples *samples = &summary->cpu;
	int64_t hz = summary_receipt_number(summary, "samples.hz");
	int64_t lost = summary_receipt_number(summary, "samples.lost");
	char a[FORMAT_SIZE], b[FORMAT_SIZE];

	if (samples->n == 0)
		return;
	fprintf(out, "\nCPU time by place, from %" G_GUINT64_FORMAT " samples", samples->n);
	if (hz > 0)
		fprintf(out, " at %" G_GINT64_FORMAT " Hz", hz);
	if (lost > 0)
		fprintf(out, " (%" G_GINT64_FORMAT " lost)", lost);
	fprintf(out, "\n  %8s %6s %8s  %s\n", "CPU", "SHARE", "SAMPLES", "PLACE");
	for (guint i = 0; i < summary_at_most(summary->by_cpu_site, top); i++) {
		const struct cpu_site *site = &g_array_index(samples->sites, struct cpu_site,
			g_array_index(summary->by_cpu_site, uint32_t, i));
		g_autofree char *place = format_text(
			strings_get(summary->trace->strings, site->site), SUMMARY_WIDTH - 30, 1);
		fprintf(out, "  %8s %5.1f%% %8s  %s\n", format_ns(a, site->ns),
			samples->ns ? 100.0 * (double)site->ns / (double)samples->ns : 0.0,
			format_count(b, (double)site->n), place);
	}
	summary_print_more(out, summary->by_cpu_site, top);
}
