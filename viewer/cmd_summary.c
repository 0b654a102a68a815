/* SPDX-License-Identifier: MIT */
/* trace-view summary: what a trace says at a glance. */
#include "viewer/cmd.h"

#include <argp.h>
#include <stdlib.h>

#include "viewer/summary.h"

#define KEY_MAX_SIZE 256

struct arguments {
	const char *file;
	uint64_t max_size;
	unsigned top;
	int is_json;
};

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0,
		"Print JSON (raw ns and bytes; keys are listed in viewer/summary.h)", 0 },
	{ "top", 'n', "N", 0, "Rows per table; 0: all (default 10; with --json all)", 0 },
	{ "max-size", KEY_MAX_SIZE, "SIZE", 0, "Refuse traces that unpack to more (default 16G)",
		0 },
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
	case KEY_MAX_SIZE:
		arguments->max_size = cmd_parse_size(arg);
		if (!arguments->max_size)
			argp_error(
				state, "--max-size=%s: expected a size, such as 512M or 20G", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->file)
			argp_error(state, "one trace at a time: '%s' is too much", arg);
		arguments->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->file)
			argp_error(state, "name a trace, such as trace.out");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
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
	struct arguments arguments = { .max_size = UNPACK_MAX_SIZE_DEFAULT, .top = UINT32_MAX };
	struct trace_pass passes[SUMMARY_N_PASSES];
	struct summary summary;
	GError *error = NULL;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (arguments.top == UINT32_MAX)
		arguments.top = arguments.is_json ? 0 : 10;
	struct trace *trace = trace_open(arguments.file, arguments.max_size, &error);
	if (!trace)
		return cmd_fail(error);
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
