/* SPDX-License-Identifier: MIT */
#include "recorder/routes.h"

#include <glib.h>
#include <string.h>

#include "common/units.h"
#include "recorder/reply.h"

/* HEAD would start or end something and show nothing: the recorder answers GET only. Of profiles it runs all, as in Go. */
static const struct http_route route_table[] = {
	{ "/", HTTP_GET | HTTP_HEAD, 0, route_index },
	/* Probes of orchestrators carry no token; it says that the program lives, and how many threads it has. */
	{ "/healthz", HTTP_GET | HTTP_HEAD, HTTP_OPEN, route_healthz },
	{ "/metrics", HTTP_GET | HTTP_HEAD, HTTP_GUARDED, route_metrics },
	{ "/debug/flightrec/rates", HTTP_GET | HTTP_HEAD | HTTP_POST, HTTP_GUARDED, route_rates },
	{ "/debug/flightrec/cpu/start", HTTP_POST, HTTP_GUARDED, route_cpu_start },
	{ "/debug/flightrec/cpu/stop", HTTP_POST, HTTP_GUARDED, route_cpu_stop },
	{ "/debug/flightrec/trace/start", HTTP_POST, HTTP_GUARDED, route_trace_start },
	{ "/debug/flightrec/trace/stop", HTTP_POST, HTTP_GUARDED, route_trace_stop },
	{ "/debug/trace/status", HTTP_GET | HTTP_HEAD, HTTP_GUARDED, route_status },
	{ "/debug/trace/recorder/run", HTTP_GET, HTTP_GUARDED, route_run },
	{ "/debug/trace/recorder/stop", HTTP_GET, HTTP_GUARDED, route_stop },
	{ "/debug/trace/recorder/snapshot", HTTP_GET, HTTP_GUARDED, route_snapshot },
	{ "/debug/pprof/trace", HTTP_GET | HTTP_HEAD, HTTP_GUARDED, route_pprof_trace },
	{ "/debug/pprof/profile", HTTP_GET | HTTP_HEAD, HTTP_GUARDED, route_pprof_profile },
	{ "/debug/pprof/symbol", HTTP_GET | HTTP_HEAD | HTTP_POST, HTTP_GUARDED,
		route_pprof_symbol },
	{ "/debug/pprof/cmdline", HTTP_GET | HTTP_HEAD, HTTP_GUARDED, route_pprof_cmdline },
	{ "/debug/pprof", HTTP_GET | HTTP_HEAD, HTTP_GUARDED, route_pprof_redirect },
	{ "/debug/pprof/", HTTP_GET | HTTP_HEAD | HTTP_POST,
		HTTP_GUARDED | HTTP_PREFIX | HTTP_SOME_POST, route_pprof },
	{ 0 },
};

#define PPROF "/debug/pprof/"

static bool is_pprof(const struct http_request *request)
{
	return strncmp(http_request_path(request), PPROF, strlen(PPROF)) == 0;
}

bool route_is_too_long(struct http_request *request, const struct options *options, uint64_t ns)
{
	char limit[64];
	g_autofree char *sentence = NULL;

	if (!options->max_duration_ns || ns <= options->max_duration_ns)
		return false;
	if (is_pprof(request)) {
		reply_pprof_error(request, 400, "profile duration exceeds server's WriteTimeout");
		return true;
	}
	units_duration_format((int64_t)options->max_duration_ns, limit, sizeof(limit));
	sentence = g_strdup_printf(
		"The recorder was started with --max-duration %s; ask for at most that", limit);
	reply_error(request, 400, "ILLEGAL_ARGUMENT", sentence);
	return true;
}

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
	if (is_pprof(request))
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
		.idle_seconds = (unsigned)(context->options->idle_ns / 1000000000),
	};
}
