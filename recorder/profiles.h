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
#include <jansson.h>

#include "proto/control.h"
#include "recorder/past_window.h"

struct profiles;
struct symbol_cache;
struct profiles_delta;

/* Why no profile came. Positive, besides -errno. */
enum {
	PROFILES_E_UNKNOWN = 1,	   /* no profile of that name */
	PROFILES_E_BUSY = 2,	   /* a CPU profile is already being taken */
	PROFILES_E_NO_PROCESS = 3, /* nothing is traced, or no process has that pid */
	PROFILES_E_REFUSED = 4,	   /* no engine can sample; the sentence says why and what to do */
};

/* How CPU profiles are taken. */
enum profiles_engine {
	PROFILES_ENGINE_AUTO = 0, /* by signal; where a program cannot be sampled so, by perf */
	PROFILES_ENGINE_SIGNAL = 1,
	PROFILES_ENGINE_PERF = 2,
};

/*
 * `rundir` is copied, NULL: nothing is traced. `control` is the page that the programs map, and is borrowed, as is
 * `symbols`, the names known already.
 * All functions may be called from any thread; `profiles` NULL is a recorder that traces nothing.
 */
int profiles_new(const char *rundir, struct fr_control *control, struct symbol_cache *symbols,
	struct profiles **profiles_out);
void profiles_free(struct profiles *profiles);

/* AUTO until it is set. */
void profiles_set_engine(struct profiles *profiles, enum profiles_engine engine);

/* What is asked of a profile. */
struct profiles_query {
	pid_t pid; /* this process; 0: all of them, told apart by a label `pid` when there is more than one */
	int debug; /* 0 protobuf, 1 text for people and pprof's legacy readers, 2 (goroutine) every thread's stack */
};

/*
 * The profile `name` as it is now, in *bytes_out (g_byte_array_unref()). Returns 0, -errno or PROFILES_E_*, then with a
 * sentence in *why_out (g_free). Waits up to 150 ms for threads to say where they are.
 */
int profiles_take(struct profiles *profiles, const char *name, const struct profiles_query *query,
	GByteArray **bytes_out, char **why_out);

/* Whether the profile exists and whether `?seconds=` may be asked of it (may be NULL). */
bool profiles_is_known(struct profiles *profiles, const char *name, bool *has_delta_out);

/* Whether anything that is traced still runs. */
bool profiles_is_alive(struct profiles *profiles);

/* Whether a traced process has or had that pid; 0: whether there is or was any. */
bool profiles_has_pid(struct profiles *profiles, pid_t pid);

/*
 * What happens to a profile between begin and end. Several may be under way. Results as profiles_take(); end frees the
 * delta, and drops it when bytes_out is NULL.
 */
int profiles_delta_begin(struct profiles *profiles, const char *name,
	const struct profiles_query *query, struct profiles_delta **delta_out, char **why_out);
int profiles_delta_end(struct profiles_delta *delta, GByteArray **bytes_out, char **why_out);

/*
 * A CPU profile: one at a time for all users (PROFILES_E_BUSY). hz 0: 100. profiles_cpu_end() ends it and gives the
 * profile of the time between, or drops it when bytes_out is NULL.
 */
int profiles_cpu_begin(struct profiles *profiles, unsigned hz, char **why_out);
int profiles_cpu_end(struct profiles *profiles, const struct profiles_query *query,
	GByteArray **bytes_out, char **why_out);

/*
 * The same for a program that was started just now as `pid` and may not have come to its main() yet: it is sampled from
 * its beginning, and its children are.
 */
int profiles_cpu_begin_program(struct profiles *profiles, pid_t pid, unsigned hz, char **why_out);

/* A CPU profile of the past. */
struct profiles_past {
	unsigned hz; /* of the samples that are always taken; not 0 */
	/* asked_ns: how far back; end_ns: when the program ended, 0: now. begin_ns and end_ns tell what is covered. */
	struct past_window window;
	uint64_t n_samples, n_missing; /* in it; of that time, but written over, at least */
	char *note;		       /* what is missing besides, to g_free(); NULL: nothing */
};

/*
 * The CPU profile of what is past. Results as profiles_take(); PROFILES_E_REFUSED when there are no samples and a process
 * says why. query->debug: text.
 */
int profiles_cpu_past(struct profiles *profiles, const struct profiles_query *query,
	struct profiles_past *past, GByteArray **bytes_out, char **why_out);

/* What the last CPU profile lacks, one sentence, to g_free(); NULL: nothing. */
char *profiles_cpu_note(struct profiles *profiles);

/* A row of the index page. */
struct profiles_entry {
	char *name;	   /* owned by the array */
	const char *about; /* static; "" for those the program made */
	uint64_t count;
};

/* All named profiles by name, a GArray of struct profiles_entry that frees its names. */
GArray *profiles_list(struct profiles *profiles, pid_t pid);

/*
 * What was lost for want of room, over the lifetime of these processes: "12 samples (profile table full), …", to
 * g_free(). NULL: nothing. For the profile `name` only.
 */
char *profiles_losses(struct profiles *profiles, const char *name, pid_t pid);

/*
 * Names of the functions at `n` addresses of a process; pid 0: of the first that has something there, living ones
 * before dead ones. names_out[i] is NULL where unknown, else to g_free().
 */
void profiles_symbols(struct profiles *profiles, pid_t pid, const uint64_t *addresses, size_t n,
	char **names_out);

/*
 * The arguments of a process, each ended with NUL as in /proc/PID/cmdline, also after its death when it was seen alive.
 * False: not known.
 */
bool profiles_cmdline(struct profiles *profiles, pid_t pid, GByteArray **bytes_out);

/* Every deadlock that exists now among the traced processes: an array of objects, to json_decref(). */
json_t *profiles_deadlocks(struct profiles *profiles);
