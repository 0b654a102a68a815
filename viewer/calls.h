/* SPDX-License-Identifier: MIT */
/* libc's system calls: totals by call, and by call and place it was made from. */
#pragma once

#include "proto/schema.h"
#include "viewer/trace.h"

#define CALL_SITES_MAX 262144

struct call_stat {
	/* From events. */
	uint64_t n, ns, max_ns, bytes, n_errors;
	/* From the totals the tracer keeps, exact also where short calls have no event; 0: none kept. */
	uint64_t exact_n, exact_ns, exact_bytes;
	uint64_t short_n, short_ns; /* of exact_*, without an event */
	/* Not over at the end of the window; in none of the others. */
	uint64_t n_open, open_ns;
};

#define CALL_FD_NONE (-1)
#define CALL_FD_VARIOUS (-2)

struct call_site {
	uint32_t process, call;
	uint32_t site; /* string */
	int32_t fd;    /* the one it was always made on, or CALL_FD_* */
	uint32_t path; /* string: the one path it named; 0 none */
	int is_path_various;
	uint64_t n, ns, max_ns, bytes, n_errors;
};

struct calls {
	struct call_stat by_call[FR_CALL_N + 1]; /* the last one: calls newer than this program */
	GArray *sites;				 /* struct call_site */
	struct idmap by_site;
	uint64_t n_sites_left_out; /* calls at places beyond CALL_SITES_MAX */
};

void calls_init(struct calls *calls);
void calls_fini(struct calls *calls);
struct trace_pass calls_pass(struct calls *calls);

/* Adds the exact totals and what was still open. Call once, after the run. */
void calls_finish(struct calls *calls, struct trace *trace);
