/* SPDX-License-Identifier: MIT */
/* The always-on flight recorder: a snapshot session over memory, replaced when a dead writer may block it. */
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
	unsigned number;   /* how many were made so far */
	bool is_on;	   /* records now */
	uint64_t since_ns; /* CLOCK_MONOTONIC: recording without a gap since then */
	unsigned
		n_dead; /* processes that had died within when it was made: see ring_count_dead() */
};

/* All functions return 0 or a negative LTTng code. Not thread-safe: the owner holds a lock around them. */

/* Makes and starts the first session. */
int ring_open(struct ring *ring);
/* Stops recording; what it holds stays. */
int ring_pause(struct ring *ring);
int ring_resume(struct ring *ring);
/* Makes and starts a new session, then drops the old one with all it holds. */
int ring_replace(struct ring *ring);
/* Drops the session. */
void ring_close(struct ring *ring);

/*
 * Traced processes that ended without telling (a signal, _exit): each may have died inside an event and so have
 * blocked one CPU's buffer for all others.
 */
unsigned ring_count_dead(const char *rundir);

/* Folder of session `number` in shared memory, to g_free(). */
char *ring_folder(const char *shm_parent, unsigned number);

/*
 * Bytes of events that the ring in `folder` holds, all users and CPUs, from the positions in its files. False when no
 * program has registered yet, or LTTng's layout is not the known one. Takes no lock, stops nothing.
 */
bool ring_fill(const char *folder, const struct lttng_geometry *geometry, uint64_t *held_out);
