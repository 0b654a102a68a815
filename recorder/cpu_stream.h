/* SPDX-License-Identifier: MIT */
/* CPU samples of a window as a trace of their own: trace/cpu (proto/schema.md). */
#pragma once

#include <stdint.h>

#include <glib.h>

#include "recorder/ctf_writer.h"

struct archive_out;

/* What cpu_stream_pack() wrote, for the receipt. */
struct cpu_packed {
	uint64_t n_samples;
	uint64_t
		n_lost; /* of the window, as far as they could be counted: the ring had been written over */
	uint64_t n_bytes; /* of the stream; 0: there is none, nothing was added */
};

/*
 * Adds the samples that `processes` (of struct process_state) took in [begin_ns, end_ns], CLOCK_MONOTONIC, to `out`, through
 * the empty scratch file `fd` (borrowed). Returns 0 or -errno.
 */
int cpu_stream_pack(uint64_t begin_ns, uint64_t end_ns, const struct ctf_clock *clock,
	const GPtrArray *processes, struct archive_out *out, int fd, struct cpu_packed *packed_out);

/* The rate that control in `rundir` asks for, samples per second of CPU time; 0: none, or not known. */
uint32_t cpu_stream_hz(const char *rundir);
