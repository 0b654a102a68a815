/* SPDX-License-Identifier: MIT */
/* Turns a finished recording (LTTng's files + the blackboxes) into one trace.out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/cpu_times.h"

/* One key and value for flightrec_state:env. Both borrowed. */
struct trace_out_env {
	const char *key, *value;
};

struct sched;
struct ring_read_result;
struct symbol_cache;
struct archive_out;

/* What asked for a snapshot: becomes flightrec_state:trigger. Strings borrowed. */
struct trace_trigger {
	uint32_t kind;	    /* enum fr_trigger_kind */
	const char *reason; /* as fr_trigger's; NULL: nothing to say */
	uint64_t time_ns;   /* CLOCK_MONOTONIC */
	uint64_t value, limit; /* of DEATH, value 1: the kernel was out of memory */
	uint64_t obj;
	uint32_t call;
	uint32_t tid, stack; /* in `proc`; 0: none */
	uint16_t proc;	     /* 0: no process in particular */
};

/* Everything trace_out_write() is told. All pointers borrowed for the call. */
struct trace_out_request {
	const char *rundir; /* holds blackbox/; see proto/control.h */
	const char
		*ust_dir; /* a folder anywhere above LTTng's ust/uid/N/64-bit; NULL: no streams */
	const char *mode; /* "run", "snapshot", "trace" */
	const char *end_reason; /* receipt key end_reason */
	uint64_t asked_ns;	/* window asked; 0 none (snapshot) */
	uint64_t
		begin_ns; /* CLOCK_MONOTONIC, when recording began; 0: unknown, take the oldest event */
	uint64_t end_ns;	  /* CLOCK_MONOTONIC, when it ended */
	struct sched *sched;	  /* what the scheduler did; NULL: not known */
	const struct ring_read_result *losses; /* that the copy of the ring had; NULL: by the streams alone */
	const char *const *notes; /* sentences for people, NULL-terminated; or NULL */
	const struct trace_out_env
		*env; /* settings.*, command, … in addition to what is found here */
	size_t n_env;
	const struct trace_trigger *trigger; /* or NULL */
	const char *death; /* a sentence: which process ended and how; NULL: none did */
	int death_signal;  /* that killed it; 0: none */
	bool is_nameless; /* the names of functions are not looked up: the reader is on this machine */
	/* Adds members of its own at the end, with the names: they may take their time. Returns 0 or -errno; or NULL. */
	int (*add_members)(void *members, struct archive_out *out);
	void *members;
	const struct cpu_times *cpu_begin; /* from cpu_times_take() at begin; or NULL */
	/*
	 * Called when all that was recorded is in the file, which is a complete trace but for the names of
	 * functions; they are looked up after it. Only for regular files. NULL: nobody wants to know.
	 */
	void (*on_safe)(void *user);
	bool (*is_hurried)(
		void *user);	      /* true: names are not worth waiting for any more; or NULL */
	void *user;		      /* of both */
	int is_progress;	      /* says on a terminal when names take their time */
	struct symbol_cache *symbols; /* names known already; or NULL */
	uint64_t debuginfod_ns; /* symbols may be asked from the network for so long; 0: never */
};

/* What trace_out_write() found out; filled also when it returns an error after the streams were read. */
struct trace_out_result {
	uint64_t n_bytes;		    /* size of the finished file */
	uint64_t begin_ns, end_ns;	    /* window covered */
	uint64_t lost_events, lost_packets; /* UINT64_MAX: unknown */
	char names[512]; /* a sentence when debug files on servers could not be had; "" */
};

/*
 * Writes the trace to `fd` (a regular file, or a pipe or socket: nothing is seeked). Returns 0 or -errno;
 * -ENOSPC when the target is full; SIGPIPE must be ignored. Streams are written and flushed first, names
 * looked up and written after them. With on_safe and a regular file (then it is seeked), the whole trace without
 * names is there before that, and stays should there be no room for the names. On error `fd` holds a part that must
 * not be shown as a trace.
 * Context: any one thread; not the thread that owns liblttng-ctl, since it takes as long as the disk.
 */
int trace_out_write(
	int fd, const struct trace_out_request *request, struct trace_out_result *result_out);
