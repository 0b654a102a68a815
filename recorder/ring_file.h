/* SPDX-License-Identifier: MIT */
/*
 * One CPU's ring of LTTng-UST 2.13 in overwrite mode, read from its shared-memory file while programs write, or when
 * all who wrote are dead. Needs no daemon, takes nothing away, makes nobody wait.
 *
 * A position counts bytes since the ring began. The ring is cut into sub-buffers; the sub-buffer at position p (a
 * multiple of their size) holds one packet, until the writers come round again to p + ring size.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ring_file;

/* Why a packet could not be had. Positive. */
enum {
	RING_FILE_E_LAYOUT =
		1, /* the file is none of LTTng's, or of a version with another layout */
	RING_FILE_E_LAPPED = 2, /* overwritten, before or while it was read */
	RING_FILE_E_OPEN = 3, /* some of its events are being written just now, or never will be */
};

/* What was read of one packet. */
struct ring_packet {
	uint64_t n_bytes;      /* as in a stream file: padded, and the header says so */
	uint64_t begin_ns;     /* CLOCK_MONOTONIC */
	uint64_t end_position; /* all that was reserved before this position is in it */
	uint64_t
		torn_bytes; /* left out: of events that were begun and not finished, and of those behind */
	bool is_closed; /* nothing will be added */
};

/* Opens DIR_FD/name. Returns 0, -errno or RING_FILE_E_LAYOUT. */
int ring_file_open(int dir_fd, const char *name, struct ring_file **file_out);
/* NULL is fine. */
void ring_file_close(struct ring_file *file);

uint64_t ring_file_subbuf_bytes(const struct ring_file *file);
uint64_t ring_file_bytes(const struct ring_file *file);

/* Where the next event goes: a few loads from shared memory. */
uint64_t ring_file_position(const struct ring_file *file);

/* Start of the oldest sub-buffer that is still whole when the write position is `position`. */
uint64_t ring_file_oldest(const struct ring_file *file, uint64_t position);

/* Events that writers dropped because the ring was blocked, ever; 0 where the layout does not tell. */
uint64_t ring_file_lost(const struct ring_file *file);

/* CLOCK_MONOTONIC time at which the packet at `position` begins. 0 or RING_FILE_E_*. */
int ring_file_begin(const struct ring_file *file, uint64_t position, uint64_t *begin_ns_out);

/*
 * Reads the packet at `position` into `buffer` (of sub-buffer size). Returns 0, -errno or RING_FILE_E_*: a packet
 * that writers have not closed yet is RING_FILE_E_OPEN, see ring_file_read_open().
 */
int ring_file_read(const struct ring_file *file, uint64_t position, void *buffer,
	struct ring_packet *packet_out);

/*
 * Likewise, for a packet that is still written to: what is complete now, with a header to match. RING_FILE_E_OPEN when
 * events in its middle are being written, which takes 20 ns unless their thread is off the CPU or dead. With is_last_try
 * such events are left out instead (torn_bytes): those behind them are found again when nobody writes any more and it is
 * one alone, which `max_event_id` of the stream's metadata helps to tell. n_bytes 0: nothing is in it yet.
 */
int ring_file_read_open(const struct ring_file *file, uint64_t position, bool is_last_try,
	uint32_t max_event_id, void *buffer, struct ring_packet *packet_out);
