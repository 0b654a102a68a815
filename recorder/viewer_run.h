/* SPDX-License-Identifier: MIT */
/*
 * Runs trace-view as a process of its own on a trace that has no name any more: whatever is in the trace, the recorder
 * does not fall over it, and its memory stays as it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Why there is no result. Positive, besides -errno. */
enum {
	VIEWER_E_REFUSED = 1, /* it ended with an error, and said why */
	VIEWER_E_CRASHED = 2, /* a signal ended it, or the limit of its memory */
	VIEWER_E_TIMEOUT = 3,
	VIEWER_E_GONE = 4, /* nobody wants the result any more */
};

/* All borrowed for the call. */
struct viewer_job {
	const char *program; /* path of trace-view */
	int trace_fd;	     /* readable, a regular file */
	const char *const *
		args; /* its arguments before the trace, NULL-terminated: a command and its options */
	uint64_t max_ns;	     /* of wall time */
	uint64_t max_bytes;	     /* of its address space */
	bool (*is_gone)(void *user); /* asked every few ms whether to give up; NULL: never */
	void *user;
};

/*
 * Waits for the end of it. On success *out_fd is what it wrote to its standard output, a nameless file at offset 0 for
 * the caller to close, and *notes_out what it said beside, one line joined by "; ", to g_free(), NULL: nothing.
 * Otherwise -errno or VIEWER_E_*, with one sentence in *why_out (g_free). Any thread; the process is not seen by a
 * waitpid() for any child, and does not outlive the caller's.
 */
int viewer_run(const struct viewer_job *job, int *out_fd, char **notes_out, char **why_out);

/*
 * The trace-view that belongs to us: beside our own binary, else the first in PATH. Returns 0 and a path to g_free(),
 * or -ENOENT and one sentence in *why_out (g_free).
 */
int viewer_find(char **path_out, char **why_out);
