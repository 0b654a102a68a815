/* SPDX-License-Identifier: MIT */
/* trace-view export: a trace in the formats of other tools. */
#include "viewer/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "viewer/csv.h"
#include "viewer/export.h"
#include "viewer/index_store.h"
#include "viewer/sql.h"

#define KEY_FORMAT 512
#define KEY_TABLE 513

enum form { FORM_NONE, FORM_PERFETTO, FORM_CHROME, FORM_CSV, FORM_SQLITE };

static const char *const forms[] = { [FORM_PERFETTO] = "perfetto",
	[FORM_CHROME] = "chrome",
	[FORM_CSV] = "csv",
	[FORM_SQLITE] = "sqlite" };

struct arguments {
	struct cmd_input input;
	struct cmd_filter filter;
	const char *output, *table, *thread;
	enum form form;
	int is_gzip;
};

static const struct argp_option options[] = {
	{ "format", KEY_FORMAT, "FORM", 0, "One of those below", 0 },
	{ "output", 'o', "FILE", 0, "Write to FILE instead of the standard output", 0 },
	{ "table", KEY_TABLE, "NAME", 0, "csv: which table of trace-view sql", 0 },
	{ "gzip", 'z', NULL, 0, "perfetto, chrome, csv: compress with gzip", 0 },
	{ "thread", 't', "NAME", 0, "Only threads of that name (* and ? match) or tid", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_FORMAT:
		for (size_t i = 1; i < G_N_ELEMENTS(forms); i++)
			if (g_str_equal(arg, forms[i]))
				arguments->form = (enum form)i;
		if (!arguments->form)
			argp_error(state,
				"--format=%s: expected perfetto, chrome, csv, sqlite, pprof or "
				"folded",
				arg);
		return 0;
	case 'o':
		arguments->output = arg;
		return 0;
	case KEY_TABLE:
		arguments->table = arg;
		return 0;
	case 'z':
		arguments->is_gzip = 1;
		return 0;
	case 't':
		arguments->thread = arg;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->input;
		state->child_inputs[1] = &arguments->filter;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->form)
			argp_error(
				state, "choose a format with --format, such as --format=perfetto");
		if (arguments->form == FORM_CSV && !arguments->table)
			argp_error(state, "name a table with --table, such as --table=wait");
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
	.doc = "Writes a trace in the format of another tool."
	       "\vFormats:\n"
	       "  perfetto  for ui.perfetto.dev: tracks, stacks, wake-ups; opens with --gzip, too\n"
	       "  chrome    Chrome's JSON, for chrome://tracing, Perfetto and many others\n"
	       "  csv       one table, see trace-view sql TRACE\n"
	       "  sqlite    a database with all tables of trace-view sql\n"
	       "  pprof     a profile; takes the options of trace-view pprof, which it is\n"
	       "  folded    the same as stacks for flame graphs\n"
	       "\nExamples:\n"
	       "  trace-view export --format=perfetto -o t.pftrace trace.out\n"
	       "  trace-view export --format=csv --table=wait trace.out > wait.csv\n"
	       "  trace-view export --format=folded --type=offcpu trace.out | flamegraph.pl\n",
};

/* Threads that are wanted, by index; NULL: all. g_free(). */
static uint8_t *wanted_threads(const struct arguments *arguments, const struct trace *trace)
{
	struct filter_wish wish = { .thread = arguments->thread };
	struct filter *filter;
	uint8_t *wanted;

	if (!arguments->thread)
		return NULL;
	filter = filter_new(&wish);
	wanted = g_malloc0((gsize)trace->threads->len + 1);
	for (guint i = 0; i < trace->threads->len; i++)
		wanted[i] = (uint8_t)filter_thread(filter, trace, i);
	filter_free(filter);
	return wanted;
}

static int write_row(void *user, int n, const char *const *values, const int *types)
{
	(void)types;
	csv_row(user, n, values);
	return ferror((FILE *)user) || unpack_is_interrupted();
}

static void has_thread(void *user, const char *table, const char *column, const char *about)
{
	const char **looked = user;

	(void)about;
	if (g_str_equal(table, looked[0])) {
		looked[1] = table;
		if (g_str_equal(column, "thread"))
			looked[2] = column;
	}
}

static gboolean write_csv(const struct arguments *arguments, const struct export_part *part,
	FILE *out, GError **error)
{
	const char *looked[3] = { arguments->table, NULL, NULL };
	g_autoptr(GString) query = g_string_new(NULL);
	struct sql *sql;
	gboolean is_ok;

	sql_describe(has_thread, looked);
	if (!looked[1]) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
			"There is no table '%s'; trace-view sql TRACE lists them",
			arguments->table);
		return FALSE;
	}
	sql = sql_open(part->index, error);
	if (!sql)
		return FALSE;
	g_string_printf(query, "SELECT * FROM \"%s\"", looked[1]);
	if (part->threads && looked[2]) {
		const char *comma = " WHERE thread IN (";

		for (guint i = 0; i < part->index->trace->threads->len; i++)
			if (part->threads[i]) {
				g_string_append_printf(query, "%s%u", comma, i);
				comma = ",";
			}
		g_string_append(query, *comma == ',' ? ")" : " WHERE 0");
	}
	is_ok = sql_run(sql, query->str, write_row, out, error);
	sql_close(sql);
	return is_ok;
}

/* SQLite wants a file of its own; where the output is a stream, one is made and copied. */
static gboolean write_sqlite(const struct arguments *arguments, const struct export_part *part,
	FILE *out, GError **error)
{
	g_autofree char *folder = NULL, *path = NULL;
	char buffer[65536];
	gboolean is_ok;
	FILE *made;
	size_t n;

	if (arguments->output)
		return export_sqlite(part, arguments->output, error);
	folder = g_dir_make_tmp("trace-view-XXXXXX", error);
	if (!folder)
		return FALSE;
	path = g_build_filename(folder, "trace.sqlite", NULL);
	is_ok = export_sqlite(part, path, error);
	made = is_ok ? fopen(path, "re") : NULL;
	while (made && (n = fread(buffer, 1, sizeof(buffer), made)) > 0)
		fwrite(buffer, 1, n, out);
	if (made)
		fclose(made);
	unlink(path);
	rmdir(folder);
	return is_ok;
}

static gboolean write_form(const struct arguments *arguments, const struct export_part *part,
	FILE *out, GError **error)
{
	switch (arguments->form) {
	case FORM_PERFETTO:
		export_perfetto(part, out);
		return TRUE;
	case FORM_CHROME:
		export_chrome(part, out);
		return TRUE;
	case FORM_CSV:
		return write_csv(arguments, part, out, error);
	default:
		return write_sqlite(arguments, part, out, error);
	}
}

/* The same, compressed. */
static gboolean write_gzip(const struct arguments *arguments, const struct export_part *part,
	FILE *out, GError **error)
{
	FILE *packed = export_gzip(out);
	gboolean is_ok = packed && write_form(arguments, part, packed, error);

	if (packed && (ferror(packed) | fclose(packed)) == 0)
		return is_ok;
	if (is_ok || !packed)
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM,
			"The compressed output cannot be written whole");
	return FALSE;
}

static int write_to(
	const struct arguments *arguments, const struct export_part *part, const char *path)
{
	int is_file = path && arguments->form != FORM_SQLITE;
	FILE *out = is_file ? fopen(path, "we") : stdout;
	GError *error = NULL;
	gboolean is_ok;
	int status;

	if (!out) {
		fprintf(stderr, "trace-view: cannot open %s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	is_ok = arguments->is_gzip && arguments->form != FORM_SQLITE
			? write_gzip(arguments, part, out, &error)
			: write_form(arguments, part, out, &error);
	status = is_ok ? cmd_finish_output(out, path ? path : "the standard output")
		       : cmd_fail(error);
	if (is_file && fclose(out) != 0 && status == EXIT_SUCCESS) {
		fprintf(stderr, "trace-view: cannot write %s: %s\n", path, strerror(errno));
		status = EXIT_FAILURE;
	}
	return status;
}

/* A part of the trace has an index of its own, which is not kept. */
static struct index *index_part(
	const struct arguments *arguments, struct trace *trace, GError **error)
{
	struct index_builder *builder;
	struct trace_pass pass;
	int fd;

	if (!cmd_filter_window(&arguments->filter, trace, error))
		return NULL;
	fd = index_scratch_file();
	if (fd < 0) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM,
			"There is no place for an index: no file can be made in /var/tmp or /tmp; "
			"set TMPDIR");
		return NULL;
	}
	builder = index_builder_new(trace, fd);
	pass = index_builder_pass(builder);
	if (trace_run(trace, &pass, 1, error))
		return index_builder_finish(builder, error);
	index_builder_free(builder);
	return NULL;
}

/* pprof and folded are what trace-view pprof writes, with all its options. */
static int is_profile(int argc, char **argv)
{
	for (int i = 1; i < argc && argv[i]; i++) {
		const char *value = NULL;

		if (strncmp(argv[i], "--format=", strlen("--format=")) == 0)
			value = argv[i] + strlen("--format=");
		else if (strcmp(argv[i], "--format") == 0 && i + 1 < argc)
			value = argv[i + 1];
		if (value && (strcmp(value, "pprof") == 0 || strcmp(value, "folded") == 0))
			return 1;
	}
	return 0;
}

int cmd_export(int argc, char **argv)
{
	struct arguments arguments = { .input = CMD_INPUT_INIT };
	struct export_part part = { 0 };
	g_autofree uint8_t *threads = NULL;
	struct trace *trace;
	struct index *index;
	GError *error = NULL;
	int status;

	if (is_profile(argc, argv))
		return cmd_pprof(argc, argv);
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (!arguments.output && isatty(STDOUT_FILENO) &&
		(arguments.form == FORM_PERFETTO || arguments.form == FORM_SQLITE)) {
		fprintf(stderr, "trace-view: this format is binary; send it to a file, or name one "
				"with -o\n");
		return EXIT_FAILURE;
	}
	trace = trace_open(arguments.input.file, arguments.input.max_size, &error);
	if (!trace)
		return cmd_fail(error);
	index = index_part(&arguments, trace, &error);
	if (!index) {
		trace_free(trace);
		return cmd_fail(error);
	}
	part.index = index;
	threads = wanted_threads(&arguments, trace);
	part.threads = threads;
	cmd_print_notes(trace);
	status = write_to(&arguments, &part, arguments.output);
	index_free(index);
	trace_free(trace);
	return status;
}
