/* SPDX-License-Identifier: MIT */
/*
 * Writes events as CTF the way lttng-ust does (large event headers, packets with a 32-byte header and a 52-byte
 * context, enumerations, names with an underscore), and definitions the way a state trace is written.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "viewer/event.h"

/* CLOCK_REALTIME - CLOCK_MONOTONIC of every fixture. */
#define CTF_FIXTURE_OFFSET_NS UINT64_C(1700000000000000000)

struct ctf_fixture;

/*
 * A trace below `dir`, which is made: dir/trace/state, sched and cpu, and dir/trace/ust/uid/0/64-bit with `n_streams`
 * streams. Events must come in order of time per stream. Packets take at most packet_bytes (a multiple of 4096).
 * schema 1: without what came with schema 2.
 */
struct ctf_fixture *ctf_fixture_new(
	const char *dir, unsigned n_streams, uint32_t packet_bytes, int schema);

/* Definitions, records of the kernel and CPU samples go to traces of their own, whatever `stream` says. */
void ctf_fixture_add(struct ctf_fixture *fixture, unsigned stream, const struct event *event);

/* Writes what is left. Frees. */
void ctf_fixture_close(struct ctf_fixture *fixture);
