/* SPDX-License-Identifier: MIT */
/*
 * Shared by the parts of recording.h: recording.c (who may do what), recording_window.c (one run or trace),
 * recording_snapshot.c, recording_ring.c (the rings, now and before), recording_pack.c (files). Nobody else includes this.
 *
 * Locks, in the order in which they may be taken: `ring_mutex` guards the rings; a window's `read_mutex` its reader;
 * `mutex` guards sessions, results and flags and is never held across LTTng or disk work.
 */
#pragma once

#include <pthread.h>

#include "recorder/pack.h"
#include "recorder/recording.h"
#include "recorder/ring.h"
#include "recorder/ring_read.h"
#include "recorder/ring_stuck.h"
#include "recorder/staging.h"

/* Finished recordings that a late waiter can still ask about. */
#define N_RESULTS 8

struct result {
	struct recording_info info;
	int fd; /* owned; -1: none */
};

/* One run or trace: a copy of all that comes into the ring, made while it comes. One of each kind at a time. */
struct window {
	struct recording *rec; /* borrowed */
	pthread_t worker;
	bool is_worker; /* it was started */

	struct session session;	       /* under the recording's `mutex`, as the next */
	struct recording_info current; /* valid unless session is idle */

	/* Of the recording that is on; used by its starter, then by the worker. */
	struct staging staging;
	struct store_file target; /* of --trace; fd -1 otherwise */
	struct cpu_times *cpu_begin;
	uint64_t begin_ns;

	pthread_mutex_t read_mutex;
	struct ring_read *read;		/* of the ring that is in use; NULL: none is on */
	unsigned n_parts;		/* rings it has been reading from */
	struct ring_read_result losses; /* of the parts before */
};

/* What the ring before this one held, copied to disk when it was replaced. */
struct old_ring {
	struct staging staging; /* data NULL: there is none */
	struct ring_read_result losses;
	uint64_t replaced_ns; /* 0: never */
	uint64_t gap_ns;      /* nothing was recorded for so long */
};

struct recording {
	struct recording_settings set;
	struct window windows[SESSION_N_KINDS];
	pthread_t ring_watcher;
	bool is_watcher;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* CLOCK_MONOTONIC; any change below */
	uint64_t last_id;
	unsigned n_recording;		  /* windows that are on: control->is_run */
	struct result results[N_RESULTS]; /* by id */
	struct recording_info last; /* newest finished run, trace or snapshot; valid if has_last */
	uint64_t lost_events;	    /* sum over finished runs and traces */
	bool has_last, is_snapshot_on, is_program_over, is_quitting, is_daemon_dead;
	char *ring_folder; /* owned; copies of the ring's */
	uint64_t ring_since_ns;
	uint64_t died_ns; /* a process died without telling; CLOCK_MONOTONIC */
	char *death;	  /* owned; the last of recording_note_death(), at death_ns; NULL: none */
	int death_signal;
	uint64_t death_ns;

	pthread_mutex_t ring_mutex;
	struct ring ring;
	struct old_ring old;
	struct ring_stuck *stuck; /* owned */
};

/* CLOCK_REALTIME in ns. */
int64_t recording_real_ns(void);

/* Waits for `changed`, at most until a moment of CLOCK_MONOTONIC. Call with `mutex` held. */
void recording_wait_until(struct recording *rec, uint64_t deadline_ns);

/* Sets the sentence and returns the code. */
int recording_refuse(char **why_out, int code, const char *sentence);

/* The recording is over; its results can be asked for. Takes over `fd`. */
void recording_publish(struct recording *rec, const struct recording_info *info, int fd);

/* Adds up. */
void recording_add_losses(struct ring_read_result *sum, const struct ring_read_result *part);

/* Events that were begun at a moment are in the ring a little later. Waits for it unless the program is over. */
void recording_settle(struct recording *rec);

/*
 * recording_pack.c: packs into `file` (filling what comes from the settings, on_safe, is_hurried and user of `job`)
 * and publishes it, or takes its name away and sets *fd_out when fd_out is not NULL. The file is gone on failure. Fills
 * the results of `info`. Returns 0 or -errno.
 */
int recording_pack(struct recording *rec, const struct pack_job *job, struct store_file *file,
	int *fd_out, struct recording_info *info);

/* The settings of a job, and the notes that all traces have. */
struct pack_job recording_job(const struct recording *rec, const struct ring_read_result *losses);

/* recording_window.c: */

/* Begins to copy into the staging folder. 0 or RECORDING_E_*. */
int window_open(struct window *window, char **why_out);
/* The thread of a window, until is_quitting. */
void *window_main(void *window);
/*
 * The ring was replaced: ends the part of the old one, in old_folder, and goes on with the new one. Call with
 * `ring_mutex` held. Nothing happens when the window is not on.
 */
void window_switch(struct window *window, const char *new_folder);

/* recording_ring.c: */

/* Makes the first ring. 0 or a negative LTTng code. */
int rings_open(struct recording *rec);
/* The thread that watches them, until is_quitting. */
void *rings_watch(void *recording);
/* Drops all. After the watch has ended. */
void rings_close(struct recording *rec);
/*
 * Copies what the rings hold since begin_ns (0: all) into `dir`, the oldest ring's part first by name. 0 or -errno. Notes
 * for the receipt are added to `notes` (owned strings).
 */
int rings_copy(struct recording *rec, uint64_t begin_ns, const char *dir,
	struct ring_read_result *losses_out, GPtrArray *notes);
/* Looks at the ring in use; also how long it has been recording. */
void rings_look(struct recording *rec, struct ring_look *look_out, uint64_t *since_ns_out);
