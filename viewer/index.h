/* SPDX-License-Identifier: MIT */
/*
 * What a trace's events become in one pass: lanes for timelines (lane.h, tile.h) and tables (index_table.h), in one file. The
 * trace's definitions (processes, threads, stacks) stay in struct trace. Memory holds what is open; the rest is the file's
 * page cache.
 */
#pragma once

#include "viewer/index_table.h"
#include "viewer/lane.h"
#include "viewer/tile.h"
#include "viewer/trace.h"

#define INDEX_VERSION 1

struct index {
	struct trace *trace;		       /* borrowed */
	struct pool *pool;		       /* owned */
	struct series *tables[INDEX_N_TABLES]; /* of pool */
	uint64_t origin_ns;		       /* CLOCK_MONOTONIC at time 0 */
	uint64_t n_cut; /* intervals that overlapped others of their lane, and were cut */
};

struct index_builder;

/* Starts an index of `trace` in the empty file `fd` (taken over). */
struct index_builder *index_builder_new(struct trace *trace, int fd);
struct trace_pass index_builder_pass(struct index_builder *builder);

/*
 * After the run, once: what is open ends at the end of the window, tiles are built, the file is mapped. The builder is
 * freed. NULL with a sentence when the disk did not take it.
 */
struct index *index_builder_finish(struct index_builder *builder, GError **error);
/* Drops it. NULL is fine. */
void index_builder_free(struct index_builder *builder);

void index_free(struct index *index);

/* The lane, NULL when nothing is in it. */
const struct series *index_lane(
	const struct index *index, enum lane_kind kind, uint32_t a, uint32_t b);

/* Absolute CLOCK_MONOTONIC time of a time in the index. */
static inline uint64_t index_time(const struct index *index, uint64_t at)
{
	return index->origin_ns + at;
}
