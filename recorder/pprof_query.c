/* SPDX-License-Identifier: MIT */
#include "recorder/pprof_query.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

bool pprof_integer_parse(const char *text, int64_t *value_out)
{
	const char *digits = text ? text + (*text == '-' || *text == '+') : "";
	int64_t value;

	if (!*digits || digits[strspn(digits, "0123456789")])
		return false;
	errno = 0;
	value = strtoll(text, NULL, 10);
	if (errno)
		return false;
	*value_out = value;
	return true;
}

enum pprof_seconds pprof_seconds_parse(const char *text, uint64_t *ns_out)
{
	int64_t value = 0;
	uint64_t seconds;

	if (!text || !*text)
		return PPROF_SECONDS_NONE;
	if (!pprof_integer_parse(text, &value) || value == 0)
		return PPROF_SECONDS_BAD;
	/* Also of the one number whose opposite does not exist. */
	seconds = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	*ns_out = MIN(seconds, PPROF_SECONDS_MAX_NS / SECOND_NS) * SECOND_NS;
	return value < 0 ? PPROF_SECONDS_PAST : PPROF_SECONDS_AHEAD;
}
