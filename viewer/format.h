/* SPDX-License-Identifier: MIT */
/* Numbers and foreign text for people: short, aligned, and harmless to a terminal. */
#pragma once

#include <glib.h>
#include <stdint.h>

#define FORMAT_SIZE 32

/* "0", "123 ns", "45.6 us", "7.89 ms", "12.3 s", "4567 s". Returns buffer. */
const char *format_ns(char buffer[FORMAT_SIZE], uint64_t ns);

/* "0", "123 B", "45.6 KiB", "7.89 GiB". Returns buffer. */
const char *format_bytes(char buffer[FORMAT_SIZE], double bytes);

/* "12345", from 10 million on "12.3 M", "4.56 G". Returns buffer. */
const char *format_count(char buffer[FORMAT_SIZE], double n);

/*
 * Text from a trace, cut to `width` columns ("..." at the cut: at the end, or in the middle where is_middle), with
 * control characters and broken UTF-8 replaced. Owned by the caller.
 */
char *format_text(const char *text, size_t width, int is_middle);

/* Appends `text` in double quotes, with C escapes for quotes, backslashes and control characters. */
void format_quoted(GString *out, const char *text);
