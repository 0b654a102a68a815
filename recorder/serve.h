/* SPDX-License-Identifier: MIT */
/*
 * The two places where the recorder answers: the address of --listen, and a socket in the runtime folder for the
 * traced program's own calls (flightrec.h).
 */
#pragma once

#include "recorder/access.h"
#include "recorder/options.h"
#include "recorder/routes.h"

/* RUNDIR/http.sock. */
#define SERVE_SOCKET "http.sock"

struct serve {
	struct http_server *outside; /* NULL: nothing is served */
	struct http_server *inside;  /* NULL: nothing is traced */
};

/* Binds the address, if anything is served. Returns 0, or -errno and one sentence in *why_out (g_free). */
int serve_listen(const struct options *options, const struct access *access,
	struct serve *serve_out, char **why_out);

/* Binds the program's socket. Results as serve_listen(). */
int serve_listen_inside(struct serve *serve, const char *rundir, char **why_out);

/* Starts answering on both. Returns 0 or -errno. `access` is needed until serve_stop(). */
int serve_start(struct serve *serve, const struct access *access, struct routes_context *context);

/* "http://127.0.0.1:6060/", or NULL when nothing is served; borrowed. */
const char *serve_url(const struct serve *serve);

/* Waits up to drain_ms for replies under way, then closes both. A struct of zeros is fine. */
void serve_stop(struct serve *serve, unsigned drain_ms);
