/* SPDX-License-Identifier: MIT */
/* Reads CTF traces through babeltrace2 and hands out their events in time order. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "viewer/event.h"

/*
 * Called for each event. What `event` points to is borrowed for the call. A result other than 0 ends the
 * reading without an error.
 */
typedef int (*source_event_fn)(void *user, const struct event *event);

/* What a reading found out. Zero it, then source_report_init(). */
struct source_report {
	uint64_t n_events;  /* of ours */
	uint64_t n_foreign; /* other events in the same trace, left out */
	uint64_t n_lost;    /* events that the streams say were discarded by the writer */
	uint32_t n_streams;
	uint32_t n_failed;	/* streams and traces that could not be read to their end */
	int has_clock;		/* wall_offset_ns is known */
	int64_t wall_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC, as in the metadata */
	GPtrArray *notes;	/* owned char *: a sentence per thing that could not be read */
};

void source_report_init(struct source_report *report);
void source_report_fini(struct source_report *report);

/*
 * Reads the traces in `dirs` (each a folder with a `metadata` file, below `root`), merged by CLOCK_MONOTONIC
 * time, and calls `fn`. A stream or trace that cannot be read adds a sentence to the report's notes and ends there;
 * the others go on. Returns 0, or -EIO when babeltrace2 cannot be used at all (a note says why).
 * Context: one thread at a time in a process.
 */
int source_read(const char *root, const char *const *dirs, size_t n_dirs, source_event_fn fn,
	void *user, struct source_report *report);
