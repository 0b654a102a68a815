/* SPDX-License-Identifier: MIT */
/*
 * Shared by the parts of recording.h: recording.c (who may do what, the worker), recording_stream.c (one run),
 * recording_snapshot.c. Nobody else includes this.
 *
 * Locks: `mutex` guards session, results and flags and is never held across LTTng or disk work; `ring_mutex` guards
 * the ring. `mutex` may be taken while `ring_mutex` is held, not the other way round.
 */
#pragma once

#include <pthread.h>

#include "recorder/pack.h"
#include "recorder/recording.h"
#include "recorder/ring.h"
#include "recorder/staging.h"

/* Finished recordings that a late waiter can still ask about. */
#define N_RESULTS 8

struct result {
	struct recording_info info;
	int fd; /* owned; -1: none */
};

struct recording {
	struct recording_settings set;
	pthread_t worker;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* CLOCK_MONOTONIC; any change below */
	struct session session;
	struct recording_info current;	  /* valid unless session is idle */
	struct result results[N_RESULTS]; /* by id */
	struct recording_info last; /* newest finished run, trace or snapshot; valid if has_last */
	uint64_t lost_events;	    /* sum over finished runs and traces */
	bool has_last, is_snapshot_on, is_program_over, is_quitting, is_daemon_dead;

	/* Of the recording that is on; used by its starter, then by the worker. */
	char run_name[64];
	struct staging staging;
	struct store_file target; /* of --trace; fd -1 otherwise */
	struct cpu_times *cpu_begin;
	bool is_ring_dirty;

	pthread_mutex_t ring_mutex;
	struct ring ring;
	bool is_ring_on; /* copies of the ring's, under `mutex`: LTTng may keep the ring busy for seconds */
	uint64_t ring_since_ns;
	unsigned ring_number;
};

/* CLOCK_REALTIME in ns. */
int64_t recording_real_ns(void);

/* Waits for `changed`, at most until a moment of CLOCK_MONOTONIC. Call with `mutex` held. */
void recording_wait_until(struct recording *rec, uint64_t deadline_ns);

/* Sets the sentence and returns the code. */
int recording_refuse(char **why_out, int code, const char *sentence);

/* 0 when something can be recorded just now, else RECORDING_E_*. Call with `mutex` held. */
int recording_check_able(const struct recording *rec, char **why_out);

/* RECORDING_E_BUSY with words for the recording that is on. Call with `mutex` held. */
int recording_refuse_busy(const struct recording *rec, char **why_out);

/* Notes the ring's state for recording_status(). Call with `ring_mutex` held. */
void recording_note_ring(struct recording *rec);

/*
 * Packs into `file` (filling on_safe, is_hurried and user of `job`) and publishes it, or takes its name away and sets *fd_out when fd_out is not NULL. The file is gone
 * on failure. Fills the results of `info`. Returns 0 or -errno.
 */
int recording_pack(struct recording *rec, const struct pack_job *job, struct store_file *file,
	int *fd_out, struct recording_info *info);

/* Makes and starts the streaming session of run `id`, and pauses the ring. 0 or RECORDING_E_*. */
int recording_stream_open(struct recording *rec, uint64_t id, char **why_out);

/*
 * Lets the ring go on and ends the streaming session; packs what it recorded, except for reason DISCONNECT. Sets *fd_out for
 * SESSION_PPROF. Failures are told in info->error.
 */
void recording_stream_finish(struct recording *rec, struct recording_info *info, int *fd_out);
