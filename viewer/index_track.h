/* SPDX-License-Identifier: MIT */
/*
 * Lanes while events pass. Events come when they end, so something nested arrives before what it is nested in; a lane wants its
 * rows in order and disjoint. Each thread's last intervals are therefore held back, and one that turns out to lie
 * around them is cut into the pieces between.
 */
#pragma once

#include "viewer/index.h"

struct tracks;

struct tracks *tracks_new(struct index *index);
void tracks_free(struct tracks *tracks);

/* Every event, also those outside the window, before anything is added for it: who ran where. */
void tracks_event(struct tracks *tracks, const struct trace_event *at);

/*
 * A wait or call is over. Where the kernel's records are known, only the time in it that the thread was off the CPU
 * becomes rows, ready and not ready told apart; else all of it. `wake_ns`: it was let go so long before its end; 0: not known.
 */
void tracks_add(struct tracks *tracks, uint32_t thread, struct lane_row row, uint64_t wake_ns);

/* A region of a thread at a depth of nesting. */
void tracks_add_region(struct tracks *tracks, uint32_t thread, uint32_t depth, struct lane_row row);

/* After the run, once for each thread: what it waits for at `end` (NULL: nothing), and all that is held back. */
void tracks_finish_thread(
	struct tracks *tracks, uint32_t thread, const struct lane_row *open, uint64_t end);
/* After the last thread. */
void tracks_finish(struct tracks *tracks, uint64_t end);
