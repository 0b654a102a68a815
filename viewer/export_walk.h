/* SPDX-License-Identifier: MIT */
/* All intervals and rows of an index, in the order of time, whatever lane and table they are in. */
#pragma once

#include "viewer/export.h"

enum export_what {
	EXPORT_BEGIN, /* of an interval of a lane */
	EXPORT_END,
	EXPORT_ROW, /* a row of a table, at its end */
};

struct export_item {
	enum export_what what;
	uint64_t time_ns;
	struct pool_key lane; /* of BEGIN and END: kind, a, b as in lane.h */
	struct lane_row interval;
	enum index_table_id table; /* of ROW */
	uint64_t row;
};

/*
 * Tells every interval twice (its end before whatever begins at that moment) and every row of `tables` (bits by enum
 * index_table_id) once. Ends early when `out` of the user had an error, which `fn` says with a result other than 0.
 */
void export_walk(const struct export_part *part, uint32_t tables,
	int (*fn)(void *user, const struct export_item *item), void *user);

/* What an interval is called: "mutex", "read", the type of a region. Borrowed from the trace, or static. */
const char *export_name(const struct index *index, const struct export_item *item);

/* A value of a table's row. */
uint64_t export_get(
	const struct index *index, enum index_table_id table, uint64_t row, unsigned column);
