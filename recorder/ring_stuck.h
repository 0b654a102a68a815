/* SPDX-License-Identifier: MIT */
/*
 * A writer that dies within an event blocks its CPU's ring for all others as soon as these have gone once round: from then on
 * every event there is dropped, and only a new session helps. This tells when it has come to that.
 */
#pragma once

#include <stdbool.h>

struct ring_stuck;

struct ring_stuck *ring_stuck_new(void);
/* NULL is fine. */
void ring_stuck_free(struct ring_stuck *stuck);

/*
 * Compares the ring in `folder` with what it was at the last call: true when a CPU's ring has dropped events and not taken
 * a single one in between. A writer that is off the CPU within an event does that too, for milliseconds: call
 * it in intervals of half a second and more, and believe it the second time in a row.
 */
bool ring_stuck_check(struct ring_stuck *stuck, const char *folder);
