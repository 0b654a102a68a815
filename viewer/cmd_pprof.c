/* SPDX-License-Identifier: MIT */
/* trace-view pprof: a profile derived from a trace, for `go tool pprof` and everything else that reads it. */
#include "viewer/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "viewer/derive.h"
#include "viewer/profile_folded.h"
#include "viewer/profile_text.h"

#define KEY_TEXT 512
#define KEY_COMMENT 513
#define KEY_FORMAT 514
#define KEY_WINDOW 515

enum form { FORM_PPROF, FORM_FOLDED, FORM_TEXT };

struct arguments {
	struct cmd_input input;
	struct cmd_filter filter;
	const char *output, *type, *comment;
	int has_window;
	enum form form;
};

static const struct argp_option options[] = {
	{ "type", 't', "TYPE", 0, "Which profile, see below", 0 },
	{ "output", 'o', "FILE", 0, "Write to FILE instead of the standard output", 0 },
	{ "format", KEY_FORMAT, "FORM", 0,
		"pprof (default); folded: stacks for flame graphs, a line each; text: as ?debug=1",
		0 },
	{ "text", KEY_TEXT, NULL, 0, "The same as --format=text", 0 },
	{ "comment", KEY_COMMENT, "TEXT", 0, "Put a comment into the profile", 0 },
	{ "window", KEY_WINDOW, NULL, 0, "Say in the profile how long its window is", 0 },
	{ 0 },
};

static const char *const forms[] = {
	[FORM_PPROF] = "pprof", [FORM_FOLDED] = "folded", [FORM_TEXT] = "text"
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 't':
		arguments->type = arg;
		return 0;
	case 'o':
		arguments->output = arg;
		return 0;
	case KEY_TEXT:
		arguments->form = FORM_TEXT;
		return 0;
	case KEY_FORMAT:
		for (size_t i = 0; i < G_N_ELEMENTS(forms); i++)
			if (g_str_equal(arg, forms[i])) {
				arguments->form = (enum form)i;
				return 0;
			}
		argp_error(state, "--format=%s: expected pprof, folded or text", arg);
		return 0;
	case KEY_WINDOW:
		arguments->has_window = 1;
		return 0;
	case KEY_COMMENT:
		arguments->comment = arg;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->input;
		state->child_inputs[1] = &arguments->filter;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->type)
			argp_error(state, "choose a profile with --type, such as --type=sync");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Puts the table of derivations before the examples. */
static char *help_filter(int key, const char *text, void *input)
{
	GString *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	out = g_string_new("Types:\n");
	for (size_t i = 0; derivations[i]; i++)
		g_string_append_printf(
			out, "  %-8s %s\n", derivations[i]->name, derivations[i]->about);
	g_string_append_printf(out, "\n%s", text ? text : "");
	return g_string_free(out, FALSE); /* argp frees it; GLib allocates with malloc */
}

static const struct argp_child children[] = {
	{ &cmd_input_argp, 0, NULL, 0 },
	{ &cmd_filter_argp, 0, "Which part of the trace:", 1 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = children,
	.args_doc = "TRACE",
	.doc = "Writes a pprof profile (gzip-compressed protobuf) derived from a trace."
	       "\vExamples:\n"
	       "  trace-view pprof --type=sync trace.out > sync.pb.gz && go tool pprof -top "
	       "sync.pb.gz\n"
	       "  trace-view pprof --type=syscall -o syscall.pb.gz trace.out\n"
	       "  trace-view -pprof=net trace.out > net.pb.gz\n"
	       "  trace-view pprof --type=wall --from=-30s --thread='worker*' --format=folded "
	       "trace.out\n",
	.help_filter = help_filter,
};

/* The text whose shape fits the values. */
static GByteArray *write_text(const struct profile *profile, const struct derivation *type)
{
	GString *out = g_string_new(NULL);

	if (type->n_types == 4)
		/* Scaled already: at rate 1 readers leave numbers as they are. */
		profile_text_heap(profile, 1, "", out);
	else if (type->n_types == 2 && g_str_equal(type->types[1].unit, "nanoseconds"))
		profile_text_contention(profile, FALSE, out);
	else
		profile_text_count(profile, type->name, out);
	gsize n = out->len;
	return g_byte_array_new_take((guint8 *)g_string_free(out, FALSE), n);
}

static GByteArray *write_form(
	const struct profile *profile, const struct derivation *type, enum form form)
{
	GString *out;

	switch (form) {
	case FORM_TEXT:
		return write_text(profile, type);
	case FORM_FOLDED: {
		out = g_string_new(NULL);
		profile_folded(profile, out);
		gsize n = out->len;
		return g_byte_array_new_take((guint8 *)g_string_free(out, FALSE), n);
	}
	default:
		return profile_pack(profile);
	}
}

static int write_profile(const struct profile *profile, const struct arguments *arguments,
	const struct derivation *type)
{
	g_autoptr(GByteArray) bytes = write_form(profile, type, arguments->form);
	const char *path = arguments->output;
	FILE *out = path ? fopen(path, "we") : stdout;
	int status;

	if (!out) {
		fprintf(stderr, "trace-view: cannot open %s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	fwrite(bytes->data, 1, bytes->len, out);
	status = cmd_finish_output(out, path ? path : "the standard output");
	if (path && fclose(out) != 0 && status == EXIT_SUCCESS) {
		fprintf(stderr, "trace-view: cannot write %s: %s\n", path, strerror(errno));
		status = EXIT_FAILURE;
	}
	return status;
}

/* Derives and writes. The trace is open. */
static int derive_and_write(
	const struct arguments *arguments, const struct derivation *type, struct trace *trace)
{
	struct filter *filter = filter_new(&arguments->filter.wish);
	struct derive *derive = derive_new(type, filter);
	struct trace_pass pass = derive_pass(derive);
	g_autofree char *why = NULL;
	GError *error = NULL;
	int status;

	if (!cmd_filter_window(&arguments->filter, trace, &error) ||
		!cmd_filter_scan(filter, trace, &error) || !trace_run(trace, &pass, 1, &error)) {
		status = cmd_fail(error);
	} else if ((why = derive_finish(derive, trace))) {
		fprintf(stderr, "trace-view: %s\n", why);
		status = EXIT_FAILURE;
	} else {
		struct profile *profile = derive_profile(derive, trace);
		if (arguments->has_window && trace->report.has_clock && trace->begin_ns)
			profile_set_time(profile,
				(int64_t)trace->begin_ns + trace->report.wall_offset_ns,
				(int64_t)(trace->end_ns - trace->begin_ns));
		if (arguments->comment)
			profile_add_comment(profile, arguments->comment);
		cmd_print_notes(trace);
		status = write_profile(profile, arguments, type);
		profile_free(profile);
	}
	derive_free(derive);
	filter_free(filter);
	return status;
}

int cmd_pprof(int argc, char **argv)
{
	struct arguments arguments = { .input = CMD_INPUT_INIT };
	GError *error = NULL;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	const struct derivation *type = derive_find(arguments.type);
	if (!type) {
		fprintf(stderr, "unknown pprof type %s\n", arguments.type);
		return EXIT_FAILURE;
	}
	if (!arguments.output && arguments.form == FORM_PPROF && isatty(STDOUT_FILENO)) {
		fprintf(stderr,
			"trace-view: a profile is binary; send it to a file (> %s.pb.gz) or name "
			"one "
			"with -o\n",
			type->name);
		return EXIT_FAILURE;
	}
	struct trace *trace = trace_open(arguments.input.file, arguments.input.max_size, &error);
	if (!trace)
		return cmd_fail(error);
	status = derive_and_write(&arguments, type, trace);
	trace_free(trace);
	return status;
}
