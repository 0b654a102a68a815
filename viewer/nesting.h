/* SPDX-License-Identifier: MIT */
/*
 * Intervals of one thread that come when they end: what is nested arrives before what it is nested in (syscall()
 * inside another call, a signal handler's write inside a poll). Each moment is given to the innermost.
 */
#pragma once

#include <stdint.h>

#define NESTING_RECENT 16

struct nesting {
	struct nesting_interval {
		uint64_t begin_ns, end_ns;
		uint64_t taken_ns; /* within; less than its length where intervals were joined */
	} recent[NESTING_RECENT];  /* disjoint, oldest first */
	uint32_t n;
};

/* Time of [begin, end] that nothing took yet; takes it. Zeroed memory has taken nothing. */
uint64_t nesting_take(struct nesting *nesting, uint64_t begin_ns, uint64_t end_ns);
