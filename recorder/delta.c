/* SPDX-License-Identifier: MIT */
/*
 * What happens to a profile in a while: two snapshots, the first one taken off the second. Corrections for
 * sampling come before the subtraction, as in Go.
 */
#include "recorder/procfs.h"
#include "recorder/profiles_internal.h"
#include "recorder/thread_ask.h"

struct profiles_delta {
	struct profiles *profiles; /* borrowed */
	char *name;		   /* owned */
	pid_t pid;
	struct profile_rows *before; /* owned */
	uint64_t begin_ns;	     /* CLOCK_MONOTONIC */
};

/* Rows as a protobuf profile would show them now. */
static struct profile_rows *collect(
	struct profiles *profiles, const struct profile_kind *kind, const GPtrArray *processes)
{
	struct profile_rows *rows = profile_rows_new();
	uint32_t wanted = 0;

	if (kind->is_threads)
		wanted = thread_ask(profiles ? profiles->orders : NULL, processes);
	kind->collect(kind, processes, wanted, rows);
	if (kind->scale)
		kind->scale(rows);
	return rows;
}

int profiles_delta_begin(struct profiles *profiles, const char *name,
	const struct profiles_query *query, struct profiles_delta **delta_out, char **why_out)
{
	const struct profile_kind *kind = profile_kind_find(name);
	g_autoptr(GPtrArray) processes = NULL;
	struct profiles_delta *delta;
	int rc = profiles_open(profiles, query->pid, &processes, why_out);

	if (rc)
		return rc;
	if (!kind || !kind->has_delta) {
		*why_out = g_strdup("Unknown profile");
		return PROFILES_E_UNKNOWN;
	}
	delta = g_new0(struct profiles_delta, 1);
	delta->profiles = profiles;
	delta->name = g_strdup(name);
	delta->pid = query->pid;
	delta->begin_ns = procfs_now();
	delta->before = collect(profiles, kind, processes);
	*delta_out = delta;
	return 0;
}

int profiles_delta_end(struct profiles_delta *delta, GByteArray **bytes_out, char **why_out)
{
	struct profiles *profiles = delta->profiles;
	g_autoptr(GPtrArray) processes = NULL;
	struct profile_build build = { .kind = profile_kind_find(delta->name) };
	struct profile_rows *rows = NULL;
	int rc = 0;

	if (bytes_out)
		rc = profiles_open(profiles, delta->pid, &processes, why_out);
	if (bytes_out && !rc) {
		build.time_ns = profiles_now_real();
		build.duration_ns = (int64_t)(procfs_now() - delta->begin_ns);
		rows = collect(profiles, build.kind, processes);
		profile_rows_subtract(rows, delta->before);
		build.processes = processes;
		build.rows = rows;
		build.cache = profiles ? profiles->cache : NULL;
		build.sizes = profiles ? profiles->sizes : NULL;
		build.period = profiles_period(profiles, build.kind, processes);
		*bytes_out = profiles_pack(profiles, &build);
		profile_rows_free(rows);
	}
	profile_rows_free(delta->before);
	g_free(delta->name);
	g_free(delta);
	return rc;
}
