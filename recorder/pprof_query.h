/* SPDX-License-Identifier: MIT */
/* Numbers in the queries of /debug/pprof/, by Go's rules. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Go's ParseInt of base 10: a sign, digits, nothing else. False: no such number (also NULL), or too large. */
bool pprof_integer_parse(const char *text, int64_t *value_out);

/* Which time ?seconds= is about. */
enum pprof_seconds {
	PPROF_SECONDS_NONE, /* absent or empty */
	PPROF_SECONDS_BAD,  /* 0, or no whole number */
	PPROF_SECONDS_AHEAD,
	PPROF_SECONDS_PAST, /* a negative number: already over */
};

/* Longer times are cut to this: no clock of ours wraps. */
#define PPROF_SECONDS_MAX_NS (UINT64_MAX / 4)

/* *ns_out: how long, of AHEAD and PAST. */
enum pprof_seconds pprof_seconds_parse(const char *text, uint64_t *ns_out);
