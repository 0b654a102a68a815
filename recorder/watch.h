/* SPDX-License-Identifier: MIT */
/*
 * One thread that knows every traced process from its first moment to its end: how it ended, and what it asks for
 * (proto/blackbox.h, triggers).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "recorder/blackbox_read.h"
#include "recorder/process_end.h"

struct watch;

/* One traced image of a process. */
struct watch_process {
	uint16_t proc;
	pid_t pid;
	bool is_main; /* the program itself, not one that it started */
	uint64_t start_ns;
	char name[64]; /* as the kernel and ps have it: sh, my-script.py */
	char exe[64];  /* of the executable, without its folder: dash, python3.11 */
};

/*
 * Both run on the watching thread, and must not take long. The end of the program itself is not told: who waits for it
 * has the kernel's word, see watch_program_ended().
 */
struct watch_calls {
	void (*on_end)(
		void *user, const struct watch_process *process, const struct process_end *end);
	void (*on_trigger)(
		void *user, const struct watch_process *process, const struct fr_trigger *trigger);
	/* About once a second, with the living ones: a GArray of struct watch_process. */
	void (*on_second)(void *user, const GArray *processes);
	void *user;
};

/* At most so many processes are watched at once; what is beyond is found when it has ended, by how its blackbox says. */
#define WATCH_MAX_PROCESSES 4096

/* Starts the thread. `rundir` is copied. Returns 0 or -errno. */
int watch_new(const char *rundir, const struct watch_calls *calls, struct watch **watch_out);

/* Ends it: no call comes after. NULL is fine. */
void watch_free(struct watch *watch);

/* The program's pid, as soon as it is known. */
void watch_set_program(struct watch *watch, pid_t pid);

/*
 * The program has ended with this wait status. Fills how and when, and which traced image it was last; false: none of
 * it was traced. Also notes it in RUNDIR/ends.
 */
bool watch_program_ended(struct watch *watch, int status, struct watch_process *process_out,
	struct process_end *end_out);

/* Ends of processes that have been told by now and are not yet: waits until those are, at most `ms`. */
void watch_settle(struct watch *watch, unsigned ms);

/* How many there are now, and how many could not be watched at once. */
void watch_count(struct watch *watch, unsigned *n_living_out, uint64_t *n_beyond_out);
