/* SPDX-License-Identifier: MIT */
/*
 * Where indexes are kept, so that a trace opens at once the second time: one folder per trace below the cache
 * folder, with the index and a copy of the state trace, which holds all definitions. It is a cache: what is
 * damaged or another version's is made anew, the oldest go when there are too many bytes.
 */
#pragma once

#include "viewer/index.h"

/* Of all indexes kept together, unless the caller says otherwise. */
#define INDEX_STORE_BYTES (UINT64_C(8) << 30)

struct index_options {
	const char *
		cache; /* folder; NULL: $XDG_CACHE_HOME/flightrec or ~/.cache/flightrec; "": keep nothing */
	uint64_t max_size;  /* as trace_open()'s */
	uint64_t max_cache; /* bytes of all indexes; 0: INDEX_STORE_BYTES */
	/* Told now and then while events are read: what share is done, 0 to 1. NULL: nobody is. */
	void (*on_progress)(void *user, double share);
	void *user;
};

/*
 * A trace with its index, its summary (summary_print_json(), all rows) and findings (findings_json()). `was_kept`: they were in the cache, and no event
 * was read.
 */
struct indexed {
	struct trace *trace; /* owned */
	struct index *index; /* owned */
	char *summary;	     /* owned; JSON */
	char *findings;	     /* owned; JSON */
	int was_kept;
};

/* Opens a trace and its index, making the index when there is none. FALSE with a sentence. */
gboolean indexed_open(
	const char *path, const struct index_options *options, struct indexed *out, GError **error);
void indexed_close(struct indexed *indexed);

/* A file without a name, for an index that is not kept. -1: there is no place for one. */
int index_scratch_file(void);
