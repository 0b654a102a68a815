/* SPDX-License-Identifier: MIT */
/* What kind of program is about to be started, found out by reading its file. */
#pragma once

#include <stdbool.h>

enum program_kind {
	PROGRAM_TRACED, /* the tracer works in it */
	PROGRAM_CHILDREN, /* not traced itself (static), but its children may be; the tracer does no harm */
	PROGRAM_BARE,	 /* must be started without the tracer */
	PROGRAM_REFUSED, /* must not be started at all under the tracer */
};

struct program {
	char *path;  /* owned; what to exec */
	char *image; /* owned; the ELF file that will run: path, or the interpreter of a script */
	enum program_kind kind;
	char *why;     /* owned; one sentence unless kind is TRACED */
	char *preload; /* owned; library that must stand before the tracer in LD_PRELOAD; NULL: none */
};

/*
 * Finds `name` as a shell would and looks at its file. Returns 0, or the status a shell exits with (127
 * not found, 126 not executable) and one sentence in *why_out (g_free).
 */
int program_inspect(const char *name, struct program *program_out, char **why_out);

/* Frees what the struct owns. */
void program_fini(struct program *program);
