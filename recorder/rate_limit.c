/* SPDX-License-Identifier: MIT */
#include "recorder/rate_limit.h"

bool rate_limit_take(struct rate_limit *limit, uint64_t now_ns)
{
	uint64_t ahead = limit->every_ns * (limit->burst - 1);

	if (limit->every_ns == 0)
		return true;
	if (limit->spent_ns > now_ns + ahead) {
		limit->n_left_out++;
		return false;
	}
	if (limit->spent_ns < now_ns)
		limit->spent_ns = now_ns;
	limit->spent_ns += limit->every_ns;
	return true;
}

uint64_t rate_limit_left_out(struct rate_limit *limit)
{
	uint64_t n = limit->n_left_out;

	limit->n_left_out = 0;
	return n;
}
