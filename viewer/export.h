/* SPDX-License-Identifier: MIT */
/*
 * A trace in the formats of other tools. Everything is read from an index, in order of time, and written as it is read:
 * memory holds names and stacks, not events.
 */
#pragma once

#include <stdio.h>

#include "viewer/index.h"

/* What of a trace is written. */
struct export_part {
	const struct index *index;
	const uint8_t *threads; /* 1 by thread index: wanted; NULL: all */
};

/*
 * Chrome's trace event format (JSON): complete events for what threads waited for and for regions, flows for wake-ups, async events
 * for tasks, counters, instants for log messages. Times in us with fractions, since the window's begin.
 */
void export_chrome(const struct export_part *part, FILE *out);

/*
 * Perfetto's protobuf: tracks by process, thread and region, slices with interned names and stacks, flows for wake-ups, counters,
 * and the kernel's thread states where switches are known. The clock is the trace's CLOCK_MONOTONIC.
 */
void export_perfetto(const struct export_part *part, FILE *out);

/* All tables of the SQL interface as a new SQLite database in the file `path`, which must not exist. FALSE with a sentence. */
gboolean export_sqlite(const struct export_part *part, const char *path, GError **error);

/*
 * A stream that compresses with gzip into `out`, to which nothing else was or is written; fclose() ends it, and says whether
 * everything was written; `out` stays open. NULL: there is no memory or descriptor for it.
 */
FILE *export_gzip(FILE *out);

/* Whether a thread is wanted; one that is not known is. */
static inline int export_wants(const struct export_part *part, uint64_t thread)
{
	return !part->threads || thread >= part->index->trace->threads->len ||
	       part->threads[thread];
}
