/* SPDX-License-Identifier: MIT */
/*
 * Which recording of a kind is on: the rules of who may begin, end and replace one, without doing any of it. Every recording has a
 * number of its own, so that a timer, a stop or a client that vanished can only ever end the one it
 * belongs to. Not thread-safe: the owner (recording.c) holds its lock around every call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum session_kind {
	SESSION_RUN,   /* /debug/trace/recorder/run */
	SESSION_PPROF, /* /debug/pprof/trace */
	SESSION_TRACE, /* --trace */
	SESSION_N_KINDS,
};

enum session_state {
	SESSION_IDLE,
	SESSION_STARTING,
	SESSION_RECORDING,
	SESSION_ENDING, /* stopped; the file is being written */
};

enum session_end {
	SESSION_END_NONE,
	SESSION_END_DURATION,
	SESSION_END_STOP,
	SESSION_END_EXIT,
	SESSION_END_SIZE_CAP,
	SESSION_END_DISK_FULL,
	SESSION_END_DISCONNECT,
};

struct session {
	enum session_state state;
	enum session_kind kind;		/* of the current recording, when not idle */
	enum session_end reason;	/* why it ends; NONE while it records */
	uint64_t id;			/* number of the current or last recording; 0: none yet */
	uint64_t duration_ns;		/* 0: no limit */
	uint64_t begin_ns, deadline_ns; /* CLOCK_MONOTONIC, from RECORDING on; deadline 0: none */
};

/* Positive results. */
enum {
	SESSION_E_BUSY = 1,   /* a recording is on */
	SESSION_E_STALE = 2,  /* that recording is over, or never was */
	SESSION_E_ENDING = 3, /* it ends already, for another reason */
};

/* Reserves the recorder. 0 with the number of the new recording, or SESSION_E_BUSY. */
int session_begin(
	struct session *session, enum session_kind kind, uint64_t duration_ns, uint64_t *id_out);

/* LTTng records now: the clock of a limited recording starts here. 0 or SESSION_E_STALE. */
int session_started(struct session *session, uint64_t id, uint64_t now_ns);

/*
 * Asks recording `id` to end; the first reason counts. 0, SESSION_E_STALE, or SESSION_E_ENDING. May come before
 * session_started(): the recording then ends as soon as it has begun.
 */
int session_end(struct session *session, uint64_t id, enum session_end reason);

/* True when the recording must be stopped now; sets the reason when its time is over. */
bool session_is_due(struct session *session, uint64_t now_ns);

/* Recording stopped, packing begins. 0 or SESSION_E_STALE. */
int session_ending(struct session *session, uint64_t id);

/* It is over, for good or bad. 0 or SESSION_E_STALE. */
int session_finished(struct session *session, uint64_t id);

/* Words for JSON and the receipt; borrowed. */
const char *session_kind_name(enum session_kind kind);
const char *session_state_name(enum session_state state);
const char *session_end_name(enum session_end reason);
