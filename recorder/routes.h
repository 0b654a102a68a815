/* SPDX-License-Identifier: MIT */
/* The HTTP interface: which path does what. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/http.h"
#include "proto/control.h"
#include "recorder/options.h"
#include "recorder/past.h"
#include "recorder/profiles.h"
#include "recorder/recording.h"
#include "recorder/route_control.h"

struct triggers;

/* What handlers may look at; lives as long as the servers. */
struct routes_context {
	const struct options *options;
	struct recording *recording;
	struct profiles *profiles; /* NULL: nothing is traced */
	struct past *past;
	struct sched *sched;	    /* NULL: nothing is traced */
	struct triggers *triggers;  /* NULL: nothing is traced */
	struct fr_control *control; /* the page that the programs map; NULL: nothing is traced */
	const char *url;	    /* of the server; NULL: only the program itself can ask */
	const char *rundir;	    /* NULL: nothing is traced */
	const char *command;	    /* of the program, as a shell would read it */
	const char *note;	    /* sentence about restrictions; NULL none */
	int64_t start_real_ns;
	_Atomic pid_t pid;	 /* of the program; 0: not started yet */
	_Atomic uint64_t end_ns; /* CLOCK_MONOTONIC, when the program ended; 0: it has not */
	struct route_control_state in_use;
};

/* Fills the server's options: table, refusals, limits. `context` is borrowed. */
void routes_fill(struct http_server_options *options_out, struct routes_context *context);

/*
 * True when `ns` is longer than --max-duration allows: then the request has been answered, below /debug/pprof/ in Go's
 * words.
 */
bool route_is_too_long(struct http_request *request, const struct options *options, uint64_t ns);

/*
 * Sees a recording that is on through, or ends it when the client is gone. True when there is a file to send. `info` holds
 * its id, and takes its results.
 */
bool route_follow_recording(
	struct http_request *request, struct routes_context *context, struct recording_info *info);

/* Threads of the program, the tracer's own left out; 0: it is gone. */
unsigned route_count_threads(const struct routes_context *context);

/* Handlers; `user` is a struct routes_context. */
void route_index(struct http_request *request, void *user);
void route_healthz(struct http_request *request, void *user);
void route_metrics(struct http_request *request, void *user);
void route_status(struct http_request *request, void *user);
void route_run(struct http_request *request, void *user);
void route_stop(struct http_request *request, void *user);
void route_snapshot(struct http_request *request, void *user);
void route_pprof_trace(struct http_request *request, void *user);
void route_pprof(struct http_request *request, void *user);
void route_pprof_profile(struct http_request *request, void *user);
void route_pprof_symbol(struct http_request *request, void *user);
void route_pprof_cmdline(struct http_request *request, void *user);
void route_pprof_redirect(struct http_request *request, void *user);
void route_rates(struct http_request *request, void *user);
void route_cpu_start(struct http_request *request, void *user);
void route_cpu_stop(struct http_request *request, void *user);
void route_trace_start(struct http_request *request, void *user);
void route_trace_stop(struct http_request *request, void *user);
