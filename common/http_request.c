/* SPDX-License-Identifier: MIT */
/* What handlers ask about a request, and how they answer it. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/http_internal.h"

const char *http_request_path(const struct http_request *request)
{
	return request->path;
}

bool http_request_is_head(const struct http_request *request)
{
	return request->is_head;
}

bool http_request_is_post(const struct http_request *request)
{
	return request->is_post;
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

const char *http_request_raw_query(const struct http_request *request)
{
	const char *mark = strchr(request->uri, '?');

	return mark ? mark + 1 : "";
}

/* A walk over the query's keys. */
struct unknown_key {
	const char *const *keys;
	const char *found;
};

static enum MHD_Result look_at_key(
	void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct unknown_key *unknown = cls;

	if (g_strv_contains(unknown->keys, key))
		return MHD_YES;
	unknown->found = key;
	return MHD_NO;
}

const char *http_request_unknown_query(const struct http_request *request, const char *const *keys)
{
	struct unknown_key unknown = { .keys = keys };

	MHD_get_connection_values(
		request->connection, MHD_GET_ARGUMENT_KIND, look_at_key, &unknown);
	return unknown.found;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_request_body(const struct http_request *request, size_t *n_out)
{
	*n_out = request->body ? request->body->len : 0;
	return request->body ? request->body->str : "";
}

bool http_request_is_gone(const struct http_request *request)
{
	return http_request_wait_gone(request, 0);
}

bool http_request_wait_gone(const struct http_request *request, int ms)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd pfd = { .events = POLLRDHUP };

	if (!info)
		return true;
	pfd.fd = info->connect_fd;
	return poll(&pfd, 1, ms) > 0 && (pfd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

bool http_request_is_ending(const struct http_request *request)
{
	return atomic_load(&request->server->is_ending);
}

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
	if (request->n_headers < HTTP_MAX_HEADERS) {
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
	if (status < 300 || status >= 400)
		MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
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
