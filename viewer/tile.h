/* SPDX-License-Identifier: MIT */
/*
 * What a lane looks like from afar. Time is cut into buckets of 2^level ns; a cell says what a bucket holds. Where
 * many intervals fall into little room, cells are made once and kept as tiles of 256 in the pool; elsewhere they are
 * summed from the rows when asked for, which is as quick. Cells are never resampled: a view is asked for in buckets.
 */
#pragma once

#include "viewer/lane.h"

#define TILE_CELLS 256
#define TILE_MAX_LEVEL 48

/*
 * Of one bucket: the state that takes most of it (LANE_STATE_GAP: time in no interval), its share in 1/255, and the
 * intervals that touch it (saturated). Share 0: no interval touches it.
 */
struct tile_cell {
	uint8_t state, share;
	uint16_t count;
};

/* Series of tiles, kind LANE_KIND_END + lane's kind: level, index (of tiles at that level), offset in the pool. */
enum tile_column { TILE_LEVEL, TILE_INDEX, TILE_OFFSET, TILE_N_COLUMNS };
extern const struct pool_schema tile_schema;
struct pool_key tile_key(struct pool_key lane);

/* Builds the tiles of a sealed lane. They can be read after the next pool_seal(). */
void tile_build(struct pool *pool, const struct series *lane);

/*
 * Cells of `n` buckets of 2^level ns from bucket `first` on. Tiles that are missing for whatever reason cost time, not
 * truth. Any thread, on a sealed pool.
 */
void tile_view(const struct pool *pool, const struct series *lane, unsigned level, uint64_t first,
	size_t n, struct tile_cell *cells_out);

/* The level at which `n` buckets cover dur_ns. */
unsigned tile_level(uint64_t dur_ns, size_t n);
