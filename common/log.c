/* SPDX-License-Identifier: MIT */
/*
 * Each line leaves by one write(), so lines of several threads, and of a program that shares the
 * terminal, never mix within a line.
 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *log_program = "flightrec";
static bool log_is_quiet;

void log_init(const char *program, bool is_quiet)
{
	log_program = program;
	log_is_quiet = is_quiet;
}

static void log_line(const char *text)
{
	char line[2048];
	int n = snprintf(line, sizeof(line) - 1, "%s: %s", log_program, text);

	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	/* Names come from programs and files: none shall move the cursor or begin a line. */
	for (int i = 0; i < n; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[n++] = '\n';
	/* Nobody is left to be told when stderr is gone. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void log_say(const char *format, ...)
{
	char text[2000];
	va_list args;

	if (log_is_quiet)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_line(text);
}

void log_error(const char *format, ...)
{
	char text[2000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_line(text);
}
