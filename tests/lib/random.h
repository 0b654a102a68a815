/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same in every run (xorshift64), so that what fails once fails again. */
#pragma once

#include <stdint.h>

/* Of the sequence of this file. A test may set it, not to 0. */
static uint64_t random_state = 88172645463325252ull;

/* The next number of the sequence that `state`, which is not 0, stands in. */
static inline uint64_t random_from(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint64_t random_next(void)
{
	return random_from(&random_state);
}
