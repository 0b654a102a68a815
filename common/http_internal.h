/* SPDX-License-Identifier: MIT */
/*
 * Shared by the parts of http.h: http.c (listening, life of a request), http_request.c (what handlers ask and answer),
 * http_access.c (who may ask), http_deadline.c (who takes too long). Nobody else includes this.
 */
#pragma once

#include <glib.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/http.h"
#include "common/http_listen.h"
#include "common/http_tls.h"

#define HTTP_MAX_HEADERS 8
#define HTTP_DIGEST_BYTES 32 /* SHA-256 */

/* Connections that have not brought a complete request, oldest first. */
struct http_deadline {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* CLOCK_MONOTONIC; is_quitting */
	GQueue waiting;		/* of struct http_connection */
	unsigned seconds;
	bool is_quitting, is_running;
};

/* One connection, from accept to close. */
struct http_connection {
	GList link;	  /* in http_deadline.waiting, while is_waiting; under its mutex */
	int fd;		  /* borrowed from libmicrohttpd */
	int64_t since_us; /* g_get_monotonic_time() when it began to wait for a request */
	bool is_waiting;
};

struct http_server {
	struct http_socket sock;
	struct http_server_options options;
	const struct http_tls *tls; /* borrowed; NULL: plain */
	struct MHD_Daemon *daemon;
	struct http_deadline deadline;
	bool has_token;
	uint8_t token_digest[HTTP_DIGEST_BYTES];
	atomic_uint n_active; /* requests between dispatch and their last byte */
	atomic_bool is_ending;
};

struct http_request {
	struct http_server *server;
	struct MHD_Connection *connection;	/* NULL until its headers are there */
	struct http_connection *own_connection; /* NULL: refused at once */
	const struct http_route *route;		/* NULL: none */
	char *path, *method, *uri;		/* owned; the uri as it was sent */
	GString *body;				/* owned; NULL: none, or dropped */
	uint64_t n_body;			/* bytes that came, kept or not */
	struct {
		const char *name; /* borrowed: a literal */
		char *value;	  /* owned */
	} headers[HTTP_MAX_HEADERS];
	unsigned n_headers;
	bool is_head, is_post, is_replied, is_counted, is_started;
	enum MHD_Result queued;
};

/* Notes the digest of the token that requests must carry; NULL: none. */
void http_access_set(struct http_server *server, const char *bearer);
/* True when the request carries the token, or needs none. */
bool http_access_has_token(const struct http_request *request);
/* True when the process at the other end of a unix socket may ask. */
bool http_access_is_peer(const struct http_request *request);
/* True when the Host header names this server, as far as that is known. */
bool http_access_is_own_host(const struct http_request *request);
/* True when a web page of another origin made the request. */
bool http_access_is_cross_site(const struct http_request *request);

/* Starts the thread. Returns 0 or -errno. */
int http_deadline_start(struct http_deadline *deadline, unsigned seconds);
void http_deadline_stop(struct http_deadline *deadline);
/* A connection begins; a request is complete; the connection waits for the next one; it is closed. */
struct http_connection *http_deadline_open(struct http_deadline *deadline, int fd);
void http_deadline_met(struct http_deadline *deadline, struct http_connection *connection);
void http_deadline_again(struct http_deadline *deadline, struct http_connection *connection);
void http_deadline_close(struct http_deadline *deadline, struct http_connection *connection);
