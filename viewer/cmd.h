/* SPDX-License-Identifier: MIT */
/* The subcommands of trace-view, and what they share. */
#pragma once

#include <argp.h>
#include <stdio.h>

#include "viewer/filter.h"
#include "viewer/trace.h"
#include "viewer/unpack.h"

#define EXIT_USAGE 2

/* A subcommand: argv[0] is its name. Returns the exit status. */
struct command {
	const char *name, *about;
	int (*run)(int argc, char **argv);
};
extern const struct command commands[]; /* ends with a NULL name */

int cmd_summary(int argc, char **argv);
int cmd_pprof(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_sql(int argc, char **argv);
int cmd_view(int argc, char **argv);
int cmd_export(int argc, char **argv);

/*
 * The trace that a subcommand reads: its one argument, and --max-size. A child parser of the subcommand's own
 * (argp), which hands it a struct cmd_input at ARGP_KEY_INIT through state->child_inputs[0].
 */
struct cmd_input {
	const char *file; /* borrowed from argv */
	uint64_t max_size;
};
#define CMD_INPUT_INIT                              \
	{                                           \
		.max_size = UNPACK_MAX_SIZE_DEFAULT \
	}
extern const struct argp cmd_input_argp;

/* A moment as users say it. */
struct cmd_time {
	int64_t ns; /* since the window's beginning or, is_negative, its end; since 1970 where is_wall */
	int is_set, is_negative, is_wall;
};

/*
 * What part of a trace a subcommand looks at: options --from and --to (cmd_window_argp), and besides them those of
 * filter.h (cmd_filter_argp). Zeroed: all. Handed to the child parser as struct cmd_filter.
 */
struct cmd_filter {
	struct cmd_time from, to;
	struct filter_wish wish; /* borrowed from argv */
};
extern const struct argp cmd_window_argp, cmd_filter_argp;

/* Narrows an opened trace to --from and --to. FALSE with a sentence when nothing is left. */
gboolean cmd_filter_window(const struct cmd_filter *filter, struct trace *trace, GError **error);

/* Makes a filter ready, with a run through the trace if it needs one. */
gboolean cmd_filter_scan(struct filter *filter, struct trace *trace, GError **error);

/* Prints "trace-view: SENTENCE" to stderr, frees the error; returns EXIT_FAILURE, or 130 when interrupted. */
int cmd_fail(GError *error);

/* Prints the trace's notes to stderr, one line each: for commands whose output has no place for them. */
void cmd_print_notes(const struct trace *trace);

/*
 * Flushes `out`. Returns EXIT_SUCCESS also when its reader went away (head); else EXIT_FAILURE after a
 * sentence when not everything could be written to `name`.
 */
int cmd_finish_output(FILE *out, const char *name);
