/* SPDX-License-Identifier: MIT */
/* Triggers that nobody tells: numbers of processes that are looked at once a second. Not thread-safe. */
#pragma once

#include <stdint.h>

#include <glib.h>

#include "recorder/options.h"
#include "recorder/trace_out.h"
#include "recorder/watch.h"

struct trigger_poll;

/* Something is too much, or wrong. `process` may be NULL. Strings are borrowed for the call. */
typedef void (*trigger_poll_fn)(
	void *user, const struct trace_trigger *trigger, const struct watch_process *process);

/* Borrows all. */
struct trigger_poll *trigger_poll_new(const struct options *options, const char *rundir);
void trigger_poll_free(struct trigger_poll *poll);

/*
 * One look at living processes (GArray of struct watch_process), at most 64 of them at a time. What is above its limit is told
 * once, and again after it has been below nine tenths of it.
 */
void trigger_poll_look(
	struct trigger_poll *poll, const GArray *processes, trigger_poll_fn fn, void *user);
