/* SPDX-License-Identifier: MIT */
/*
 * Lanes: what timelines are drawn from. A lane is the states of one thread, one nesting depth of a thread's
 * regions, or one CPU: intervals that never overlap, in the order of time. Each is a series in a pool (pool.h). Times
 * are ns since the index's origin, at most 2^48 (78 hours).
 */
#pragma once

#include "viewer/pool.h"

/* Kinds of series in an index, `kind` of their key. Lanes first. */
enum lane_kind {
	LANE_THREAD =
		1, /* a: thread index. state: enum fr_state, or LANE_STATE_*; arg: row of the wait or call */
	LANE_REGION = 2, /* a: thread index, b: depth. arg: string id of the type */
	LANE_CPU = 3,	 /* a: CPU. arg: thread index; state: a colour, that index modulo 32 */
	LANE_KIND_END,
};

enum lane_column { LANE_START, LANE_DUR, LANE_STACK, LANE_ARG, LANE_STATE, LANE_N_COLUMNS };

extern const struct pool_schema lane_schema;

struct lane_row {
	uint64_t start_ns, dur_ns;
	uint32_t stack, arg;
	uint8_t state;
};

/* States of LANE_THREAD beside enum fr_state (proto/schema.h). */
#define LANE_STATE_BLOCKED 59  /* off the CPU, in no call that was recorded */
#define LANE_STATE_RUNNABLE 60 /* ready, not running */
#define LANE_STATE_GAP 62      /* in cells only (tile.h) */
#define LANE_N_STATES 64

/*
 * Appends an interval. What overlaps the one before is cut off its begin, so that lanes stay lanes whatever a trace
 * says; an interval that is swallowed whole is dropped. Returns 1 when something was cut.
 */
int lane_append(struct series *lane, struct lane_row row);

struct lane_row lane_get(const struct series *lane, uint64_t row);

/* The first row that ends after time_ns; series_n() when none does. */
uint64_t lane_find(const struct series *lane, uint64_t time_ns);
