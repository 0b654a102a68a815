/* SPDX-License-Identifier: MIT */
/* The head of the summary for people: what was recorded, what is missing, what ended it. */
#include "viewer/summary_print.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "viewer/format.h"

#define MAX_FRAMES 16

void summary_print_line(FILE *out, const char *label, const char *text)
{
	g_autofree char *clean = format_text(text, SUMMARY_WIDTH * 4, 0);
	g_auto(GStrv) words = g_strsplit(clean, " ", -1);
	size_t column = 14;

	fprintf(out, "  %-11s ", label);
	for (char **word = words; *word; word++) {
		size_t length = (size_t)g_utf8_strlen(*word, -1);
		if (column > 14 && column + 1 + length > SUMMARY_WIDTH) {
			fprintf(out, "\n%*s", 14, "");
			column = 14;
		}
		fprintf(out, "%s%s", column > 14 ? " " : "", *word);
		column += length + (column > 14);
	}
	fputc('\n', out);
}

guint summary_at_most(const GArray *rows, unsigned top)
{
	return top && top < rows->len ? top : rows->len;
}

void summary_print_more(FILE *out, const GArray *rows, unsigned top)
{
	if (summary_at_most(rows, top) < rows->len)
		fprintf(out, "  ... and %u more (--top=N shows more, --top=0 all)\n",
			rows->len - summary_at_most(rows, top));
}

static int begins_with_step(const char *sentence)
{
	static const char *const names[] = {
#define FR_X(id, name) name,
		FR_SCHED_TABLE(FR_X)
#undef FR_X
	};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (g_str_has_prefix(sentence, names[i]))
			return 1;
	return 0;
}

/* The step in use, and whether its records are all there. */
static void print_scheduling(const struct summary *summary, FILE *out)
{
	const struct trace *trace = summary->trace;
	const char *step = trace_receipt(trace, "scheduling.step");
	const char *sentence = trace_receipt(trace, "scheduling");
	int64_t slices = summary_receipt_number(summary, "scheduling.slices");
	int64_t records = summary_receipt_number(summary, "scheduling.records");
	int64_t lost = summary_receipt_number(summary, "scheduling.lost");
	g_autoptr(GString) text = g_string_new(NULL);

	if (sentence || step) {
		/* The sentence begins with the step in use when the trace was written. */
		if (step && !(sentence && g_str_has_prefix(sentence, step)))
			g_string_append_printf(text, "%s%s", step,
				!sentence		     ? ""
				: begins_with_step(sentence) ? "; at the end "
							     : ": ");
		if (sentence)
			g_string_append(text, sentence);
		summary_print_line(out, "scheduling", text->str);
	}
	if (slices <= 0 || records <= 0)
		return;
	g_string_printf(text,
		"%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
		" times on a processor are recorded (%.3g %%)",
		records, slices, 100.0 * (double)records / (double)slices);
	if (lost > 0)
		g_string_append_printf(text, ", %" G_GINT64_FORMAT " records lost", lost);
	summary_print_line(out, "", text->str);
}

static void print_window(const struct summary *summary, FILE *out)
{
	const struct trace *trace = summary->trace;
	const char *command = trace_env(trace, "command"), *host = trace_env(trace, "host");
	const char *kernel = trace_env(trace, "kernel"), *mode = trace_receipt(trace, "mode");
	const char *reason = trace_receipt(trace, "end_reason");
	int64_t asked = summary_receipt_number(summary, "window.asked_ns");
	g_autoptr(GString) text = g_string_new(NULL);
	char a[FORMAT_SIZE], b[FORMAT_SIZE], when[64];

	summary_print_line(out, "command", command ? command : "unknown");
	g_string_printf(
		text, "%s%s%s", host ? host : "unknown", kernel ? ", " : "", kernel ? kernel : "");
	summary_print_line(out, "host", text->str);
	g_string_printf(text, "%s %s", format_ns(a, trace->end_ns - trace->begin_ns),
		trace->is_narrowed ? "looked at" : "covered");
	if (asked > 0)
		g_string_append_printf(text, ", %s asked", format_ns(b, (uint64_t)asked));
	if (trace->report.has_clock && trace->begin_ns) {
		time_t begin =
			((int64_t)trace->begin_ns + trace->report.wall_offset_ns) / 1000000000;
		struct tm tm;
		gmtime_r(&begin, &tm);
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
		g_string_append_printf(text, ", from %s", when);
	}
	if (mode)
		g_string_append_printf(text, "; %s", mode);
	if (reason && *reason)
		g_string_append_printf(text, ", ended by: %s", reason);
	summary_print_line(out, "window", text->str);
	g_string_printf(text,
		"%" G_GUINT64_FORMAT " events in %u streams, %u processes, %u threads",
		trace->n_events, trace->report.n_streams, trace->processes->len,
		summary->by_thread->len);
	summary_print_line(out, "recorded", text->str);
	print_scheduling(summary, out);
}

static void print_lost(const struct summary *summary, FILE *out)
{
	const struct trace *trace = summary->trace;
	int64_t events = summary_receipt_number(summary, "lost.events");
	int64_t packets = summary_receipt_number(summary, "lost.packets");
	g_autoptr(GString) text = g_string_new(NULL);
	const char *name, *about;
	int n = 0;

	if (events < 0 && trace->report.n_lost)
		events = (int64_t)trace->report.n_lost;
	if (events > 0 || packets > 0)
		g_string_printf(text, "%" G_GINT64_FORMAT " events, %" G_GINT64_FORMAT " packets",
			MAX(events, 0), MAX(packets, 0));
	else if (events < 0)
		g_string_assign(text, "unknown: the trace has no receipt");
	else
		g_string_assign(text, "no events");
	summary_print_line(out, "lost", text->str);
	for (size_t i = 0; (name = summary_loss_counter(i, &about)); i++) {
		uint64_t value = summary_loss(summary, name);
		if (!value)
			continue;
		g_string_printf(text, "%" G_GUINT64_FORMAT " %s", value, about);
		summary_print_line(out, n++ ? "" : "incomplete", text->str);
	}
	n = 0;
	for (guint i = 0; i < trace->receipt->len; i++) {
		const struct pair *pair = &g_array_index(trace->receipt, struct pair, i);
		if (g_str_has_prefix(strings_get(trace->strings, pair->key), "note."))
			summary_print_line(
				out, n++ ? "" : "notes", strings_get(trace->strings, pair->value));
	}
	for (guint i = 0; i < trace->notes->len; i++)
		summary_print_line(out, n++ ? "" : "notes", trace->notes->pdata[i]);
}

void summary_print_head(const struct summary *summary, FILE *out)
{
	print_window(summary, out);
	print_lost(summary, out);
}

void summary_print_stack(
	const struct summary *summary, uint32_t index, const char *label, FILE *out)
{
	const struct stacks *stacks = &summary->trace->stacks;
	const struct stack *stack = stacks_get(stacks, index);
	uint32_t n = 0;

	if (stack->n_frames == 0)
		summary_print_line(out, label,
			strings_get(summary->trace->strings,
				stacks_site(&summary->trace->stacks, index)));
	for (uint32_t i = 0; i < stack->n_frames; i++) {
		const struct location *location = stacks_frame(stacks, stack, i);
		for (uint32_t j = 0; j == 0 || j < location->n_lines; j++, n++) {
			g_autoptr(GString) text = g_string_new(NULL);
			if (n == MAX_FRAMES) {
				summary_print_line(out, "", "...");
				return;
			}
			g_string_append_printf(text, "#%u ", n);
			stacks_append_function(stacks, location, j, text);
			if (j < location->n_lines) {
				const struct line *line = &g_array_index(
					stacks->lines, struct line, location->first_line + j);
				const char *file = strings_get(summary->trace->strings, line->file);
				if (*file)
					g_string_append_printf(text, " (%s:%u)", file, line->line);
			}
			summary_print_line(out, n ? "" : label, text->str);
		}
	}
}

static void print_crash(const struct summary *summary, const struct crash *crash, FILE *out)
{
	const struct trace *trace = summary->trace;
	uint32_t thread = trace_find_thread(trace, crash->process, crash->tid, crash->time_ns);
	const char *signal_name = sigabbrev_np((int)crash->signal);
	g_autoptr(GString) text = g_string_new(NULL);
	char a[FORMAT_SIZE];

	g_string_printf(text, "%u %s of pid %u", crash->tid,
		thread == THREAD_NONE ? "" : trace_thread_name(trace, thread),
		trace_process(trace, crash->process)->pid);
	if (trace->end_ns >= crash->time_ns && crash->time_ns)
		g_string_append_printf(
			text, ", %s before the end", format_ns(a, trace->end_ns - crash->time_ns));
	summary_print_line(out, "thread", text->str);
	g_string_printf(text, "%s%s, code %d", signal_name ? "SIG" : "signal ",
		signal_name ? signal_name : "", crash->code);
	if (!signal_name)
		g_string_append_printf(text, " (number %u)", crash->signal);
	if (crash->code > 0)
		g_string_append_printf(text, ", address 0x%" G_GINT64_MODIFIER "x", crash->addr);
	else
		g_string_append_printf(
			text, ", sent by pid %u, uid %u", crash->sender_pid, crash->sender_uid);
	g_string_append_printf(text, ", pc 0x%" G_GINT64_MODIFIER "x, sp 0x%" G_GINT64_MODIFIER "x",
		crash->pc, crash->sp);
	if (crash->is_overflow)
		g_string_append(text, "; the thread's stack was full");
	summary_print_line(out, "signal", text->str);
	summary_print_stack(summary, crash->stack, "stack", out);
	if (crash->registers)
		summary_print_line(out, "registers", strings_get(trace->strings, crash->registers));
}

void summary_print_death(const struct summary *summary, FILE *out)
{
	const struct trace *trace = summary->trace;
	const char *death = trace_receipt(trace, "death");

	if (!death && trace->crashes->len == 0)
		return;
	fprintf(out, "\nDeath\n");
	if (death)
		summary_print_line(out, "reason", death);
	for (guint i = 0; i < trace->crashes->len; i++)
		print_crash(summary, &g_array_index(trace->crashes, struct crash, i), out);
}

/* A trigger's value or limit, in the unit of its kind. */
static const char *quantity(char buffer[FORMAT_SIZE], const char *kind, uint64_t value)
{
	if (g_str_equal(kind, "rss") || g_str_equal(kind, "heap"))
		return format_bytes(buffer, (double)value);
	if (g_str_equal(kind, "slow") || g_str_equal(kind, "lock") || g_str_equal(kind, "call"))
		return format_ns(buffer, value);
	return format_count(buffer, (double)value);
}

void summary_print_triggers(const struct summary *summary, FILE *out)
{
	const struct trace *trace = summary->trace;
	const char *sentence = trace_receipt(trace, "trigger");
	char a[FORMAT_SIZE], b[FORMAT_SIZE];

	/* A death is a section of its own. */
	if (trace_receipt(trace, "death") || (!sentence && trace->triggers->len == 0))
		return;
	fprintf(out, "\nTrigger\n");
	if (sentence)
		summary_print_line(out, "reason", sentence);
	for (guint i = 0; i < trace->triggers->len; i++) {
		const struct trigger *trigger = &g_array_index(trace->triggers, struct trigger, i);
		const char *kind = strings_get(trace->strings, trigger->kind);
		const char *reason = strings_get(trace->strings, trigger->reason);
		uint32_t thread = trigger->tid ? trace_find_thread(trace, trigger->process,
							 trigger->tid, trigger->time_ns)
					       : THREAD_NONE;
		g_autoptr(GString) text = g_string_new(kind);
		if (*reason)
			g_string_append_printf(text, " %s", reason);
		if (trigger->value || trigger->limit)
			g_string_append_printf(text, ": %s, limit %s",
				quantity(a, kind, trigger->value),
				quantity(b, kind, trigger->limit));
		if (trigger->tid)
			g_string_append_printf(text, ", thread %u %s", trigger->tid,
				thread == THREAD_NONE ? "" : trace_thread_name(trace, thread));
		if (trigger->time_ns && trace->end_ns >= trigger->time_ns)
			g_string_append_printf(text, ", %s before the end",
				format_ns(a, trace->end_ns - trigger->time_ns));
		summary_print_line(out, "moment", text->str);
		if (trigger->stack != STACK_INDEX_NONE)
			summary_print_stack(summary, trigger->stack, "stack", out);
	}
}
