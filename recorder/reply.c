/* SPDX-License-Identifier: MIT */
#include "recorder/reply.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/units.h"

#define JSON_TYPE "application/json"

static void reply_json(struct http_request *request, unsigned status, json_t *body)
{
	char *text = json_dumps(body, JSON_INDENT(2));
	g_autofree char *line = g_strdup_printf("%s\n", text ? text : "{}");

	http_reply_header(request, "Cache-Control", "no-store");
	http_reply(request, status, JSON_TYPE, line, strlen(line));
	free(text);
	json_decref(body);
}

void reply_data(struct http_request *request, json_t *data)
{
	reply_json(request, 200,
		json_pack("{s:s, s:s, s:b, s:o}", "errorCode", "", "msg", "", "error", 0, "data",
			data));
}

void reply_error(
	struct http_request *request, unsigned status, const char *code, const char *sentence)
{
	reply_json(request, status,
		json_pack("{s:s, s:o, s:b, s:n}", "errorCode", code, "msg", reply_string(sentence),
			"error", 1, "data"));
}

static const struct {
	unsigned status;
	const char *code;
} error_table[] = {
	[RECORDING_E_BUSY] = { 409, "FLIGHT_RECORDER_RUNNING" },
	[RECORDING_E_IDLE] = { 409, "FLIGHT_RECORDER_NOT_RUNNING" },
	[RECORDING_E_UNTRACED] = { 503, "NOT_TRACED" },
	[RECORDING_E_OVER] = { 503, "PROGRAM_ENDED" },
	[RECORDING_E_DISK] = { 503, "DISK_FULL" },
	[RECORDING_E_FAILED] = { 500, "RECORDING_FAILED" },
	[RECORDING_E_TIMEOUT] = { 500, "TIMEOUT" },
	[RECORDING_E_SNAPSHOT] = { 429, "SNAPSHOT_RUNNING" },
};

unsigned reply_status_of(int error)
{
	return error_table[error].status;
}

void reply_recording_error(struct http_request *request, int error, const char *sentence)
{
	if (error == RECORDING_E_SNAPSHOT)
		http_reply_header(request, "Retry-After", "1");
	reply_error(request, error_table[error].status, error_table[error].code, sentence);
}

void reply_pprof_error(struct http_request *request, unsigned status, const char *sentence)
{
	g_autofree char *body = g_strdup_printf("%s\n", sentence);

	http_reply_header(request, "X-Go-Pprof", "1");
	http_reply(request, status, "text/plain; charset=utf-8", body, strlen(body));
}

char *reply_time(int64_t real_ns)
{
	time_t seconds = (time_t)(real_ns / 1000000000);
	struct tm tm;
	char stamp[32];

	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	return g_strdup_printf("%s.%03dZ", stamp, (int)(real_ns / 1000000 % 1000));
}

json_t *reply_string(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	return json_string(valid);
}

static void set_duration(json_t *object, const char *key, uint64_t ns)
{
	char text[64];

	units_duration_format((int64_t)ns, text, sizeof(text));
	json_object_set_new(object, key, json_string(text));
}

json_t *reply_info(const struct recording_info *info)
{
	g_autofree char *begin = reply_time(info->begin_real_ns);
	bool is_over = info->is_snapshot || info->state == SESSION_IDLE;
	json_t *object = json_object();

	json_object_set_new(object, "kind",
		json_string(info->is_snapshot ? "snapshot" : session_kind_name(info->kind)));
	if (!info->is_snapshot)
		json_object_set_new(object, "id", json_integer((json_int_t)info->id));
	/* No file: it is the body of a reply, or it could not be written. */
	json_object_set_new(object, "file", info->file[0] ? reply_string(info->file) : json_null());
	json_object_set_new(object, "started_at", json_string(begin));
	if (info->duration_ns) {
		g_autofree char *end = reply_time(info->begin_real_ns + (int64_t)info->duration_ns);

		set_duration(object, "duration", info->duration_ns);
		json_object_set_new(object, "ends_at", json_string(end));
	}
	if (!is_over) {
		json_object_set_new(
			object, "bytes_on_disk", json_integer((json_int_t)info->raw_bytes));
		return object;
	}
	set_duration(object, "window", info->covered_ns);
	json_object_set_new(object, "bytes", json_integer((json_int_t)info->n_bytes));
	json_object_set_new(object, "bytes_raw", json_integer((json_int_t)info->raw_bytes));
	if (!info->is_snapshot)
		json_object_set_new(
			object, "end_reason", json_string(session_end_name(info->end_reason)));
	json_object_set_new(object, "lost",
		json_pack("{s:I, s:I}", "events", (json_int_t)info->lost_events, "packets",
			(json_int_t)info->lost_packets));
	json_object_set_new(
		object, "note", info->names[0] ? reply_string(info->names) : json_null());
	json_object_set_new(object, "error", reply_string(info->error));
	return object;
}
