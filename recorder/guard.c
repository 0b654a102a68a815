/* SPDX-License-Identifier: MIT */
#include "recorder/guard.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "recorder/death.h"
#include "recorder/ring_keep.h"
#include "recorder/runtime_left.h"
#include "recorder/snapshots.h"
#include "recorder/trigger.h"
#include "recorder/watch.h"

/* Its age tells, should we be killed, when that was (runtime_left.h). */
#define TOUCH_SECONDS 10

struct guard {
	struct snapshots *snapshots;
	struct deaths *deaths;
	struct triggers *triggers;
	struct watch *watch;
	char *rundir;	     /* owned */
	unsigned n_seconds;  /* of the watching thread */
	atomic_bool is_over; /* the program has ended */
};

static void on_end(void *user, const struct watch_process *process, const struct process_end *end)
{
	struct guard *guard = user;

	deaths_process_ended(guard->deaths, process, end);
}

static void on_trigger(
	void *user, const struct watch_process *process, const struct fr_trigger *trigger)
{
	struct guard *guard = user;

	triggers_told(guard->triggers, process, trigger);
}

static void on_second(void *user, const GArray *processes)
{
	struct guard *guard = user;

	if (guard->n_seconds++ % TOUCH_SECONDS == 0)
		runtime_left_touch(guard->rundir);
	ring_keep_update(guard->rundir);
	if (!atomic_load(&guard->is_over))
		triggers_second(guard->triggers, processes);
}

int guard_new(const struct guard_settings *settings, struct guard **guard_out, char **why_out)
{
	struct guard *guard = g_new0(struct guard, 1);
	const struct options *options = settings->options;
	struct snapshots_settings snapshots = {
		.recording = settings->recording,
		.profiles = settings->profiles,
		.output_dir = settings->output_dir,
		.cpu_hz = options->cpu_always_hz,
		.keep = options->trigger_keep,
	};
	struct deaths_settings deaths = {
		.rundir = settings->rundir,
		.policy = (enum options_on_death)options->on_death,
		.rate_ns = options->trigger_rate_ns,
		.recording = settings->recording,
	};
	struct triggers_settings triggers = {
		.options = options,
		.rundir = settings->rundir,
	};
	const struct watch_calls calls = {
		.on_end = on_end,
		.on_trigger = on_trigger,
		.on_second = on_second,
		.user = guard,
	};
	int err = snapshots_new(&snapshots, &guard->snapshots);

	guard->rundir = g_strdup(settings->rundir);
	if (!err) {
		deaths.snapshots = triggers.snapshots = guard->snapshots;
		guard->deaths = deaths_new(&deaths);
		guard->triggers = triggers_new(&triggers);
		triggers_arm(options, settings->control);
		err = watch_new(settings->rundir, &calls, &guard->watch);
	}
	if (err) {
		*why_out = g_strdup_printf("Cannot watch the program: %s", strerror(-err));
		guard_free(guard);
		return err;
	}
	*guard_out = guard;
	return 0;
}

void guard_free(struct guard *guard)
{
	if (!guard)
		return;
	watch_free(guard->watch);
	snapshots_free(guard->snapshots);
	triggers_free(guard->triggers);
	deaths_free(guard->deaths);
	g_free(guard->rundir);
	g_free(guard);
}

void guard_set_program(struct guard *guard, pid_t pid)
{
	if (guard)
		watch_set_program(guard->watch, pid);
}

void guard_signal(struct guard *guard, const siginfo_t *info)
{
	if (guard && !atomic_load(&guard->is_over))
		triggers_signal(guard->triggers, info);
}

void guard_program_ended(struct guard *guard, int status)
{
	if (!guard)
		return;
	atomic_store(&guard->is_over, true);
	deaths_program_ended(guard->deaths, guard->watch, status);
}

struct triggers *guard_triggers(struct guard *guard)
{
	return guard ? guard->triggers : NULL;
}
