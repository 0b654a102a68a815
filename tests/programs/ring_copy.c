/* SPDX-License-Identifier: MIT */
/*
 * The reader of rings by itself: ring_copy FOLDER OUT [MS [PERIOD_MS]]. Copies what the ring in FOLDER holds; with MS, all that
 * comes in so many milliseconds, draining every PERIOD_MS. Prints one line: begin and end (CLOCK_MONOTONIC), bytes, lost
 * events, lost packets, torn packets, torn bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/procfs.h"
#include "recorder/ring_read.h"

int main(int argc, char **argv)
{
	uint64_t ms = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	unsigned period_ms = argc > 4 ? (unsigned)atoi(argv[4]) : 10;
	struct ring_read_result result;
	struct ring_read *read;
	struct ring_look look;
	uint64_t begin, end;
	int err;

	if (argc < 3)
		return 2;
	ring_look(argv[1], &look);
	begin = ms ? procfs_now() : look.complete_ns;
	err = ring_read_new(argv[1], argv[2], ms ? RING_READ_NEW : RING_READ_ALL, &read);
	if (!err) {
		end = procfs_now() + ms * 1000000;
		while (ms && !err && procfs_now() < end) {
			err = ring_read_drain(read);
			usleep(period_ms * 1000);
		}
		end = procfs_now();
		if (!err)
			err = ring_read_finish(read, &result);
	}
	if (err) {
		fprintf(stderr, "ring_copy: %s\n", strerror(-err));
		return 1;
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	       "\n",
		begin, end, result.n_bytes, result.lost_events, result.lost_packets,
		result.torn_packets, result.torn_bytes);
	ring_read_free(read);
	return 0;
}
