/* SPDX-License-Identifier: MIT */
/* The files that LTTng wrote: found, measured packet by packet, and packed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "recorder/ctf_writer.h"

struct archive_out;
struct ust_streams;

/* What the packet headers say, over all streams. Times are CLOCK_MONOTONIC ns. */
struct ust_summary {
	size_t n_streams;	       /* 0: nothing was recorded */
	uint64_t oldest_ns, newest_ns; /* of all packets; 0 without any */
	/*
	 * From here on no stream has lost its beginning: the latest start among the streams of which packets
	 * were overwritten; 0 when none were.
	 */
	uint64_t covered_ns;
	uint64_t lost_events, lost_packets;
	int is_unknown; /* 1: an unknown layout, the numbers above mean nothing */
};

/*
 * Looks for ust/uid/UID/N-bit folders below `dir` (NULL: none) and reads their packet headers. With
 * `is_ring`, what was lost or overwritten before the oldest packet of a stream is history, not loss.
 * Never fails: what cannot be used is left out with a note. Free with ust_streams_free().
 */
struct ust_streams *ust_streams_scan(const char *dir, int is_ring);
void ust_streams_free(struct ust_streams *streams);

const struct ust_summary *ust_streams_summary(const struct ust_streams *streams);

/* The clock of the LTTng metadata. Returns 0, or -ENOENT when there is no stream. */
int ust_streams_clock(const struct ust_streams *streams, struct ctf_clock *clock_out);

/* Sentences for people about what was left out: strings, borrowed. */
const GPtrArray *ust_streams_notes(const struct ust_streams *streams);

/* Adds metadata and streams below trace/ust/, whole packets only. Returns 0 or -errno. */
int ust_streams_pack(struct ust_streams *streams, struct archive_out *out);
