/* SPDX-License-Identifier: MIT */
/* A program's own messages: one line each on stderr, "program: sentence". Safe from any thread. */
#pragma once

#include <stdbool.h>

/* Sets the prefix (borrowed for ever) and whether log_say() is silent. Call before any thread starts. */
void log_init(const char *program, bool is_quiet);

/* For information; silent with --quiet. A newline is added; control characters become `?'. Longer than 2000 bytes is cut. */
void log_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For failures and for what a user must act on; always shown. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
