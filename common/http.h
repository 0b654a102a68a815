/* SPDX-License-Identifier: MIT */
/*
 * A small HTTP server: a table of routes, one thread per connection, replies from memory or a file; TLS, a bearer
 * token and limits where they are wanted. The only user of libmicrohttpd.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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
#define HTTP_OPEN 0x4u /* answered without the bearer token, too */
#define HTTP_SOME_POST \
	0x8u /* POST is for few of its paths: the handler refuses it for the others */

/* Answers one request by exactly one http_reply_*() call. Runs on the connection's own thread. */
typedef void (*http_handler)(struct http_request *request, void *user);

struct http_route {
	const char *path;
	unsigned methods, flags;
	http_handler handler;
};

/*
 * Called instead of a handler for 403, 404, 405, 413 and 500, so that a program words its own refusals. A missing or
 * wrong token is a 401 with an empty body and does not come here.
 */
typedef void (*http_refusal)(
	struct http_request *request, unsigned status, const char *sentence, void *user);

/* Whether the process that made a connection to a unix socket may ask. Runs on the connection's thread. */
typedef bool (*http_peer_check)(pid_t pid, uid_t uid, void *user);

struct http_server_options {
	const struct http_route *routes; /* borrowed; ends with a NULL path */
	http_refusal refuse;		 /* NULL: text/plain */
	http_peer_check is_peer_allowed; /* NULL: whomever the socket's mode lets in */
	void *user;			 /* passed to handlers */
	const char *bearer;	  /* token of every request by TCP; copied; NULL: none needed */
	unsigned max_connections; /* those beyond are closed unanswered */
	unsigned max_per_address; /* of these from one address; 0: no limit */
	unsigned idle_seconds;	  /* a connection that moves no byte for this long is closed */
	unsigned request_seconds; /* a request that is not complete by then is cut; 0: 30 */
	size_t max_body_bytes;	  /* larger bodies are refused; 0: 1 MiB */
};

/* Where to listen, besides the address. All zeros: loopback, plain, a unix socket for its owner only. */
struct http_listen_options {
	bool is_remote_allowed; /* addresses that other machines reach, too */
	const struct http_tls
		*tls;	  /* of http_tls.h; borrowed until the server is freed; NULL: none */
	mode_t unix_mode; /* of a unix socket's file; 0: 0600 */
};

/*
 * Binds `address`: "HOST:PORT" with a numeric or loopback host ("127.0.0.1:0", "[::1]:6060", "localhost:80"),
 * ":PORT" (127.0.0.1) or "unix:PATH". Only loopback addresses and sockets of the file system are accepted unless the
 * options say otherwise (NULL: all zeros). A socket file without a listener is replaced. Returns 0, or -errno
 * with one sentence in *why_out (g_free); -EINVAL: the address is not usable, -EPERM: it needs is_remote_allowed. The
 * socket queues connections until http_server_start().
 */
int http_listen(const char *address, const struct http_listen_options *options,
	struct http_server **server_out, char **why_out);

/* Starts answering. Returns 0 or -errno. Signals must be blocked by the caller: threads inherit the mask. */
int http_server_start(struct http_server *server, const struct http_server_options *options);

/* "http://127.0.0.1:6060/" or "unix:PATH"; borrowed. */
const char *http_server_url(const struct http_server *server);

/* The TCP port in use; 0 for a unix socket. */
unsigned http_server_port(const struct http_server *server);

/* Whether other machines can reach it. */
bool http_server_is_remote(const struct http_server *server);

/*
 * Stops taking connections, waits up to `drain_ms` for replies under way, closes everything, removes a
 * unix socket's file, and frees. NULL is fine. Handlers must be able to end: see http_request_is_gone().
 */
void http_server_free(struct http_server *server, unsigned drain_ms);

/* True once http_server_free() waits for the replies under way: a handler that takes long comes to its end. */
bool http_request_is_ending(const struct http_request *request);

/* The request. Strings are borrowed and live as long as it. */
const char *http_request_path(const struct http_request *request);
bool http_request_is_head(const struct http_request *request);
bool http_request_is_post(const struct http_request *request);
/* First value of a query parameter, decoded; "" when it has none or contains a NUL; NULL when absent. */
const char *http_request_query(const struct http_request *request, const char *key);
/* What stands behind the first '?', as it was sent; "" when there is nothing. */
const char *http_request_raw_query(const struct http_request *request);
/* The first parameter that is none of `keys` (ends with NULL); NULL: there is no such one. */
const char *http_request_unknown_query(const struct http_request *request, const char *const *keys);
/* A header's value; NULL when absent. */
const char *http_request_header(const struct http_request *request, const char *name);
/* The body of a POST, with a NUL behind its `*n_out` bytes; "" when there is none. */
const char *http_request_body(const struct http_request *request, size_t *n_out);
/* The process that asks through a unix socket; 0: not known. */
pid_t http_request_peer(const struct http_request *request);
/* True when the client closed its side: nobody waits for the answer any more. */
bool http_request_is_gone(const struct http_request *request);
/* The same, after at most `ms`: returns as soon as the client goes. */
bool http_request_wait_gone(const struct http_request *request, int ms);

/* Adds a header to the coming reply. */
void http_reply_header(struct http_request *request, const char *name, const char *value);
/* Replies with `n` bytes, copied. content_type NULL: none. */
void http_reply(struct http_request *request, unsigned status, const char *content_type,
	const void *body, size_t n);
/* Replies with a file's `n_bytes` from its start as an attachment; takes over and closes `fd`. */
void http_reply_file(struct http_request *request, const char *content_type, const char *name,
	int fd, uint64_t n_bytes);
