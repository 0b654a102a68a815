/* SPDX-License-Identifier: MIT */
/* One call to trace_out_write(): adds command, settings and notes to what was recorded. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recorder/options.h"
#include "recorder/trace_out.h"

#define PACK_MAX_NOTES 12

/* All pointers borrowed for the call. */
struct pack_job {
	const struct options *options;
	const char *rundir, *ust_dir;
	const char *mode, *end_reason;
	uint64_t asked_ns, begin_ns, end_ns;
	const struct cpu_times *cpu_begin;
	struct symbol_cache *symbols;
	const struct ring_read_result *losses; /* see trace_out.h; or NULL */
	struct sched *sched; /* or NULL */
	void (*on_safe)(void *user); /* see trace_out.h; or NULL */
	bool (*is_hurried)(void *user);
	void *user;			     /* of both */
	const struct trace_trigger *trigger; /* these four: see trace_out.h */
	const char *death;
	int death_signal;
	bool is_nameless;
	int (*add_members)(void *members, struct archive_out *out);
	void *members; /* both: see trace_out.h */
	const char *notes[PACK_MAX_NOTES + 1]; /* ends with NULL */
};

/* Adds a note; NULL and one too many are ignored. */
void pack_add_note(struct pack_job *job, const char *note);

/* Writes the trace to fd. Returns 0 or -errno, as trace_out_write(). */
int pack_write(const struct pack_job *job, int fd, struct trace_out_result *result_out);

/* The program's command line as a shell would read it; to g_free(). */
char *pack_command(char *const argv[]);
