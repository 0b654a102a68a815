/* SPDX-License-Identifier: MIT */
/*
 * The profiles of lock waits, with the meaning and the rates that Go gives them: `block` by the stack of the one that
 * waited, `mutex` by the stacks of those that made it wait. Rates: fr_control.block_rate_ns, mutex_fraction.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tracer/internal.h"
#include "tracer/wait_table.h"

/* A wait of dur_ns at `stack` has ended. Context: hook, under the guard. */
void lock_profile_block(struct fr_thread *t, uint32_t stack, uint64_t dur_ns);

/* A wait for a lock that has an owner. */
struct lock_profile_wait {
	uint64_t begin_ns, end_ns;
	const struct wait_release *releases; /* borrowed; oldest first */
	unsigned n_releases;
	bool is_vain; /* it ended without the lock: whoever holds it now has not let go */
};

/*
 * Charges each of those who let go with the time from the release before to its own, and the last one with
 * the count. What nobody is known for goes to FR_STACK_NONE. Context: hook, under the guard.
 */
void lock_profile_mutex(struct fr_thread *t, const struct lock_profile_wait *wait);
