/* SPDX-License-Identifier: MIT */
/* Packets of Perfetto's format: interned names and stacks, tracks, events. Numbers of fields are those of its public schema. */
#pragma once

#include <stdio.h>

#include "viewer/trace.h"

struct perfetto;

/* Writes to `out`, which is borrowed, from the first packet on. */
struct perfetto *perfetto_new(struct trace *trace, FILE *out);
void perfetto_free(struct perfetto *perfetto);

/* The first packet: times are CLOCK_MONOTONIC, and what the wall clock said. */
void perfetto_clocks(struct perfetto *perfetto);

/* Tracks; uuids are the caller's, unique and not 0. */
void perfetto_process(struct perfetto *perfetto, uint64_t uuid, uint32_t pid, const char *name);
void perfetto_thread(struct perfetto *perfetto, uint64_t uuid, uint64_t parent, uint32_t pid,
	uint32_t tid, const char *name);
void perfetto_track(struct perfetto *perfetto, uint64_t uuid, uint64_t parent, const char *name,
	int is_counter);

/* stack: index, STACK_INDEX_NONE: none; flow: 0: none, else an id, is_flow_end at its end. Times are CLOCK_MONOTONIC. */
void perfetto_begin(struct perfetto *perfetto, uint64_t uuid, uint64_t time_ns, const char *name,
	uint32_t stack);
void perfetto_end(struct perfetto *perfetto, uint64_t uuid, uint64_t time_ns);
void perfetto_instant(struct perfetto *perfetto, uint64_t uuid, uint64_t time_ns, const char *name,
	uint32_t stack, uint64_t flow, int is_flow_end);
void perfetto_counter(struct perfetto *perfetto, uint64_t uuid, uint64_t time_ns, int64_t value);

enum perfetto_task { PERFETTO_RUNNABLE = 2, PERFETTO_RUNNING = 3, PERFETTO_SLEEPING = 4 };
void perfetto_task_state(struct perfetto *perfetto, uint64_t time_ns, uint32_t cpu, uint32_t tid,
	const char *comm, enum perfetto_task state);
