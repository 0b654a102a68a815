/* SPDX-License-Identifier: MIT */
/* The web page of an opened trace, on loopback only. */
#pragma once

#include "viewer/index_store.h"

struct serve;

/*
 * Listens on `address` ("127.0.0.1:0" takes a free port) and answers from threads of its own. `indexed` and `path` (of the
 * trace, for derived profiles) are borrowed until serve_stop(). Returns 0, or -errno with a sentence in *why_out (g_free).
 */
int serve_start(const char *address, const struct indexed *indexed, const char *path,
	struct serve **serve_out, char **why_out);
void serve_stop(struct serve *serve);

/* "http://127.0.0.1:41234/"; borrowed. */
const char *serve_url(const struct serve *serve);
