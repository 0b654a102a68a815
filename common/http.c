/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd in its thread-per-connection mode: a handler may block for as long as a recording takes
 * without holding up anybody else. While a handler runs its connection has no idle limit; the limit is
 * armed again when the reply is queued, so a client that stops reading is dropped.
 */
#include "common/http.h"

#include <errno.h>
#include <string.h>

#include "common/http_internal.h"

#define DEFAULT_BODY_BYTES (1u << 20)
#define DEFAULT_REQUEST_SECONDS 30
/* Per connection: request line and headers. */
#define CONNECTION_MEMORY (32u << 10)

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

/* Doubled slashes and dots lead to the path that is meant, as in Go. True when that was the answer. */
static bool redirect(struct http_request *request)
{
	const char *path = request->path, *query = http_request_raw_query(request);
	g_autofree char *clean = NULL, *escaped = NULL, *location = NULL;

	if (!strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../"))
		return false;
	clean = g_canonicalize_filename(path, "/");
	/* Canonical names have no slash at the end, pages may. */
	if (g_str_has_suffix(path, "/") && strcmp(clean, "/") != 0) {
		char *longer = g_strconcat(clean, "/", NULL);

		g_free(clean);
		clean = longer;
	}
	/* Two slashes at the start, which the function above keeps, would name another host. */
	escaped = g_uri_escape_string(clean + strspn(clean, "/"), "/:@!$&'()*+,;=", FALSE);
	location = g_strdup_printf("/%s%s%s", escaped, *query ? "?" : "", query);
	http_reply_header(request, "Location", location);
	http_reply(request, MHD_HTTP_MOVED_PERMANENTLY, NULL, "", 0);
	return true;
}

static void refuse_method(struct http_request *request)
{
	g_autoptr(GString) allow = g_string_new(NULL);

	if (request->route->methods & HTTP_GET)
		g_string_append(allow, "GET, ");
	if (request->route->methods & HTTP_HEAD)
		g_string_append(allow, "HEAD, ");
	if ((request->route->methods & HTTP_POST) && !(request->route->flags & HTTP_SOME_POST))
		g_string_append(allow, "POST, ");
	g_string_truncate(allow, allow->len - 2);
	http_reply_header(request, "Allow", allow->str);
	g_string_prepend(allow, "Method not allowed here; use ");
	refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, allow->str);
}

static void dispatch(struct http_request *request)
{
	const struct http_route *route = request->route;

	if (!http_access_has_token(request)) {
		/* Says nothing about what is here. */
		http_reply_header(request, "WWW-Authenticate", "Bearer realm=\"flightrec\"");
		http_reply(request, MHD_HTTP_UNAUTHORIZED, NULL, "", 0);
	} else if (!http_access_is_peer(request)) {
		refuse(request, MHD_HTTP_FORBIDDEN,
			"This socket is for the traced program and its children only");
	} else if (!http_access_is_own_host(request)) {
		refuse(request, MHD_HTTP_FORBIDDEN,
			"The request's Host is not a name of this machine's loopback address; open "
			"the address that the recorder printed, or use curl");
	} else if (request->n_body > request->server->options.max_body_bytes) {
		refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "The request's body is too large");
	} else if (redirect(request)) {
		return;
	} else if (!route) {
		refuse(request, MHD_HTTP_NOT_FOUND,
			"There is no such page here; the page / lists those there are");
	} else if (!(route->methods & method_bit(request->method))) {
		refuse_method(request);
	} else if ((route->flags & HTTP_GUARDED) && http_access_is_cross_site(request)) {
		refuse(request, MHD_HTTP_FORBIDDEN,
			"This request comes from a web page that is not this recorder's own; open "
			"the address that the recorder printed, or use curl");
	} else {
		route->handler(request, request->server->options.user);
		if (!request->is_replied)
			refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR,
				"The handler gave no answer");
	}
}

/* The first thing that libmicrohttpd tells about a request; what is returned is its *con_cls. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct http_request *request = g_new0(struct http_request, 1);

	request->server = cls;
	request->uri = g_strdup(uri);
	return request;
}

/* A path ends at a NUL once it is decoded, so that one with a NUL in it would pass for another. */
static bool has_nul(const char *uri)
{
	const char *nul = strstr(uri, "%00");

	return nul && nul < uri + strcspn(uri, "?");
}

/* Its headers are there. */
static void request_begin(struct http_request *request, struct MHD_Connection *connection,
	const char *path, const char *method)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	request->is_started = true;
	request->connection = connection;
	request->own_connection = info ? info->socket_context : NULL;
	request->path = g_strdup(path);
	request->method = g_strdup(method);
	request->is_head = strcmp(method, "HEAD") == 0;
	request->is_post = strcmp(method, "POST") == 0;
	request->route = has_nul(request->uri) ? NULL : route_find(request->server, path);
	/* Others' bodies are read and dropped. */
	if (request->is_post && request->route && (request->route->methods & HTTP_POST) &&
		http_access_has_token(request))
		request->body = g_string_new(NULL);
}

/* False: the connection is to be closed. */
static bool take_body(struct http_request *request, const char *data, size_t n)
{
	size_t max = request->server->options.max_body_bytes;

	request->n_body += n;
	if (request->body && request->n_body <= max)
		g_string_append_len(request->body, data, (gssize)n);
	/*
	 * What is too large is read on a little: a client that is still sending would not see the answer. A body
	 * without end would be read for ever.
	 */
	return request->n_body <= 16u * max;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
	void **con_cls)
{
	struct http_server *server = cls;
	struct http_request *request = *con_cls;

	if (!request->is_started) {
		request_begin(request, connection, url, method);
		return MHD_YES;
	}
	if (*upload_data_size > 0) {
		bool is_fine = take_body(request, upload_data, *upload_data_size);

		*upload_data_size = 0;
		return is_fine ? MHD_YES : MHD_NO;
	}
	if (request->is_replied)
		return MHD_YES;
	request->is_counted = true;
	atomic_fetch_add(&server->n_active, 1);
	if (request->own_connection)
		http_deadline_met(&server->deadline, request->own_connection);
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
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
	if (request->own_connection)
		http_deadline_again(&server->deadline, request->own_connection);
	for (unsigned i = 0; i < request->n_headers; i++)
		g_free(request->headers[i].value);
	if (request->body)
		g_string_free(request->body, TRUE);
	g_free(request->path);
	g_free(request->method);
	g_free(request->uri);
	g_free(request);
	*con_cls = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = cls;
	const union MHD_ConnectionInfo *info;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context)
			http_deadline_close(&server->deadline, *socket_context);
		*socket_context = NULL;
		return;
	}
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info)
		*socket_context = http_deadline_open(&server->deadline, info->connect_fd);
}

/* libmicrohttpd's own messages are about broken clients; nobody can act on them. */
static void on_log(void *cls, const char *format, va_list args)
{
}

int http_listen(const char *address, const struct http_listen_options *options,
	struct http_server **server_out, char **why_out)
{
	static const struct http_listen_options none;
	struct http_server *server = g_new0(struct http_server, 1);
	int err;

	if (!options)
		options = &none;
	err = http_socket_open(address, options, &server->sock, why_out);
	if (err) {
		g_free(server);
		return err;
	}
	server->tls = options->tls;
	*server_out = server;
	return 0;
}

static void start_daemon(struct http_server *server)
{
	const struct http_server_options *options = &server->options;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
			 MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_END, 0, NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)http_tls_priorities },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (server->tls) {
		flags |= MHD_USE_TLS;
		tls[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls->cert };
		tls[1].ptr_value = server->tls->key;
	}
	server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, server->sock.fd,
		MHD_OPTION_CONNECTION_LIMIT, options->max_connections,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		server->sock.unix_path ? 0 : options->max_per_address,
		MHD_OPTION_CONNECTION_TIMEOUT, options->idle_seconds,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, server, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
		MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

int http_server_start(struct http_server *server, const struct http_server_options *options)
{
	int err;

	server->options = *options;
	if (!server->options.max_body_bytes)
		server->options.max_body_bytes = DEFAULT_BODY_BYTES;
	http_access_set(server, options->bearer);
	server->options.bearer = NULL;
	err = http_deadline_start(&server->deadline,
		options->request_seconds ? options->request_seconds : DEFAULT_REQUEST_SECONDS);
	if (err)
		return err;
	errno = 0;
	start_daemon(server);
	if (server->daemon)
		return 0;
	err = errno ? -errno : -EIO;
	http_deadline_stop(&server->deadline);
	return err;
}

const char *http_server_url(const struct http_server *server)
{
	return server->sock.url;
}

unsigned http_server_port(const struct http_server *server)
{
	return server->sock.port;
}

bool http_server_is_remote(const struct http_server *server)
{
	return server->sock.is_remote;
}

void http_server_free(struct http_server *server, unsigned drain_ms)
{
	if (!server)
		return;
	if (server->daemon) {
		/* The listening socket is ours again, and closed below. */
		MHD_quiesce_daemon(server->daemon);
		atomic_store(&server->is_ending, true);
		for (unsigned ms = 0; ms < drain_ms && atomic_load(&server->n_active); ms += 5)
			g_usleep(5000);
		MHD_stop_daemon(server->daemon);
		http_deadline_stop(&server->deadline);
	}
	http_socket_close(&server->sock);
	g_free(server);
}
