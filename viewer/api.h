/* SPDX-License-Identifier: MIT */
/*
 * What the page asks of an opened trace: functions from query parameters to JSON or bytes. Nothing here knows
 * HTTP; serve.c does. Any number of threads.
 *
 * Times are ns since the window's begin. A lane is named KIND.A.B, as in its key: "1.3.0" are the states of thread 3.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

#include "viewer/index_store.h"
#include "viewer/lane.h"

/* A query parameter's value, NULL when absent. */
typedef const char *(*api_query)(void *user, const char *key);

struct api_request {
	const struct indexed *indexed;
	api_query query;
	void *user;
};

/* A parameter as a number, or `otherwise` when it is absent or none. */
int64_t api_number(const struct api_request *request, const char *key, int64_t otherwise);

/* [from, to) of the request, inside the window; the whole window by default. */
void api_range(const struct api_request *request, uint64_t *from_out, uint64_t *to_out);

/* Threads that the request's `threads` lists ("3,7"), a bit each by index; all bits set when it lists none. g_free(). */
uint8_t *api_threads(const struct api_request *request);

/* All return a new reference, or NULL with a sentence in *why_out (static). */
json_t *api_trace(const struct api_request *request, const char **why_out);	/* what there is */
json_t *api_rows(const struct api_request *request, const char **why_out);	/* rows of a lane */
json_t *api_at(const struct api_request *request, const char **why_out);	/* all of one row */
json_t *api_stack(const struct api_request *request, const char **why_out);	/* frames */
json_t *api_states(const struct api_request *request, const char **why_out);	/* of a range */
json_t *api_flame(const struct api_request *request, const char **why_out);	/* of a range */
json_t *api_histogram(const struct api_request *request, const char **why_out); /* of a range */
json_t *api_marks(const struct api_request *request, const char **why_out); /* logs and the like */
json_t *api_counter(const struct api_request *request, const char **why_out); /* values in time */
json_t *api_sql(const struct indexed *indexed, const char *text, const char **why_out);

/* Cells of lanes: TILE_CELL by cell, lane by lane. NULL with a sentence. */
GByteArray *api_cells(const struct api_request *request, const char **why_out);

/* Text of a trace as JSON, which wants UTF-8. */
json_t *api_text(const char *bytes);
/* The frames of a stack, leaf first: objects {function, file, line, module}. */
json_t *api_frames(const struct index *index, uint32_t stack);
