/* SPDX-License-Identifier: MIT */
/* trace-view summary: what a trace says at a glance. */
#include "viewer/cmd.h"

#include <stdlib.h>

#include "viewer/summary.h"

struct arguments {
	struct cmd_input input;
	struct cmd_filter filter;
	unsigned top;
	int is_json;
};

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0,
		"Print JSON (raw ns and bytes; keys are listed in viewer/summary.h)", 0 },
	{ "top", 'n', "N", 0, "Rows per table; 0: all (default 10; with --json all)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	char *end;
	unsigned long n;

	switch (key) {
	case 'j':
		arguments->is_json = 1;
		return 0;
	case 'n':
		n = strtoul(arg, &end, 10);
		if (*arg < '0' || *arg > '9' || *end || n > UINT32_MAX)
			argp_error(state, "--top=%s: expected a number, such as 20", arg);
		arguments->top = (unsigned)n;
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
	.doc = "What was recorded: threads and their states, locks, system calls, allocations, "
	       "tasks, losses."
	       "\vExamples:\n"
	       "  trace-view summary trace.out\n"
	       "  trace-view summary --top=30 trace.out\n"
	       "  trace-view summary --json trace.out | jq '.locks[0]'\n",
};

int cmd_summary(int argc, char **argv)
{
	struct arguments arguments = { .input = CMD_INPUT_INIT, .top = UINT32_MAX };
	struct trace_pass passes[SUMMARY_N_PASSES];
	struct summary summary;
	GError *error = NULL;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (arguments.top == UINT32_MAX)
		arguments.top = arguments.is_json ? 0 : 10;
	struct trace *trace = trace_open(arguments.input.file, arguments.input.max_size, &error);
	if (!trace)
		return cmd_fail(error);
	if (!cmd_filter_window(&arguments.filter, trace, &error)) {
		trace_free(trace);
		return cmd_fail(error);
	}
	summary_init(&summary, trace);
	summary_passes(&summary, passes);
	if (!trace_run(trace, passes, SUMMARY_N_PASSES, &error)) {
		status = cmd_fail(error);
	} else {
		summary_finish(&summary);
		if (arguments.is_json)
			summary_print_json(&summary, stdout, arguments.top);
		else
			summary_print_text(&summary, stdout, arguments.top);
		status = cmd_finish_output(stdout, "the standard output");
	}
	summary_fini(&summary);
	trace_free(trace);
	return status;
}
