/* SPDX-License-Identifier: MIT */
/* The subcommands of trace-view, and what they share. */
#pragma once

#include <stdio.h>

#include "viewer/trace.h"

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

/* Parses "64M", "8GiB", "1000": bytes. Returns 0 for what is not a size above 0. */
uint64_t cmd_parse_size(const char *text);

/* Prints "trace-view: SENTENCE" to stderr, frees the error; returns EXIT_FAILURE, or 130 when interrupted. */
int cmd_fail(GError *error);

/* Prints the trace's notes to stderr, one line each: for commands whose output has no place for them. */
void cmd_print_notes(const struct trace *trace);

/*
 * Flushes `out`. Returns EXIT_SUCCESS also when its reader went away (head); else EXIT_FAILURE after a
 * sentence when not everything could be written to `name`.
 */
int cmd_finish_output(FILE *out, const char *name);
