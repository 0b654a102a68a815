/* SPDX-License-Identifier: MIT */
/*
 * Profiles of what the ring holds: a snapshot without a name, of which trace-view, as a process of its own, derives the
 * profile. All functions may be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "recorder/past_window.h"
#include "recorder/recording.h"

struct past;

/* Why there is no profile. Positive; those of recording.h come as PAST_E_RECORDING. */
enum {
	PAST_E_BUSY = 1,      /* as many as may be are being made, and more wait */
	PAST_E_RECORDING = 2, /* the recording refused: see past_result.recording_error */
	PAST_E_NO_VIEWER = 3, /* trace-view is not installed, or cannot be run */
	PAST_E_GONE = 4,      /* nobody wants it any more */
	PAST_E_REFUSED = 5,   /* trace-view refused, and said why */
	PAST_E_FAILED = 6,
};

/* What is asked. All borrowed. */
struct past_query {
	const char *type;  /* of trace-view pprof */
	uint64_t asked_ns; /* of the newest that is held; 0: all of it */
	uint64_t
		end_ns; /* CLOCK_MONOTONIC, when the program ended, which nothing is newer than; 0: now */
	pid_t pid;		     /* of this process; 0: of all */
	bool is_text;		     /* for people */
	bool (*is_gone)(void *user); /* whether to give up; NULL: never */
	void *user;
	const char *note; /* one more sentence for the profile; NULL: none */
};

/* What came of it. */
struct past_result {
	int fd; /* the profile, a nameless file at offset 0, for the caller to close */
	struct past_window window;
	uint64_t lost_events; /* that belong to it; UINT64_MAX: unknown */
	int recording_error;  /* RECORDING_E_*, with PAST_E_RECORDING */
	char *notes;	      /* what trace-view had to say, to g_free(); NULL: nothing */
};

/* `recording` is borrowed; never fails. */
struct past *past_new(struct recording *recording);
/* When no call is under way any more. NULL is fine. */
void past_free(struct past *past);

/*
 * Takes a snapshot and makes the profile. Two are made at a time and a few more wait for their turn. Returns 0, or
 * PAST_E_* and one sentence in *why_out (g_free).
 */
int past_take(struct past *past, const struct past_query *query, struct past_result *result_out,
	char **why_out);

/* The same of a trace that was recorded, of this window: `trace_fd` is borrowed. */
int past_derive(struct past *past, const struct past_query *query, int trace_fd,
	const struct past_window *window, struct past_result *result_out, char **why_out);
