/* SPDX-License-Identifier: MIT */
/* Bodies of replies: JSON with the recorder's four keys, and text as Go's pprof handlers write it. */
#pragma once

#include <stdint.h>

#include <jansson.h>

#include "common/http.h"
#include "recorder/recording.h"

/* 200 with {"errorCode":"","msg":"","error":false,"data":DATA}; takes over `data`. */
void reply_data(struct http_request *request, json_t *data);

/* A refusal with the same keys, error true and data null. */
void reply_error(
	struct http_request *request, unsigned status, const char *code, const char *sentence);

/* A refusal by the recording: status and errorCode that belong to a RECORDING_E_*. */
void reply_recording_error(struct http_request *request, int error, const char *sentence);

/* An error of a /debug/pprof/ handler: text/plain, X-Go-Pprof: 1, the sentence and a newline. */
void reply_pprof_error(struct http_request *request, unsigned status, const char *sentence);

/* Status for a RECORDING_E_*. */
unsigned reply_status_of(int error);

/* 2024-01-31T23:59:59.123Z for ns since 1970, to g_free(). */
char *reply_time(int64_t real_ns);

/* A JSON string; bytes that are no UTF-8, which names of files may have, are replaced. */
json_t *reply_string(const char *text);

/* The JSON object for one recording or snapshot. */
json_t *reply_info(const struct recording_info *info);
