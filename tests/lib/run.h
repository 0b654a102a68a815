/* SPDX-License-Identifier: MIT */
/* Unit tests that need other programs and files: a private folder, commands, their output. */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib.h>

#include "temp_dir.h"

/* Set by run_init(). */
static const char *run_dir;

/* Output of the last command, standard error included. */
static char *run_output;

G_GNUC_PRINTF(1, 2) static inline int run(const char *format, ...)
{
	GString *text = g_string_new(NULL);
	char *command, buffer[4096];
	va_list args;
	FILE *pipe;
	size_t n;
	int status;

	va_start(args, format);
	command = g_strdup_vprintf(format, args);
	va_end(args);
	g_string_append_printf(text, "cd '%s' && exec 2>&1; %s", run_dir, command);
	pipe = popen(text->str, "re");
	g_string_truncate(text, 0);
	while (pipe && (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0)
		g_string_append_len(text, buffer, (gssize)n);
	status = pipe ? pclose(pipe) : -1;
	g_free(run_output);
	run_output = g_string_free(text, FALSE);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		printf("# failed: %s\n# %s\n", command, run_output);
		status = 1;
	}
	g_free(command);
	return status;
}

/* Path of a file in the private folder; in one of eight buffers used in turn. */
static inline const char *run_path(const char *name)
{
	static char path[8][512];
	static unsigned next;
	char *at = path[next++ % 8];

	snprintf(at, sizeof(path[0]), "%s/%s", run_dir, name);
	return at;
}

static inline void run_write(const char *name, const void *data, size_t n)
{
	FILE *file = fopen(run_path(name), "we");

	if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0) {
		fprintf(stderr, "cannot write %s: %s\n", run_path(name), strerror(errno));
		abort();
	}
}

static inline unsigned run_count(const char *text, const char *needle)
{
	unsigned n = 0;

	for (; (text = strstr(text, needle)) != NULL; text += strlen(needle))
		n++;
	return n;
}

/* A folder of its own for this run, below `base` (NULL: where temporary files go); see temp_dir.h. */
static inline void run_init_in(const char *base, const char *name)
{
	run_dir = temp_dir_make(base, name);
}

static inline void run_init(const char *name)
{
	run_init_in(NULL, name);
}

/* Forgets the last output. The folder goes at exit. */
static inline void run_fini(void)
{
	g_free(run_output);
	run_output = NULL;
}
