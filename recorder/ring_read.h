/* SPDX-License-Identifier: MIT */
/*
 * Copies what a ring holds, all users and CPUs, into stream files as LTTng itself would write them, while programs
 * write to it or after their end. Can be called again and again to copy only what is new: so a ring in memory
 * becomes a recording of any length. See ring_file.h for what makes it right.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ring_read;

/* Begin of a copy: a time of CLOCK_MONOTONIC, or one of these. */
#define RING_READ_ALL 0u		 /* the oldest that is held */
#define RING_READ_NEW UINT64_MAX	 /* from now on: losses are counted from here */
#define RING_READ_FIRST (UINT64_MAX - 1) /* from the ring's first event on, and losses likewise */

struct ring_read_result {
	uint64_t n_bytes;     /* written */
	uint64_t lost_events; /* dropped by writers because the ring was blocked, since the begin */
	uint64_t lost_packets; /* RING_READ_NEW: overwritten before they were copied */
	uint64_t torn_packets; /* that miss events whose writers died or were off the CPU, */
	uint64_t torn_bytes;   /* and so many bytes of them at most */
	/*
	 * CLOCK_MONOTONIC, 0 mostly: only from then on all is there, since a stream was overwritten faster than it
	 * could be copied. Otherwise the streams tell: each is complete from its first packet on.
	 */
	uint64_t complete_ns;
};

/*
 * Reads the ring in `folder` (the shared-memory path of an LTTng session: ust/uid/UID/N-bit below it) into `out`, an
 * empty folder that gets the same folders. Files that come later are found, too. Returns 0 or -errno. Free with
 * ring_read_free(). Context: any thread, one at a time.
 */
int ring_read_new(
	const char *folder, const char *out, uint64_t begin_ns, struct ring_read **read_out);
/* NULL is fine. Files stay. */
void ring_read_free(struct ring_read *read);

/* Bytes copied so far. */
uint64_t ring_read_bytes(const struct ring_read *read);

/* Copies packets that are closed and new. Returns 0 or -errno of writing. */
int ring_read_drain(struct ring_read *read);

/*
 * How far the writers are ahead: the most that any CPU's ring holds and is not copied, in 1/1000 of its size. Looks
 * for new files now and then. Cheap.
 */
unsigned ring_read_lag(struct ring_read *read);

/*
 * Copies the rest: all events that were complete when this is called, those in packets which are written to, and the
 * metadata. Waits at most 50 ms for events that are being written. Call once. Returns 0 or -errno of writing.
 */
int ring_read_finish(struct ring_read *read, struct ring_read_result *result_out);

/* What a ring holds, over all users and CPUs. */
struct ring_look {
	unsigned n_streams;	 /* 0: no program has registered yet */
	uint64_t capacity_bytes; /* that these have */
	uint64_t held_bytes;	 /* of events */
	uint64_t written_bytes;	 /* ever: write positions */
	uint64_t lost_events;	 /* dropped because a CPU's ring was blocked, ever */
	/*
	 * All events since then are held: the latest begin among the rings that were used up; 0 when none was, and so
	 * all since the ring began is there. CLOCK_MONOTONIC.
	 */
	uint64_t complete_ns;
};

/* Looks at the ring in `folder`; a few loads per CPU. */
void ring_look(const char *folder, struct ring_look *look_out);
