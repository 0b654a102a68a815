/* SPDX-License-Identifier: MIT */
/* What the handlers of /debug/pprof/ share. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "recorder/routes.h"

#define PPROF_ROOT "/debug/pprof/"
#define PPROF_TEXT "text/plain; charset=utf-8"

/* ?pid=, 0 when absent. Replies and returns false when it is no pid of a traced process. */
bool route_pprof_pid(struct http_request *request, struct routes_context *context, pid_t *pid_out);

/*
 * Nothing is recorded of a program that cannot be traced, unless it starts others that can: then replies why, and returns
 * true.
 */
bool route_pprof_is_untraced(struct http_request *request, struct routes_context *context);

/* The index page. */
void route_pprof_index(struct http_request *request, struct routes_context *context);
