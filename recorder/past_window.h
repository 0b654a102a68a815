/* SPDX-License-Identifier: MIT */
/* Which time a profile of the past is of, and how people are told. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a profile is of, CLOCK_MONOTONIC. */
struct past_window {
	uint64_t asked_ns; /* 0: all */
	uint64_t begin_ns, end_ns;
	const char *
		remedy; /* static end of a sentence for when that is less than asked; NULL: nothing to say */
};

/* Whether less is covered than was asked for, beyond what the clocks' steps explain. */
bool past_window_is_short(const struct past_window *window);

/* "asked=30s, covered=12.5s, begin=2026-01-31T23:59:59.123Z, end=…", to g_free(). */
char *past_window_header(const struct past_window *window);

/* The same as a sentence, to g_free(). */
char *past_window_comment(const struct past_window *window);
