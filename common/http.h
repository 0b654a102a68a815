/* SPDX-License-Identifier: MIT */
/*
 * A small HTTP server: a table of routes, one thread per connection, replies from memory or a file. The
 * only user of libmicrohttpd.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct http_request;

/* Methods a route answers. HEAD runs the handler of GET and sends its headers only. */
#define HTTP_GET 0x1u
#define HTTP_HEAD 0x2u
#define HTTP_POST 0x4u

/* What a route needs besides its methods. */
#define HTTP_GUARDED \
	0x1u /* changes state or shows data: refuse requests that a foreign web page makes */
#define HTTP_PREFIX \
	0x2u /* answers every path that begins with `path`, unless another route fits better */

/* Answers one request by exactly one http_reply_*() call. Runs on the connection's own thread. */
typedef void (*http_handler)(struct http_request *request, void *user);

struct http_route {
	const char *path;
	unsigned methods, flags;
	http_handler handler;
};

/* Called instead of a handler for 403, 404, 405 and 413, so that a program words its own refusals. */
typedef void (*http_refusal)(
	struct http_request *request, unsigned status, const char *sentence, void *user);

struct http_server_options {
	const struct http_route *routes; /* borrowed; ends with a NULL path */
	http_refusal refuse;		 /* NULL: text/plain */
	void *user;			 /* passed to handlers */
	unsigned max_connections;
	unsigned idle_seconds; /* a connection that moves no byte for this long is closed */
};

/*
 * Binds `address`: "HOST:PORT" with a numeric or loopback host ("127.0.0.1:0", "[::1]:6060", "localhost:80"),
 * ":PORT" (127.0.0.1) or "unix:PATH". Only loopback addresses and sockets of the file system are
 * accepted. A socket file without a listener is replaced. Returns 0, or -errno with one sentence in
 * *why_out (g_free). The socket queues connections until http_server_start().
 */
int http_listen(const char *address, struct http_server **server_out, char **why_out);

/* Starts answering. Returns 0 or -errno. Signals must be blocked by the caller: threads inherit the mask. */
int http_server_start(struct http_server *server, const struct http_server_options *options);

/* "http://127.0.0.1:6060/" or "unix:PATH"; borrowed. */
const char *http_server_url(const struct http_server *server);

/* The TCP port in use; 0 for a unix socket. */
unsigned http_server_port(const struct http_server *server);

/*
 * Stops taking connections, waits up to `drain_ms` for replies under way, closes everything, removes a
 * unix socket's file, and frees. NULL is fine. Handlers must be able to end: see http_request_is_gone().
 */
void http_server_free(struct http_server *server, unsigned drain_ms);

/* The request. Strings are borrowed and live as long as it. */
const char *http_request_path(const struct http_request *request);
bool http_request_is_head(const struct http_request *request);
/* First value of a query parameter, decoded; "" when it has none or contains a NUL; NULL when absent. */
const char *http_request_query(const struct http_request *request, const char *key);
/* True when the client closed its side: nobody waits for the answer any more. */
bool http_request_is_gone(const struct http_request *request);

/* Adds a header to the coming reply. */
void http_reply_header(struct http_request *request, const char *name, const char *value);
/* Replies with `n` bytes, copied. content_type NULL: none. */
void http_reply(struct http_request *request, unsigned status, const char *content_type,
	const void *body, size_t n);
/* Replies with a file's `n_bytes` from its start as an attachment; takes over and closes `fd`. */
void http_reply_file(struct http_request *request, const char *content_type, const char *name,
	int fd, uint64_t n_bytes);
