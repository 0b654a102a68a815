/* SPDX-License-Identifier: MIT */
/* trace-view sql: a query, its rows as text, CSV or JSON. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "viewer/cmd.h"
#include "viewer/csv.h"
#include "viewer/index_store.h"
#include "viewer/sql.h"

#define KEY_CSV 256
#define KEY_JSON 257
#define KEY_CACHE 258
/* Columns of text are as wide as their first rows, and no wider than this. */
#define MAX_WIDTH 60
#define N_SAMPLE 200

enum form { FORM_TEXT, FORM_CSV, FORM_JSON };

struct arguments {
	const char *file, *query, *cache;
	enum form form;
};

static const struct argp_option options[] = {
	{ "csv", KEY_CSV, NULL, 0, "Comma-separated values with a line of names", 0 },
	{ "json", KEY_JSON, NULL, 0, "An array of objects", 0 },
	{ "cache", KEY_CACHE, "DIR", 0,
		"Keep the index of the trace there (default: the user's cache; \"\": nowhere)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_CSV:
		arguments->form = FORM_CSV;
		return 0;
	case KEY_JSON:
		arguments->form = FORM_JSON;
		return 0;
	case KEY_CACHE:
		arguments->cache = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (!arguments->file)
			arguments->file = arg;
		else if (!arguments->query)
			arguments->query = arg;
		else
			argp_error(state, "one query at a time, in quotes: '%s' is too much", arg);
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
	.args_doc = "TRACE [QUERY]",
	.doc = "Answers an SQL query about a trace; without one, lists tables and columns.\v"
	       "Times are ns since the window's begin. QUERY may be - for standard input.\n\n"
	       "  trace-view sql trace.out \"SELECT call, count(*), sum(dur) FROM syscall GROUP BY "
	       "call ORDER BY 3 DESC\"\n"
	       "  trace-view sql --csv trace.out \"SELECT w.dur, s.site, h.site FROM wait w JOIN "
	       "stack s ON s.id = w.stack JOIN stack h ON h.id = w.holder_stack ORDER BY w.dur "
	       "DESC LIMIT 20\"",
};

/* Rows on their way out. Text holds back the first ones, to know how wide they are. */
struct out {
	enum form form;
	int n_columns;
	char **names; /* owned */
	GPtrArray
		*cells; /* owned char *, row by row, text only; NULL: none is held back any more */
	int *widths, *is_number;
	uint64_t n_rows;
};

static void print_json(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static int display_width(const char *text)
{
	return (int)g_utf8_strlen(text, -1);
}

static void print_row(const struct out *out, char **values)
{
	for (int i = 0; i < out->n_columns; i++) {
		const char *text = values[i] ? values[i] : "";
		int pad = MAX(out->widths[i] - display_width(text), 0);
		int is_last = i == out->n_columns - 1;

		if (out->is_number[i])
			printf("%*s%s", pad, "", text);
		else
			printf("%s%*s", text, is_last ? 0 : pad, "");
		fputs(is_last ? "\n" : "  ", stdout);
	}
}

static void release_rows(struct out *out)
{
	if (!out->cells)
		return;
	for (guint i = 0; i < out->cells->len; i++) {
		const char *text = out->cells->pdata[i];
		int *width = &out->widths[i % (guint)out->n_columns];

		*width = MAX(*width, MIN(text ? display_width(text) : 0, MAX_WIDTH));
	}
	print_row(out, out->names);
	for (guint i = 0; i < out->cells->len; i += (guint)out->n_columns)
		print_row(out, (char **)&out->cells->pdata[i]);
	g_ptr_array_unref(out->cells);
	out->cells = NULL;
}

static void begin(struct out *out, int n, const char *const *names)
{
	if (out->form == FORM_TEXT)
		release_rows(out);
	g_strfreev(out->names);
	g_free(out->widths);
	g_free(out->is_number);
	out->names = g_new0(char *, (size_t)n + 1);
	for (int i = 0; i < n; i++)
		out->names[i] = g_strdup(names[i]);
	out->n_columns = n;
	out->widths = g_new0(int, n);
	out->is_number = g_new0(int, n);
	out->n_rows = 0;
	for (int i = 0; i < n; i++)
		out->widths[i] = display_width(names[i]);
	if (out->form == FORM_TEXT)
		out->cells = g_ptr_array_new_with_free_func(g_free);
	if (out->form == FORM_CSV)
		csv_row(stdout, n, names);
}

static void json_row(struct out *out, int n, const char *const *values, const int *types)
{
	fputs(out->n_rows ? ",\n {" : " {", stdout);
	for (int i = 0; i < n; i++) {
		if (i)
			fputs(", ", stdout);
		print_json(out->names[i]);
		fputs(": ", stdout);
		if (types[i] == SQLITE_NULL)
			fputs("null", stdout);
		else if (types[i] == SQLITE_INTEGER || types[i] == SQLITE_FLOAT)
			fputs(values[i], stdout);
		else
			print_json(values[i]);
	}
	putchar('}');
}

static void text_row(struct out *out, int n, const char *const *values, const int *types)
{
	for (int i = 0; i < n && out->n_rows == 0; i++)
		out->is_number[i] = types[i] == SQLITE_INTEGER || types[i] == SQLITE_FLOAT;
	if (!out->cells) {
		print_row(out, (char **)(uintptr_t)values);
		return;
	}
	for (int i = 0; i < n; i++)
		g_ptr_array_add(out->cells, g_strdup(values[i]));
	if (out->n_rows == N_SAMPLE)
		release_rows(out);
}

static int on_row(void *user, int n, const char *const *values, const int *types)
{
	struct out *out = user;

	if (!types) {
		begin(out, n, values);
		return 0;
	}
	switch (out->form) {
	case FORM_CSV:
		csv_row(stdout, n, values);
		break;
	case FORM_JSON:
		json_row(out, n, values, types);
		break;
	case FORM_TEXT:
		text_row(out, n, values, types);
		break;
	}
	out->n_rows++;
	return ferror(stdout) || unpack_is_interrupted();
}

static void list_column(void *user, const char *table, const char *column, const char *about)
{
	const char **last = user;

	if (!*last || strcmp(*last, table) != 0)
		printf("%s%s%s%s\n   ", *last ? "\n" : "", table, *about ? ": " : "", about);
	printf(" %s", column);
	*last = table;
}

static char *read_query(const char *argument)
{
	g_autoptr(GString) text = g_string_new(NULL);
	char buffer[4096];
	size_t n;

	if (strcmp(argument, "-") != 0)
		return g_strdup(argument);
	while ((n = fread(buffer, 1, sizeof(buffer), stdin)) > 0)
		g_string_append_len(text, buffer, (gssize)n);
	return g_strdup(text->str);
}

static int run(const struct arguments *arguments, const struct index *index, GError **error)
{
	g_autofree char *query = read_query(arguments->query);
	struct out out = { .form = arguments->form };
	struct sql *sql = sql_open(index, error);
	int is_ok;

	if (!sql)
		return FALSE;
	if (out.form == FORM_JSON)
		fputs("[\n", stdout);
	is_ok = sql_run(sql, query, on_row, &out, error);
	if (out.form == FORM_TEXT)
		release_rows(&out);
	if (out.form == FORM_JSON)
		fputs("\n]\n", stdout);
	g_strfreev(out.names);
	g_free(out.widths);
	g_free(out.is_number);
	sql_close(sql);
	return is_ok;
}

int cmd_sql(int argc, char **argv)
{
	struct arguments arguments = { .form = FORM_TEXT };
	struct index_options opening = { .max_size = UNPACK_MAX_SIZE_DEFAULT };
	struct indexed indexed;
	GError *error = NULL;
	const char *last = NULL;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	opening.cache = arguments.cache;
	if (!arguments.query) {
		sql_describe(list_column, &last);
		putchar('\n');
		return cmd_finish_output(stdout, "the standard output");
	}
	if (!indexed_open(arguments.file, &opening, &indexed, &error))
		return cmd_fail(error);
	if (!run(&arguments, indexed.index, &error)) {
		fflush(stdout);
		status = cmd_fail(error);
	} else {
		status = cmd_finish_output(stdout, "the standard output");
		cmd_print_notes(indexed.trace);
	}
	indexed_close(&indexed);
	return status;
}
