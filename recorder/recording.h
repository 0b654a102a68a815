/* SPDX-License-Identifier: MIT */
/*
 * Everything that is recorded: the always-on ring, timed runs and traces copied from it to disk, snapshots of it, and
 * the files they become. All functions may be called from any thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/daemon.h"
#include "recorder/lttng_ctl.h"
#include "recorder/options.h"
#include "recorder/runtime_dir.h"
#include "recorder/session.h"
#include "recorder/store.h"
#include "recorder/trace_out.h"

struct recording;

/* What was known about scheduling, in every trace and status. */
#define RECORDING_SCHEDULING "none: this version does not record context switches"

/* Why something was refused or failed. Positive. */
enum {
	RECORDING_E_BUSY = 1,	  /* one of the kind is on */
	RECORDING_E_IDLE = 2,	  /* nothing to stop */
	RECORDING_E_UNTRACED = 3, /* the program cannot be traced */
	RECORDING_E_OVER = 4,	  /* the program ended */
	RECORDING_E_DISK = 5,	  /* no room */
	RECORDING_E_FAILED = 6,	  /* LTTng or the file system failed */
	RECORDING_E_TIMEOUT = 7,
	RECORDING_E_SNAPSHOT = 8, /* another snapshot is being written */
};

/* One recording or snapshot, current or finished. */
struct recording_info {
	uint64_t id;
	enum session_kind kind;
	enum session_state state; /* IDLE: finished */
	enum session_end end_reason;
	uint64_t duration_ns;	   /* asked; 0: no limit */
	int64_t begin_real_ns;	   /* wall clock */
	uint64_t begin_ns, end_ns; /* CLOCK_MONOTONIC; end 0 while it records */
	uint64_t covered_ns;	   /* window that the file covers */
	uint64_t n_bytes;	   /* of the finished file */
	uint64_t raw_bytes;	   /* on disk so far, before packing */
	uint64_t lost_events, lost_packets;
	bool is_snapshot;
	char file[PATH_MAX]; /* where it is or will be; "" none */
	char names[512];     /* one sentence when names could not be asked for; "" fine */
	char error[512];     /* one sentence when it failed; "" fine */
};

struct recording_status {
	bool has_current, has_last;
	struct recording_info current, last;		/* current: the first of `windows` */
	struct recording_info windows[SESSION_N_KINDS]; /* all that are on */
	unsigned n_windows;
	bool is_ring_on;
	uint64_t lost_events;	  /* by all runs and traces until now, as far as known */
	uint64_t ring_bytes;	  /* capacity in memory, of all users that have registered */
	uint64_t ring_held_bytes; /* of events in it, if has_ring_held */
	bool has_ring_held;
	uint64_t ring_lost_events; /* dropped while a CPU's ring was blocked */
	uint64_t ring_window_ns;   /* the ring has recorded for so long */
	uint64_t covered_ns;	   /* and for so long back from now, it holds all of it */
	bool is_ring_full;	   /* the oldest events are being overwritten */
	uint64_t wished_ns;	   /* --min-age; 0 none */
	uint64_t wished_bytes; /* the ring that would take; 0: it covers that, or is not full yet */
	const char *untraced;  /* borrowed sentence; NULL: the program is traced */
};

struct recording_settings {
	const struct options *options; /* all borrowed */
	struct lttng_ctl *ctl;	       /* NULL: the program runs without tracer */
	const struct runtime_dir *rundir;
	const struct daemon_user *user;
	const struct daemon *daemon;
	const struct store *store;
	struct symbol_cache *symbols; /* names known already, shared with the live profiles */
	struct sched *sched;	      /* NULL: nothing is known of the scheduler */
	struct lttng_geometry ring;
	const char *untraced; /* sentence when the program itself is not traced; or NULL */
	const char *notes[2]; /* sentences for every trace; or NULL */
};

/* Starts the ring and the worker thread. Returns 0, or -EIO and one sentence in *why_out (g_free). */
int recording_new(const struct recording_settings *settings, struct recording **recording_out,
	char **why_out);

/* Ends all that is on with reason `exit` and waits for the files. Nothing can be started from then on; snapshots can. */
void recording_program_ended(struct recording *recording);

/* Frees. After recording_program_ended() and when no call is under way. NULL is fine. */
void recording_free(struct recording *recording);

/*
 * Starts a recording. For SESSION_TRACE `file` is the target (taken over, also on failure); else NULL. Returns 0 or
 * RECORDING_E_* with one sentence in *why_out (g_free).
 */
int recording_start(struct recording *recording, enum session_kind kind, uint64_t duration_ns,
	struct store_file *file, struct recording_info *info_out, char **why_out);

/* Ends the current run and waits until its file is complete. Results as recording_start(). */
int recording_stop(struct recording *recording, struct recording_info *info_out, char **why_out);

/* Asks recording `id` to end; nothing happens when it is over. */
void recording_end(struct recording *recording, uint64_t id, enum session_end reason);

/* Waits until recording `id` is finished: 0, or RECORDING_E_TIMEOUT. */
int recording_wait(struct recording *recording, uint64_t id, unsigned timeout_ms,
	struct recording_info *info_out);

/* The nameless file of a finished SESSION_PPROF, for the caller to close; -1 when there is none. */
int recording_take_file(struct recording *recording, uint64_t id);

/* What a snapshot is for. All borrowed for the call; zeros: all that is held, to trace.out, without names. */
struct recording_snapshot_request {
	const char *name; /* of the file in the output folder, without ".out"; NULL: trace */
	const struct trace_trigger *trigger; /* that asked for it; NULL: a person did */
	const char *death;		     /* sentence: which process ended and how; NULL: none */
	int death_signal;		     /* that killed it; 0 */
	uint64_t begin_ns; /* CLOCK_MONOTONIC: only what is newer, as far as it is held; 0: all */
	int *fd_out; /* not NULL: a nameless file at offset 0, for the caller to close, instead of one in the folder */
	bool has_names; /* functions get names (slow the first time); false: the reader finds them on this machine */
	int (*add_members)(void *members, struct archive_out *out); /* see trace_out.h; or NULL */
	void *members;
};

/*
 * Writes what the ring holds, to a file of a nice name or a nameless one. Pauses nobody; works also during runs and
 * after the end of the program and the daemon. One at a time: a second call waits for the first, at most
 * RECORDING_SNAPSHOT_WAIT_MS (then RECORDING_E_SNAPSHOT). Results as recording_start().
 */
#define RECORDING_SNAPSHOT_WAIT_MS 30000
int recording_snapshot(struct recording *recording,
	const struct recording_snapshot_request *request, struct recording_info *info_out,
	char **why_out);

/*
 * A traced process ended without exit(): it may have died within an event and so block a CPU's ring for all others.
 * From now on the recording watches for that and replaces the ring when it is so. Does not wait.
 */
void recording_process_died(struct recording *recording);

/* A process has died, said in one sentence, of signal `number` (0: none): runs and traces that are on name it, too. */
void recording_note_death(struct recording *recording, const char *sentence, int number);

void recording_status(struct recording *recording, struct recording_status *status_out);

/* Says that the ring covers less than --min-age, and what would do; NULL: no need. To g_free(). */
char *recording_age_sentence(const struct recording_status *status);

/* Why the program itself is not traced, a sentence; NULL: it is. Borrowed; never blocks. */
const char *recording_untraced(const struct recording *recording);

/* The session daemon is gone: nothing more can be recorded. */
void recording_daemon_died(struct recording *recording);
