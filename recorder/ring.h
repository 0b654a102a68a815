/* SPDX-License-Identifier: MIT */
/* The always-on flight recorder: a snapshot session over memory, replaced when a dead writer blocks it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recorder/lttng_ctl.h"
#include "recorder/runtime_dir.h"

struct ring {
	struct lttng_ctl *ctl;		  /* borrowed */
	const struct runtime_dir *rundir; /* borrowed */
	struct lttng_geometry geometry;
	uint32_t events;
	char name[64];	   /* of the LTTng session now in use; "" none */
	char old[64];	   /* of the one before, stopped, until ring_drop_old(); "" none */
	char *folder;	   /* owned; the session's files in shared memory; NULL none */
	char *old_folder;  /* owned; likewise */
	unsigned number;   /* how many were made so far */
	uint64_t since_ns; /* CLOCK_MONOTONIC: records since then */
};

/* All functions return 0 or a negative LTTng code. Not thread-safe: the owner holds a lock around them. */

/* Makes and starts the first session. */
int ring_open(struct ring *ring);
/*
 * Stops the session and starts a new one; the files of the old one can be read until ring_drop_old(). What happens
 * between is recorded in neither: to record it twice would be worse. When no new one can be had the old one goes on.
 */
int ring_replace(struct ring *ring);
void ring_drop_old(struct ring *ring);
/* Drops all. */
void ring_close(struct ring *ring);
