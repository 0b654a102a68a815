/* SPDX-License-Identifier: MIT */
#include "recorder/routes.h"

#include <string.h>

#include "recorder/reply.h"

#define MAX_CONNECTIONS 64
#define IDLE_SECONDS 15

/* HEAD would start or end something and show nothing: such routes answer GET only. */
static const struct http_route route_table[] = {
	{ "/", HTTP_GET | HTTP_HEAD, 0, route_index },
	{ "/healthz", HTTP_GET | HTTP_HEAD, 0, route_healthz },
	{ "/debug/trace/status", HTTP_GET | HTTP_HEAD, 0, route_status },
	{ "/debug/trace/recorder/run", HTTP_GET, HTTP_GUARDED, route_run },
	{ "/debug/trace/recorder/stop", HTTP_GET, HTTP_GUARDED, route_stop },
	{ "/debug/trace/recorder/snapshot", HTTP_GET, HTTP_GUARDED, route_snapshot },
	{ "/debug/pprof/trace", HTTP_GET, HTTP_GUARDED, route_pprof_trace },
	{ "/debug/pprof/", HTTP_GET | HTTP_HEAD, HTTP_PREFIX, route_pprof_unknown },
	{ 0 },
};

/* Refusals of the server itself, in the form of the part they belong to. */
static void refuse(struct http_request *request, unsigned status, const char *sentence, void *user)
{
	static const struct {
		unsigned status;
		const char *code;
	} codes[] = {
		{ 403, "FOREIGN_REQUEST" },
		{ 404, "NOT_FOUND" },
		{ 405, "METHOD_NOT_ALLOWED" },
		{ 413, "BODY_TOO_LARGE" },
	};
	const char *code = "INTERNAL";

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].status == status)
			code = codes[i].code;
	}
	if (strncmp(http_request_path(request), "/debug/pprof/", strlen("/debug/pprof/")) == 0)
		reply_pprof_error(request, status, sentence);
	else
		reply_error(request, status, code, sentence);
}

void routes_fill(struct http_server_options *options_out, struct routes_context *context)
{
	*options_out = (struct http_server_options){
		.routes = route_table,
		.refuse = refuse,
		.user = context,
		.max_connections = MAX_CONNECTIONS,
		.idle_seconds = IDLE_SECONDS,
	};
}
