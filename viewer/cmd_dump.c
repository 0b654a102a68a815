/* SPDX-License-Identifier: MIT */
/* trace-view dump: one event per line, for grep and awk. */
#include "viewer/cmd.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "viewer/format.h"

struct arguments {
	struct cmd_input input;
	struct cmd_filter filter;
	const char *event;
	uint32_t tid;
	int has_tid;
};

struct dump {
	const struct arguments *arguments;
	GString *line;
	uint8_t is_wanted[EVENT_N]; /* by --event */
};

static const struct argp_option options[] = {
	{ "tid", 't', "N", 0, "Only events of thread N", 0 },
	{ "event", 'e', "GLOB", 0,
		"Only events whose name matches: 'flightrec_lock:*', '*:call'; or a name without "
		"its provider: wait",
		0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	char *end;

	switch (key) {
	case 't':
		arguments->tid = (uint32_t)strtoul(arg, &end, 10);
		arguments->has_tid = 1;
		if (*arg < '0' || *arg > '9' || *end)
			argp_error(state, "--tid=%s: expected a thread id, such as 1234", arg);
		return 0;
	case 'e':
		arguments->event = arg;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->input;
		state->child_inputs[1] = &arguments->filter;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{ &cmd_input_argp, 0, NULL, 0 },
	{ &cmd_window_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = children,
	.args_doc = "TRACE",
	.doc = "Prints one event per line, in order of time:"
	       "\n\n  SECONDS EVENT PID/TID THREAD proc=N key=value ...\n   "
	       "stack=function<caller<caller\n\n"
	       "SECONDS count from the beginning of the window; all durations are ns."
	       "\vExamples:\n"
	       "  trace-view dump trace.out | head\n"
	       "  trace-view dump --event=wait trace.out | grep kind=mutex\n"
	       "  trace-view dump --tid=1234 --event='flightrec_syscall:*' trace.out\n",
};

static void append_stack(GString *line, struct trace *trace, uint32_t index)
{
	const struct stack *stack = stacks_get(&trace->stacks, index);

	if (stack->n_frames == 0) {
		format_quoted(
			line, strings_get(trace->strings, stacks_site(&trace->stacks, index)));
		return;
	}
	for (uint32_t i = 0; i < stack->n_frames; i++) {
		const struct location *location = stacks_frame(&trace->stacks, stack, i);
		for (uint32_t j = 0; j == 0 || j < location->n_lines; j++) {
			g_autoptr(GString) name = g_string_new(NULL);
			stacks_append_function(&trace->stacks, location, j, name);
			/* A line is split at blanks, so a name has none. */
			g_strdelimit(name->str, " \t\n", '_');
			if (i || j)
				g_string_append_c(line, '<');
			g_string_append(line, name->str);
		}
	}
}

static void append_field(GString *line, struct trace *trace, const struct trace_event *at,
	const struct event_field *field)
{
	const char *from = (const char *)at->event + field->offset;
	const char *name;
	uint64_t value = 0;
	int is_signed = field->type == EVENT_S32 || field->type == EVENT_S64;

	g_string_append_printf(line, " %s=", field->name);
	switch (field->type) {
	case EVENT_STRING:
		format_quoted(line, *(const char *const *)from);
		return;
	case EVENT_S32:
		value = (uint64_t)(int64_t) * (const int32_t *)from;
		break;
	case EVENT_U32:
		value = *(const uint32_t *)from;
		break;
	default:
		value = *(const uint64_t *)from;
		break;
	}
	name = event_enum_name(field->show, value);
	if (name)
		g_string_append(line, name);
	else if (field->show == SHOW_STACK && value == 0)
		g_string_append(line, "none");
	else if (field->show == SHOW_STACK)
		append_stack(line, trace, trace_stack(trace, at->process, (uint32_t)value));
	else if (field->show == SHOW_HEX)
		g_string_append_printf(line, "0x%" G_GINT64_MODIFIER "x", value);
	else if (is_signed)
		g_string_append_printf(line, "%" G_GINT64_FORMAT, (int64_t)value);
	else
		g_string_append_printf(line, "%" G_GUINT64_FORMAT, value);
}

static int dump_event(void *self, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	const struct event_info *info = &event_infos[event->kind];
	struct dump *dump = self;
	GString *line = dump->line;
	const struct process *process = trace_process(trace, at->process);
	int64_t since = (int64_t)(event->time_ns - trace->begin_ns);

	if (!dump->is_wanted[event->kind] || (trace->is_narrowed && at->is_outside) ||
		(dump->arguments->has_tid && event->tid != dump->arguments->tid))
		return 0;
	g_string_printf(line, "%s%" G_GINT64_FORMAT ".%09u", since < 0 ? "-" : "",
		ABS(since) / 1000000000, (unsigned)(ABS(since) % 1000000000));
	g_string_append_printf(line, " %s", info->name);
	if (process->pid)
		g_string_append_printf(line, " %u/%u ", process->pid, event->tid);
	else
		g_string_append_printf(line, " ?/%u ", event->tid);
	g_autofree char *name = format_text(trace_thread_name(trace, at->thread), 64, 0);
	g_strdelimit(name, " ", '_');
	g_string_append_printf(line, "%s proc=%u", name, event->proc);
	for (uint32_t i = 0; i < info->n_fields; i++)
		append_field(line, trace, at, &info->fields[i]);
	if (event->stack != STACK_INDEX_NONE) {
		g_string_append(line, " stack=");
		append_stack(line, trace, trace_stack(trace, at->process, event->stack));
	}
	g_string_append_c(line, '\n');
	return fwrite(line->str, 1, line->len, stdout) != line->len;
}

int cmd_dump(int argc, char **argv)
{
	struct arguments arguments = { .input = CMD_INPUT_INIT };
	struct dump dump = { .arguments = &arguments };
	struct trace_pass pass = { .event = dump_event, .self = &dump, .is_unclipped = 1 };
	GError *error = NULL;
	int status, is_any = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	for (int i = 0; i < EVENT_FIRST_DEF; i++) {
		const char *name = event_infos[i].name;
		dump.is_wanted[i] = !arguments.event || fnmatch(arguments.event, name, 0) == 0 ||
				    fnmatch(arguments.event, strchr(name, ':') + 1, 0) == 0;
		is_any |= dump.is_wanted[i];
	}
	if (!is_any) {
		fprintf(stderr,
			"trace-view: no event is called '%s'; the names are:", arguments.event);
		for (int i = 0; i < EVENT_FIRST_DEF; i++)
			fprintf(stderr, " %s", event_infos[i].name);
		fprintf(stderr, "\n");
		return EXIT_USAGE;
	}
	struct trace *trace = trace_open(arguments.input.file, arguments.input.max_size, &error);
	if (!trace)
		return cmd_fail(error);
	dump.line = g_string_new(NULL);
	if (!cmd_filter_window(&arguments.filter, trace, &error) ||
		!trace_run(trace, &pass, 1, &error)) {
		status = cmd_fail(error);
	} else {
		status = cmd_finish_output(stdout, "the standard output");
		cmd_print_notes(trace);
	}
	g_string_free(dump.line, TRUE);
	trace_free(trace);
	return status;
}
