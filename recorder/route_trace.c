/* SPDX-License-Identifier: MIT */
/* Timed runs, snapshots and traces in the response. */
#include "recorder/routes.h"

#include <errno.h>
#include <glib.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/units.h"
#include "proto/schema.h"
#include "recorder/procfs.h"
#include "recorder/reply.h"

#define MAX_RUN_NS (30ll * 60 * 1000000000)
#define MAX_TRACE_SECONDS 1800.0
/* How soon a client that went away is noticed. */
#define POLL_MS 50

#define EXPECTED "; expected ?duration= with a Go duration such as 30s, 1m30s or 500ms"

/* Checks ?duration=; replies and returns false when it is not usable. */
static bool read_duration(struct http_request *request, int64_t *ns_out)
{
	const char *text = http_request_query(request, "duration");
	g_autofree char *shown = text ? g_strndup(text, 64) : NULL;
	g_autofree char *sentence = NULL;
	int err = text && *text ? units_duration_parse(text, ns_out) : 0;

	if (!text || !*text)
		sentence = g_strdup("The duration is missing" EXPECTED);
	else if (err == -EINVAL)
		sentence = g_strdup_printf("Invalid duration expression \"%s\"" EXPECTED, shown);
	else if (err == -ERANGE || *ns_out > MAX_RUN_NS)
		sentence =
			g_strdup("Flight recording cannot proceed for over 30 min; ask for at most "
				 "duration=30m");
	else if (*ns_out <= 0)
		sentence = g_strdup_printf(
			"The duration must be above zero, got \"%s\"" EXPECTED, shown);
	if (!sentence)
		return true;
	reply_error(request, 400, "ILLEGAL_ARGUMENT", sentence);
	return false;
}

void route_run(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	g_autofree char *why = NULL;
	struct recording_info info;
	int64_t ns = 0;
	int rc;

	if (!read_duration(request, &ns) ||
		route_is_too_long(request, context->options, (uint64_t)ns))
		return;
	rc = recording_start(context->recording, SESSION_RUN, (uint64_t)ns, NULL, &info, &why);
	if (rc)
		reply_recording_error(request, rc, why);
	else
		reply_data(request, reply_info(&info));
}

void route_stop(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	g_autofree char *why = NULL;
	struct recording_info info;
	int rc = recording_stop(context->recording, &info, &why);

	if (rc)
		reply_recording_error(request, rc, why);
	else
		reply_data(request, reply_info(&info));
}

/* Sends a file that has no name any more; takes over `fd`. */
static void send_file(struct http_request *request, const char *name, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		close(fd);
		reply_error(request, 500, "INTERNAL", "The trace could not be read back");
		return;
	}
	http_reply_file(request, "application/octet-stream", name, fd, (uint64_t)st.st_size);
}

void route_snapshot(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	const char *download = http_request_query(request, "download");
	bool is_download = download && strcmp(download, "0") != 0;
	g_autofree char *why = NULL;
	const char *reason = http_request_query(request, "reason");
	const struct trace_trigger trigger = {
		.kind = FR_TRIGGER_ASKED,
		.reason = reason,
		.time_ns = procfs_now(),
	};
	struct recording_info info;
	int fd = -1;
	struct recording_snapshot_request wanted = {
		.trigger = reason && *reason ? &trigger : NULL,
		.fd_out = is_download ? &fd : NULL,
		.has_names = true,
	};
	int rc = recording_snapshot(context->recording, &wanted, &info, &why);

	if (rc)
		reply_recording_error(request, rc, why);
	else if (is_download)
		send_file(request, "trace.out", fd);
	else
		reply_data(request, reply_info(&info));
}

/* Go's rule: what is missing, not positive or not a number means 1 s. */
static uint64_t read_seconds(struct http_request *request)
{
	const char *text = http_request_query(request, "seconds");
	char *end = NULL;
	double seconds = text && *text ? g_ascii_strtod(text, &end) : 1;

	if ((end && *end != '\0') || !isfinite(seconds) || seconds <= 0)
		seconds = 1;
	return (uint64_t)(seconds * 1e9) ? (uint64_t)(MIN(seconds, MAX_TRACE_SECONDS + 1) * 1e9)
					 : 1;
}

bool route_follow_recording(
	struct http_request *request, struct routes_context *context, struct recording_info *info)
{
	uint64_t id = info->id;
	bool is_gone = false;

	while (recording_wait(context->recording, id, POLL_MS, info) == RECORDING_E_TIMEOUT) {
		if (!is_gone && http_request_is_gone(request)) {
			is_gone = true;
			recording_end(context->recording, id, SESSION_END_DISCONNECT);
		}
	}
	return !is_gone;
}

void route_pprof_trace(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	uint64_t ns = read_seconds(request);
	g_autofree char *why = NULL;
	struct recording_info info = { 0 };
	int fd, rc;

	if (route_is_too_long(request, context->options, ns))
		return;
	if (ns > (uint64_t)MAX_RUN_NS) {
		reply_pprof_error(request, 400,
			"A trace cannot take over 30 min; ask for at most seconds=1800");
		return;
	}
	rc = recording_start(context->recording, SESSION_PPROF, ns, NULL, &info, &why);
	if (rc == RECORDING_E_BUSY) {
		/* Go's words, which its users and tools know. */
		reply_pprof_error(
			request, 500, "Could not enable tracing: execution tracer already enabled");
		return;
	}
	if (rc) {
		g_autofree char *sentence = g_strdup_printf("Could not enable tracing: %s", why);

		reply_pprof_error(request, reply_status_of(rc), sentence);
		return;
	}
	if (!route_follow_recording(request, context, &info)) {
		reply_pprof_error(request, 500, "The client went away");
		return;
	}
	fd = recording_take_file(context->recording, info.id);
	if (fd < 0)
		reply_pprof_error(
			request, 500, info.error[0] ? info.error : "The trace is not there");
	else
		send_file(request, "trace", fd);
}
