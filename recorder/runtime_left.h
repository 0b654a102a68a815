/* SPDX-License-Identifier: MIT */
/*
 * Runtime folders of recorders that were killed: what they hold can be written as a trace for a day (recover.h), and
 * no more of them are kept than memory has room for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <glib.h>

#include "recorder/owned_dir.h"

#define RUNTIME_LEFT_KEEP 3		 /* the newest of them */
#define RUNTIME_LEFT_SECONDS (24 * 3600) /* after the recorder's death */

struct runtime_left {
	struct owned_dir dir; /* with its lock, so nobody else takes it */
	char *ring;    /* owned; the folder of its newest ring that holds something; NULL: none */
	char *command; /* owned; of the program, "" unknown */
	time_t last;   /* when its recorder was last known to live */
	bool is_alive; /* a process that was recorded still runs */
};

/* Those that hold a recording, of this user, the newest first: a GArray of struct runtime_left. Others are removed. */
GArray *runtime_left_list(void);

/* The same for one folder. False when it has an owner, or holds no recording. */
bool runtime_left_open(const char *path, struct runtime_left *left_out);

/* Gives the lock up, or removes the folder first. */
void runtime_left_release(struct runtime_left *left);
void runtime_left_remove(struct runtime_left *left);

/*
 * At the start of a recorder: removes those that are too old or too many, the oldest first until `want_bytes` are free where they
 * are. What is left is said in one sentence, to g_free(); NULL: nothing is.
 */
char *runtime_left_tidy(uint64_t want_bytes);

/* Notes in a living recorder's folder whose it is. */
void runtime_left_describe(const char *rundir, const char *command);

/* Once in a while: the recorder lives. */
void runtime_left_touch(const char *rundir);

/* The parents of runtime folders, in the order of preference, NULL-terminated. Elements may be relative or "": skip those. */
#define RUNTIME_N_PARENTS 3
void runtime_left_parents(const char *parents_out[RUNTIME_N_PARENTS + 1]);

/* What their names begin with; to g_free(). */
char *runtime_left_prefix(void);
