/* SPDX-License-Identifier: MIT */
#include "viewer/lane.h"

static const uint8_t widths[LANE_N_COLUMNS] = {
	[LANE_START] = 6,
	[LANE_DUR] = 6,
	[LANE_STACK] = 4,
	[LANE_ARG] = 4,
	[LANE_STATE] = 1,
};

const struct pool_schema lane_schema = { .widths = widths, .n_columns = LANE_N_COLUMNS };

int lane_append(struct series *lane, struct lane_row row)
{
	uint64_t values[LANE_N_COLUMNS], end = series_end(lane),
					 row_end = row.start_ns + row.dur_ns;
	int is_cut = 0;

	if (row.start_ns < end) {
		is_cut = 1;
		if (row_end <= end)
			return 1;
		row.start_ns = end;
		row.dur_ns = row_end - end;
	}
	values[LANE_START] = row.start_ns;
	values[LANE_DUR] = row.dur_ns;
	values[LANE_STACK] = row.stack;
	values[LANE_ARG] = row.arg;
	values[LANE_STATE] = row.state;
	series_append(lane, values);
	series_set_end(lane, row_end);
	return is_cut;
}

struct lane_row lane_get(const struct series *lane, uint64_t row)
{
	struct series_span span = series_span(lane, row);
	uint64_t i = row - span.first;

	return (struct lane_row){
		.start_ns = pool_load(span.columns[LANE_START], 6, i),
		.dur_ns = pool_load(span.columns[LANE_DUR], 6, i),
		.stack = (uint32_t)pool_load(span.columns[LANE_STACK], 4, i),
		.arg = (uint32_t)pool_load(span.columns[LANE_ARG], 4, i),
		.state = *(span.columns[LANE_STATE] + i),
	};
}

uint64_t lane_find(const struct series *lane, uint64_t time_ns)
{
	uint64_t row = series_after(lane, LANE_START, time_ns);
	struct lane_row before;

	if (row == 0)
		return 0;
	before = lane_get(lane, row - 1);
	return before.start_ns + before.dur_ns > time_ns ? row - 1 : row;
}
