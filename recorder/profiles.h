/* SPDX-License-Identifier: MIT */
/*
 * The sampled profiles of the traced processes (heap, allocs, block, mutex, goroutine, thread, threadcreate, those the
 * program made itself, and CPU), built at any moment from their blackboxes, also after their death. What each
 * holds, and its sample types, are those of Go's runtime/pprof.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "proto/control.h"

struct profiles;

/* Why no profile came. Positive, besides -errno. */
enum {
	PROFILES_E_UNKNOWN = 1,	   /* no profile of that name */
	PROFILES_E_BUSY = 2,	   /* a CPU profile is already being taken */
	PROFILES_E_NO_PROCESS = 3, /* nothing is traced, or no process has that pid */
	PROFILES_E_REFUSED = 4,	   /* no engine can sample; the sentence says why and what to do */
};

/*
 * `rundir` is borrowed, NULL: nothing is traced. `control` is the page that the programs map, and is borrowed.
 * All functions may be called from any thread.
 */
int profiles_new(const char *rundir, struct fr_control *control, struct profiles **profiles_out);
void profiles_free(struct profiles *profiles);

/* What is asked of a profile. */
struct profiles_query {
	pid_t pid; /* this process; 0: all of them, told apart by a label `pid` when there is more than one */
	int debug; /* 0 protobuf, 1 text for people and pprof's legacy readers, 2 (goroutine) every thread's stack */
};

/* The profile `name` as it is now. Returns 0, -errno or PROFILES_E_*, then with a sentence in *why_out (g_free). */
int profiles_take(struct profiles *profiles, const char *name, const struct profiles_query *query,
	GByteArray **bytes_out, char **why_out);

/* Whether the profile exists and whether `?seconds=` may be asked of it. */
bool profiles_is_known(struct profiles *profiles, const char *name, bool *has_delta_out);

/*
 * A CPU profile: one at a time for all users (PROFILES_E_BUSY). profiles_cpu_end() ends it and gives the profile
 * of the time between, or drops it when bytes_out is NULL.
 */
int profiles_cpu_begin(struct profiles *profiles, unsigned hz, char **why_out);
int profiles_cpu_end(struct profiles *profiles, const struct profiles_query *query,
	GByteArray **bytes_out, char **why_out);
