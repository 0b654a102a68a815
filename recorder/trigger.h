/* SPDX-License-Identifier: MIT */
/* What makes a snapshot of itself: a signal, something slow, too much of something, a deadlock, the program's wish. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <jansson.h>

#include "proto/control.h"
#include "proto/schema.h"
#include "recorder/options.h"
#include "recorder/snapshots.h"
#include "recorder/watch.h"

struct triggers;

struct triggers_settings {
	const struct options *options; /* all borrowed */
	const char *rundir;
	struct snapshots *snapshots;
};

/* Tells the tracer what to look out for. Before the program is started. */
void triggers_arm(const struct options *options, struct fr_control *control);

struct triggers *triggers_new(const struct triggers_settings *settings);
void triggers_free(struct triggers *triggers);

/* A process asks for a snapshot. The watching thread. */
void triggers_told(struct triggers *triggers, const struct watch_process *process,
	const struct fr_trigger *trigger);

/* Looks at the living processes, about once a second: a GArray of struct watch_process. The watching thread. */
void triggers_second(struct triggers *triggers, const GArray *processes);

/* The signal of --on-signal has come. Any thread. */
void triggers_signal(struct triggers *triggers, const siginfo_t *info);

/* How often, by kind. Any thread. */
struct triggers_count {
	uint64_t n_fired;      /* a snapshot was written, or is being written */
	uint64_t n_suppressed; /* left out, by --trigger-rate or because too many waited */
};
void triggers_counts(struct triggers *triggers, struct triggers_count counts_out[FR_TRIGGER_N]);

/* What is armed, what has fired, and the last file: for the status; to json_decref(). NULL triggers: none are armed. */
json_t *triggers_json(struct triggers *triggers);

/* The name of a kind (enum fr_trigger_kind), static. */
const char *triggers_kind_name(uint32_t kind);
