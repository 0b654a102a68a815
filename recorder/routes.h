/* SPDX-License-Identifier: MIT */
/* The HTTP interface: which path does what. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/http.h"
#include "recorder/options.h"
#include "recorder/profiles.h"
#include "recorder/recording.h"

/* What handlers may look at; lives as long as the server. */
struct routes_context {
	const struct options *options;
	struct recording *recording;
	struct profiles *profiles; /* NULL: nothing is traced */
	const char *url;     /* of the server */
	const char *rundir;  /* NULL: nothing is traced */
	const char *command; /* of the program, as a shell would read it */
	const char *note;    /* sentence about restrictions; NULL none */
	int64_t start_real_ns;
	_Atomic pid_t pid; /* of the program; 0: not started yet */
};

/* Fills the server's options. `context` is borrowed. */
void routes_fill(struct http_server_options *options_out, struct routes_context *context);

/* Handlers; `user` is a struct routes_context. */
void route_index(struct http_request *request, void *user);
void route_healthz(struct http_request *request, void *user);
void route_status(struct http_request *request, void *user);
void route_run(struct http_request *request, void *user);
void route_stop(struct http_request *request, void *user);
void route_snapshot(struct http_request *request, void *user);
void route_pprof_trace(struct http_request *request, void *user);
void route_pprof_unknown(struct http_request *request, void *user);
