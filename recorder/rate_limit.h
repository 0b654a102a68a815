/* SPDX-License-Identifier: MIT */
/* At most so many of something in a time, and how many were left out. No locks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
	uint64_t every_ns; /* one more is allowed after so long; 0: no limit */
	unsigned burst;	   /* so many at once, after a long pause; at least 1 */
	/* Private: begins as zeros. */
	uint64_t spent_ns; /* all that was allowed until now is paid for at this time */
	uint64_t n_left_out;
};

/* True when one more is allowed at `now_ns`, which never goes back; else it is counted as left out. */
bool rate_limit_take(struct rate_limit *limit, uint64_t now_ns);

/* How many were left out since the last call. */
uint64_t rate_limit_left_out(struct rate_limit *limit);
