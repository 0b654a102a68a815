/* SPDX-License-Identifier: MIT */
/* A derived profile of the trace that is served, for download. */
#pragma once

#include "common/http.h"

/*
 * Answers with the profile that the request's `type`, `from` and `to` (ns since the window's begin) name, made from
 * the trace at `path` by a process of its own: what goes wrong there cannot end the page.
 */
void serve_pprof(struct http_request *request, const char *path);
