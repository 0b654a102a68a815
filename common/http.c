/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd in its thread-per-connection mode: a handler may block for as long as a recording takes
 * without holding up anybody else. While a handler runs its connection has no idle limit; the limit is
 * armed again when the reply is queued, so a client that stops reading is dropped.
 */
#include "common/http.h"

#include <errno.h>
#include <glib.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/http_listen.h"

/* Bodies are read and dropped; more than this is refused. */
#define MAX_BODY_BYTES (64u << 10)
#define MAX_HEADERS 8
/* Per connection: request line and headers. */
#define CONNECTION_MEMORY (32u << 10)

struct http_server {
	struct http_socket sock;
	struct http_server_options options;
	struct MHD_Daemon *daemon;
	atomic_uint n_active; /* requests between dispatch and their last byte */
};

struct http_request {
	struct http_server *server;
	struct MHD_Connection *connection;
	char *path, *method; /* owned */
	uint64_t n_body;
	struct {
		const char *name; /* borrowed: a literal */
		char *value;	  /* owned */
	} headers[MAX_HEADERS];
	unsigned n_headers;
	bool is_head, is_replied, is_counted;
	enum MHD_Result queued;
};

const char *http_request_path(const struct http_request *request)
{
	return request->path;
}

bool http_request_is_head(const struct http_request *request)
{
	return request->is_head;
}

const char *http_request_query(const struct http_request *request, const char *key)
{
	const char *value = NULL;
	size_t n = 0;

	if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, key,
		    strlen(key), &value, &n) != MHD_YES)
		return NULL;
	/* What lies behind a %00 would go unseen. */
	return value && strlen(value) == n ? value : "";
}

bool http_request_is_gone(const struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd pfd = { .events = POLLRDHUP };

	if (!info)
		return true;
	pfd.fd = info->connect_fd;
	return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
	if (request->n_headers < MAX_HEADERS) {
		request->headers[request->n_headers].name = name;
		request->headers[request->n_headers++].value = g_strdup(value);
	}
}

static void reply_queue(struct http_request *request, unsigned status,
	struct MHD_Response *response, const char *content_type)
{
	if (!response) {
		request->queued = MHD_NO;
		return;
	}
	if (content_type)
		MHD_add_response_header(response, "Content-Type", content_type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	for (unsigned i = 0; i < request->n_headers; i++)
		MHD_add_response_header(
			response, request->headers[i].name, request->headers[i].value);
	MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT,
		request->server->options.idle_seconds);
	request->queued = MHD_queue_response(request->connection, status, response);
	request->is_replied = true;
	MHD_destroy_response(response);
}

void http_reply(struct http_request *request, unsigned status, const char *content_type,
	const void *body, size_t n)
{
	reply_queue(request, status,
		MHD_create_response_from_buffer(n, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY),
		content_type);
}

void http_reply_file(struct http_request *request, const char *content_type, const char *name,
	int fd, uint64_t n_bytes)
{
	struct MHD_Response *response = MHD_create_response_from_fd64(n_bytes, fd);
	g_autofree char *disposition = g_strdup_printf("attachment; filename=\"%s\"", name);

	if (!response)
		close(fd);
	http_reply_header(request, "Content-Disposition", disposition);
	reply_queue(request, MHD_HTTP_OK, response, content_type);
}

static void refuse(struct http_request *request, unsigned status, const char *sentence)
{
	const struct http_server_options *options = &request->server->options;

	if (options->refuse) {
		options->refuse(request, status, sentence, options->user);
	} else {
		g_autofree char *body = g_strdup_printf("%s\n", sentence);

		http_reply(request, status, "text/plain; charset=utf-8", body, strlen(body));
	}
}

/* True when `host` is `name`, or `name` and a port. */
static bool is_host(const char *host, const char *name)
{
	size_t n = strlen(name);

	if (g_ascii_strncasecmp(host, name, n) != 0)
		return false;
	host += n;
	return *host == '\0' ||
	       (*host == ':' && strspn(host + 1, "0123456789") == strlen(host + 1));
}

/* A Host header that names this server: a loopback name, or the address it listens on. */
static bool is_own_host(const struct http_server *server, const char *host)
{
	return is_host(host, "localhost") || is_host(host, "127.0.0.1") || is_host(host, "[::1]") ||
	       (server->sock.host && is_host(host, server->sock.host));
}

/*
 * A web page anywhere can make the user's browser send requests here. Browsers say so in Origin and
 * Sec-Fetch-Site, and a name that was made to point here (DNS rebinding) stands in Host.
 */
static bool is_foreign(const struct http_request *request)
{
	struct MHD_Connection *connection = request->connection;
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	const char *origin = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin");
	const char *site =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Site");

	if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return true;
	/* A browser cannot reach a unix socket, and clients put anything into Host there. */
	if (request->server->sock.unix_path)
		return origin != NULL;
	if (host && !is_own_host(request->server, host))
		return true;
	if (origin) {
		if (!g_str_has_prefix(origin, "http://") || !host)
			return true;
		/* Same origin means the same port too. */
		return g_ascii_strcasecmp(origin + strlen("http://"), host) != 0;
	}
	return false;
}

static const struct http_route *route_find(const struct http_server *server, const char *path)
{
	const struct http_route *best = NULL;

	for (const struct http_route *route = server->options.routes; route->path; route++) {
		if (strcmp(route->path, path) == 0)
			return route;
		if ((route->flags & HTTP_PREFIX) && g_str_has_prefix(path, route->path) &&
			(!best || strlen(route->path) > strlen(best->path)))
			best = route;
	}
	return best;
}

static unsigned method_bit(const char *method)
{
	if (strcmp(method, "GET") == 0)
		return HTTP_GET;
	if (strcmp(method, "HEAD") == 0)
		return HTTP_HEAD;
	if (strcmp(method, "POST") == 0)
		return HTTP_POST;
	return 0;
}

static void dispatch(struct http_request *request)
{
	const struct http_route *route = route_find(request->server, request->path);

	request->is_head = strcmp(request->method, "HEAD") == 0;
	if (!route) {
		refuse(request, MHD_HTTP_NOT_FOUND,
			"There is no such page here; the page / lists those there are");
		return;
	}
	if (!(route->methods & method_bit(request->method))) {
		GString *allow = g_string_new(NULL);

		if (route->methods & HTTP_GET)
			g_string_append(allow, "GET, ");
		if (route->methods & HTTP_HEAD)
			g_string_append(allow, "HEAD, ");
		if (route->methods & HTTP_POST)
			g_string_append(allow, "POST, ");
		g_string_truncate(allow, allow->len - 2);
		http_reply_header(request, "Allow", allow->str);
		g_string_prepend(allow, "Method not allowed here; use ");
		refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, allow->str);
		g_string_free(allow, TRUE);
		return;
	}
	if ((route->flags & HTTP_GUARDED) && is_foreign(request)) {
		refuse(request, MHD_HTTP_FORBIDDEN,
			"This request comes from a web page or a host name that is not this "
			"recorder's own; open the address that the recorder printed, or use curl");
		return;
	}
	route->handler(request, request->server->options.user);
	if (!request->is_replied)
		refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "The handler gave no answer");
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
	void **con_cls)
{
	struct http_server *server = cls;
	struct http_request *request = *con_cls;

	if (!request) {
		request = g_new0(struct http_request, 1);
		request->server = server;
		request->connection = connection;
		request->path = g_strdup(url);
		request->method = g_strdup(method);
		*con_cls = request;
		return MHD_YES;
	}
	if (*upload_data_size > 0) {
		request->n_body += *upload_data_size;
		*upload_data_size = 0;
		/* A body without end would otherwise be read for ever. */
		return request->n_body > 16u * MAX_BODY_BYTES ? MHD_NO : MHD_YES;
	}
	if (request->is_replied)
		return MHD_YES;
	request->is_counted = true;
	atomic_fetch_add(&server->n_active, 1);
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	if (request->n_body > MAX_BODY_BYTES)
		refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "The request's body is too large");
	else
		dispatch(request);
	return request->queued;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
	enum MHD_RequestTerminationCode toe)
{
	struct http_server *server = cls;
	struct http_request *request = *con_cls;

	if (!request)
		return;
	if (request->is_counted)
		atomic_fetch_sub(&server->n_active, 1);
	for (unsigned i = 0; i < request->n_headers; i++)
		g_free(request->headers[i].value);
	g_free(request->path);
	g_free(request->method);
	g_free(request);
	*con_cls = NULL;
}

/* libmicrohttpd's own messages are about broken clients; nobody can act on them. */
static void on_log(void *cls, const char *format, va_list args)
{
}

int http_listen(const char *address, struct http_server **server_out, char **why_out)
{
	struct http_server *server = g_new0(struct http_server, 1);
	int err = http_socket_open(address, &server->sock, why_out);

	if (err) {
		g_free(server);
		return err;
	}
	*server_out = server;
	return 0;
}

int http_server_start(struct http_server *server, const struct http_server_options *options)
{
	server->options = *options;
	server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD |
						  MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
						  MHD_USE_ITC | MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, server->sock.fd, MHD_OPTION_CONNECTION_LIMIT,
		options->max_connections, MHD_OPTION_CONNECTION_TIMEOUT, options->idle_seconds,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
	if (!server->daemon)
		return errno ? -errno : -EIO;
	return 0;
}

const char *http_server_url(const struct http_server *server)
{
	return server->sock.url;
}

unsigned http_server_port(const struct http_server *server)
{
	return server->sock.port;
}

void http_server_free(struct http_server *server, unsigned drain_ms)
{
	if (!server)
		return;
	if (server->daemon) {
		/* The listening socket is ours again, and closed below. */
		MHD_quiesce_daemon(server->daemon);
		for (unsigned ms = 0; ms < drain_ms && atomic_load(&server->n_active); ms += 5)
			g_usleep(5000);
		MHD_stop_daemon(server->daemon);
	}
	http_socket_close(&server->sock);
	g_free(server);
}
