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

static void log_line(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static void log_line(const char *format, va_list args)
{
	char line[2048];
	int n = snprintf(line, sizeof(line), "%s: ", log_program);
	int room = (int)sizeof(line) - n - 1;
	int m = vsnprintf(line + n, (size_t)room, format, args);

	if (m < 0)
		return;
	n += m < room ? m : room - 1;
	line[n++] = '\n';
	/* Nobody is left to be told when stderr is gone. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void log_say(const char *format, ...)
{
	va_list args;

	if (log_is_quiet)
		return;
	va_start(args, format);
	log_line(format, args);
	va_end(args);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(format, args);
	va_end(args);
}
