/* SPDX-License-Identifier: MIT */
/* Time, for tests and for the programs that they run. */
#pragma once

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, which is the time of events and of blackboxes. Safe in signal handlers. */
static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A signal ends it early. */
static inline void sleep_ms(uint64_t ms)
{
	struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };

	nanosleep(&time, NULL);
}
