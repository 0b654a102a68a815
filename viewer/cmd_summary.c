/* SPDX-License-Identifier: MIT */
/* trace-view summary: what a trace says at a glance. */
#include "viewer/cmd.h"

#include <stdlib.h>

#include "viewer/finding.h"
#include "viewer/index_store.h"
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

/* What stands out needs an index: one that is thrown away, made by the same run. NULL: there is no room for it. */
static struct findings *find(struct index_builder *builder, struct index **index_out)
{
	GError *error = NULL;

	*index_out = builder ? index_builder_finish(builder, &error) : NULL;
	if (*index_out)
		return findings_new(*index_out);
	fprintf(stderr, "trace-view: no findings: %s\n",
		error ? error->message : "there is no place for an index; set TMPDIR");
	g_clear_error(&error);
	return NULL;
}

/* Runs the trace through summary and index, and prints. Returns the exit status. */
static int run(const struct arguments *arguments, struct trace *trace)
{
	int fd = index_scratch_file();
	struct index_builder *builder = fd >= 0 ? index_builder_new(trace, fd) : NULL;
	struct trace_pass passes[SUMMARY_N_PASSES + 1];
	struct findings *findings = NULL;
	struct index *index = NULL;
	struct summary summary;
	GError *error = NULL;
	int status;

	summary_init(&summary, trace);
	summary_passes(&summary, passes);
	if (builder)
		passes[SUMMARY_N_PASSES] = index_builder_pass(builder);
	if (!trace_run(trace, passes, SUMMARY_N_PASSES + (builder != NULL), &error)) {
		index_builder_free(builder);
		status = cmd_fail(error);
	} else {
		summary_finish(&summary);
		summary.findings = findings = find(builder, &index);
		if (arguments->is_json)
			summary_print_json(&summary, stdout, arguments->top);
		else
			summary_print_text(&summary, stdout, arguments->top);
		status = cmd_finish_output(stdout, "the standard output");
	}
	findings_free(findings);
	index_free(index);
	summary_fini(&summary);
	return status;
}

int cmd_summary(int argc, char **argv)
{
	struct arguments arguments = { .input = CMD_INPUT_INIT, .top = UINT32_MAX };
	GError *error = NULL;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (arguments.top == UINT32_MAX)
		arguments.top = arguments.is_json ? 0 : 10;
	struct trace *trace = trace_open(arguments.input.file, arguments.input.max_size, &error);
	if (!trace)
		return cmd_fail(error);
	if (!cmd_filter_window(&arguments.filter, trace, &error))
		status = cmd_fail(error);
	else
		status = run(&arguments, trace);
	trace_free(trace);
	return status;
}
