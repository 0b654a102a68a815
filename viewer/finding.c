/* SPDX-License-Identifier: MIT */
#include "viewer/finding.h"

#include <stdlib.h>
#include <string.h>

#include "viewer/finding_rule.h"

/* Of one rule: more say nothing new. */
#define MAX_PER_RULE 5

static const char *const severities[] = { "low", "medium", "high" };

/* In this order where the severity is the same: what comes first tends to be the cause of what comes later. */
static const char *const ranks[] = { "crash", "death", "deadlock", "blocking-under-lock",
	"contended-lock", "sleeping-workers", "leak", "recursion", "lock-order", "convoy",
	"fsync-on-request", "thread-churn", "runnable-wait", "tiny-calls", "failing-calls", "cpu",
	"trigger", "exit" };

struct finding finding_new(const char *rule, enum finding_severity severity)
{
	struct finding finding = {
		.severity = severity,
		.rule = rule,
		.thread = INDEX_NONE,
		.time_ns = FINDING_NO_TIME,
		.table = FINDING_NO_TABLE,
		.rank = G_N_ELEMENTS(ranks),
	};

	for (size_t i = 0; i < G_N_ELEMENTS(ranks); i++)
		if (strcmp(ranks[i], rule) == 0)
			finding.rank = (int)i;
	return finding;
}

void finding_add(struct findings *findings, struct finding finding, char *title, char *text)
{
	finding.title = title;
	finding.text = text;
	g_array_append_val(findings->list, finding);
}

const char *finding_share(char buffer[FORMAT_SIZE], double part, double whole)
{
	double percent = whole > 0 ? 100 * part / whole : 0;

	g_snprintf(buffer, FORMAT_SIZE, percent < 10 ? "%.1f %%" : "%.0f %%", percent);
	return buffer;
}

const char *finding_site(const struct findings *findings, uint32_t stack)
{
	struct stacks *stacks = &findings->index->trace->stacks;

	return strings_get(stacks->strings, stacks_site(stacks, stack));
}

void finding_load(struct finding_rows *rows, uint64_t row)
{
	rows->span = series_span(rows->series, row);
}

static int is_runtime(const struct stacks *stacks, const struct location *location)
{
	return location->module != MODULE_NONE &&
	       g_array_index(stacks->modules, struct module, location->module).is_runtime;
}

size_t finding_functions(const struct findings *findings, uint32_t index, uint32_t n_frames,
	uint32_t *ids, size_t max)
{
	const struct stacks *stacks = &findings->index->trace->stacks;
	const struct stack *stack = stacks_get(stacks, index);
	size_t n = 0;

	for (uint32_t k = 0; k < stack->n_frames && n_frames; k++) {
		const struct location *location = stacks_frame(stacks, stack, k);

		if (is_runtime(stacks, location))
			continue;
		n_frames--;
		for (uint32_t i = 0; i < location->n_lines && n < max; i++) {
			uint32_t function =
				g_array_index(stacks->lines, struct line, location->first_line + i)
					.func;

			if (function)
				ids[n++] = function;
		}
	}
	return n;
}

int finding_is_in(const struct findings *findings, uint32_t index, uint32_t function)
{
	const struct stacks *stacks = &findings->index->trace->stacks;
	const struct stack *stack = stacks_get(stacks, index);

	for (uint32_t k = 0; k < stack->n_frames; k++) {
		const struct location *location = stacks_frame(stacks, stack, k);

		for (uint32_t i = 0; i < location->n_lines; i++)
			if (g_array_index(stacks->lines, struct line, location->first_line + i)
					.func == function)
				return 1;
	}
	return 0;
}

const char *finding_function(const struct findings *findings, uint32_t stack)
{
	uint32_t id;

	if (finding_functions(findings, stack, 1, &id, 1))
		return strings_get(findings->index->trace->strings, id);
	return finding_site(findings, stack);
}

char *finding_thread_name(const struct findings *findings, uint32_t thread)
{
	const struct trace *trace = findings->index->trace;

	if (thread >= trace->threads->len)
		return g_strdup("a thread that is not known");
	return g_strdup_printf(
		"%s (%u)", trace_thread_name(trace, thread), trace_thread(trace, thread)->tid);
}

static int compare(gconstpointer a, gconstpointer b)
{
	const struct finding *x = a, *y = b;

	if (x->severity != y->severity)
		return (int)y->severity - (int)x->severity;
	if (x->rank != y->rank)
		return x->rank - y->rank;
	return (x->weight < y->weight) - (x->weight > y->weight);
}

static void clear(gpointer data)
{
	struct finding *finding = data;

	g_free(finding->title);
	g_free(finding->text);
}

/* Keeps the heaviest of each rule; the last one kept says how many there were. */
static void keep_first(struct findings *findings)
{
	GArray *list = findings->list;
	unsigned seen[G_N_ELEMENTS(ranks) + 1] = { 0 }, left[G_N_ELEMENTS(ranks) + 1] = { 0 };

	for (guint i = 0; i < list->len;) {
		struct finding *finding = &g_array_index(list, struct finding, i);

		if (seen[finding->rank]++ < MAX_PER_RULE) {
			i++;
			continue;
		}
		left[finding->rank]++;
		g_array_remove_index(list, i);
	}
	for (guint i = list->len; i-- > 0;) {
		struct finding *finding = &g_array_index(list, struct finding, i);
		char *text = finding->text;

		if (!left[finding->rank])
			continue;
		finding->text =
			g_strdup_printf("%s And %u more like this one.", text, left[finding->rank]);
		left[finding->rank] = 0;
		g_free(text);
	}
}

struct findings *findings_new(const struct index *index)
{
	static void (*const rules[])(struct findings *) = { finding_end, finding_deadlock,
		finding_lock, finding_call, finding_thread, finding_heap, finding_cpu };
	struct findings *findings = g_new0(struct findings, 1);

	findings->index = index;
	findings->window_ns = index->trace->end_ns - index->trace->begin_ns;
	findings->list = g_array_new(FALSE, FALSE, sizeof(struct finding));
	g_array_set_clear_func(findings->list, clear);
	for (size_t i = 0; i < G_N_ELEMENTS(rules) && findings->window_ns; i++)
		rules[i](findings);
	g_array_sort(findings->list, compare);
	keep_first(findings);
	return findings;
}

void findings_free(struct findings *findings)
{
	if (!findings)
		return;
	g_array_unref(findings->list);
	g_free(findings);
}

static json_t *text_of(const char *bytes)
{
	g_autofree char *valid = g_utf8_make_valid(bytes, -1);

	return json_string(valid);
}

static json_t *stack_of(uint32_t stack)
{
	return stack == STACK_INDEX_NONE ? json_null() : json_integer(stack);
}

json_t *findings_json(const struct findings *findings)
{
	const struct trace *trace = findings->index->trace;
	json_t *list = json_array();

	for (guint i = 0; i < findings->list->len; i++) {
		const struct finding *finding = &g_array_index(findings->list, struct finding, i);
		int has_thread = finding->thread < trace->threads->len;
		int has_time = finding->time_ns != FINDING_NO_TIME;
		int has_row = finding->table != FINDING_NO_TABLE;
		json_t *object = json_pack("{s:s, s:s, s:o, s:o, s:I}", "severity",
			severities[finding->severity], "rule", finding->rule, "title",
			text_of(finding->title), "text", text_of(finding->text), "dur",
			(json_int_t)finding->dur_ns);

		json_object_set_new(
			object, "thread", has_thread ? json_integer(finding->thread) : json_null());
		json_object_set_new(object, "tid",
			has_thread ? json_integer(trace_thread(trace, finding->thread)->tid)
				   : json_null());
		json_object_set_new(object, "time",
			has_time ? json_integer((json_int_t)finding->time_ns) : json_null());
		json_object_set_new(object, "table",
			has_row ? json_string(index_tables[finding->table].name) : json_null());
		json_object_set_new(object, "row",
			has_row ? json_integer((json_int_t)finding->row) : json_null());
		json_object_set_new(object, "stack", stack_of(finding->stack));
		json_object_set_new(object, "other_stack", stack_of(finding->other_stack));
		json_object_set_new(object, "site",
			finding->stack == STACK_INDEX_NONE
				? json_null()
				: text_of(finding_site(findings, finding->stack)));
		json_array_append_new(list, object);
	}
	return list;
}

char *findings_text(const struct index *index)
{
	struct findings *findings = findings_new(index);
	json_t *list = findings_json(findings);
	char *text = json_dumps(list, JSON_COMPACT), *copy = g_strdup(text ? text : "[]");

	free(text);
	json_decref(list);
	findings_free(findings);
	return copy;
}

/* Words wrapped at 100 columns, each line after `indent` blanks. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
	g_autofree char *clean = format_text(text, strlen(text) + 1, 0);
	g_auto(GStrv) words = g_strsplit(clean, " ", -1);
	glong column = 0;

	for (char **word = words; *word; word++) {
		glong width = g_utf8_strlen(*word, -1);

		if (column && column + 1 + width > 100) {
			fputc('\n', out);
			column = 0;
		}
		fprintf(out, "%*s%s", column ? 1 : indent, "", *word);
		column += (column ? 1 : indent) + width;
	}
	fputc('\n', out);
}

void findings_print(const struct findings *findings, FILE *out, unsigned top)
{
	guint n = top ? MIN(top, findings->list->len) : findings->list->len;

	if (!n)
		return;
	fprintf(out, "\nFindings\n");
	for (guint i = 0; i < n; i++) {
		const struct finding *finding = &g_array_index(findings->list, struct finding, i);
		g_autofree char *head =
			g_strdup_printf("%-7s %s", severities[finding->severity], finding->title);

		print_wrapped(out, head, 2);
		print_wrapped(out, finding->text, 10);
	}
	if (n < findings->list->len)
		fprintf(out, "  ... %u more (--top=0 shows all)\n", findings->list->len - n);
}
