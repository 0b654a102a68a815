/* SPDX-License-Identifier: MIT */
/* What keeps an eye on the program and writes traces unasked: the watch, deaths, triggers, and their snapshots, wired. */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "recorder/options.h"
#include "recorder/profiles.h"
#include "recorder/recording.h"

struct guard;
struct triggers;

struct guard_settings {
	const struct options *options; /* all borrowed */
	const char *rundir;
	const char *output_dir;
	struct fr_control *control;
	struct recording *recording;
	struct profiles *profiles;
};

/* Before the program is started. Returns 0, or -errno and one sentence in *why_out (g_free). */
int guard_new(const struct guard_settings *settings, struct guard **guard_out, char **why_out);

/* No snapshot is begun any more; those that are under way are finished. NULL is fine, here and below. */
void guard_free(struct guard *guard);

/* The program has its pid. */
void guard_set_program(struct guard *guard, pid_t pid);

/* The signal of --on-signal has come. Any thread. */
void guard_signal(struct guard *guard, const siginfo_t *info);

/* The program has ended with this wait status; returns when every trace of that is written. */
void guard_program_ended(struct guard *guard, int status);

/* For the status and the metrics; NULL without a guard. */
struct triggers *guard_triggers(struct guard *guard);
