/* SPDX-License-Identifier: MIT */
/* Whether a CTF stream file consists of whole packets, and where the last whole one ends. */
#pragma once

#include <stdint.h>

struct packets {
	uint64_t n_bytes;   /* size of the file */
	uint64_t n_whole;   /* bytes in whole packets, from the start of the file */
	uint64_t n_packets; /* whole packets */
};

/*
 * Reads the packet headers of the stream file `path`. Layouts known: lttng-ust's and that of the state
 * trace. Returns 0 or -errno. A file without any whole packet gives n_whole 0.
 */
int packets_check(const char *path, struct packets *packets_out);

/*
 * Name of the file in `dir` that holds lttng-ust's stream instance `instance`; NULL when none does. Owned by the
 * caller (free).
 */
char *packets_find_stream(const char *dir, uint64_t instance);
