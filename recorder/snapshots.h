/* SPDX-License-Identifier: MIT */
/* Snapshots that nobody asked for: of deaths and triggers. A queue with a thread, so that those who see them go on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "recorder/profiles.h"
#include "recorder/recording.h"

struct snapshots;

/* One of them. Strings are owned. */
struct snapshot_order {
	char *name;  /* of the file, without ".out" */
	char *said;  /* what happened, for stderr: "x (pid 3) was killed by SIGKILL" */
	char *death; /* sentence for the trace; NULL: nobody died */
	int death_signal;
	bool has_trigger;
	struct trace_trigger trigger;
	char *reason;	    /* of `trigger` */
	pid_t profiles_pid; /* whose profiles go with it; 0: none do */
};

/* Frees what it owns. */
void snapshot_order_fini(struct snapshot_order *order);

struct snapshots_settings {
	struct recording *recording; /* all borrowed */
	struct profiles *profiles;
	const char *output_dir;
	unsigned cpu_hz; /* --cpu-always */
	unsigned keep;	 /* files of deaths, and of triggers, that stay */
};

/* At most so many wait; what is beyond is refused. */
#define SNAPSHOTS_MAX_WAITING 16

int snapshots_new(const struct snapshots_settings *settings, struct snapshots **snapshots_out);

/* Finishes what waits. NULL is fine. */
void snapshots_free(struct snapshots *snapshots);

/* Takes the order over. False when too many wait: then it is dropped and counted. */
bool snapshots_submit(struct snapshots *snapshots, struct snapshot_order *order);

/* The same, before all others, and waits until it and all others are written. */
void snapshots_write_now(struct snapshots *snapshots, struct snapshot_order *order);

/* Waits until nothing waits any more. */
void snapshots_drain(struct snapshots *snapshots);

struct snapshots_status {
	uint64_t n_written, n_failed, n_dropped;
	char last_file[PATH_MAX]; /* "": none yet */
};

void snapshots_status(struct snapshots *snapshots, struct snapshots_status *status_out);

/* "trace-slow-20240131T235959Z": name for a trigger of this kind (enum fr_trigger_kind); to g_free(). */
char *snapshots_trigger_name(uint32_t kind, int64_t seconds);

/* Whether a file's name is one that triggers, or deaths, have made. */
bool snapshots_is_trigger_file(const char *name);
bool snapshots_is_death_file(const char *name);
