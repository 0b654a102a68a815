/* SPDX-License-Identifier: MIT */
/* Settings from a YAML file: nested keys or dotted ones, `http: {address: …}` or `http.address: …`. */
#pragma once

#include "recorder/options.h"

/*
 * Sets what the file says and the command line does not (options->is_given). Returns 0, or -EINVAL or another -errno with
 * one sentence in *why_out (g_free) that begins with the file, and the line where there is one.
 */
int config_load(const char *path, struct options *options, char **why_out);

/* The same for a text; `name` stands for the file in sentences. */
int config_parse(
	const char *name, const char *text, size_t n, struct options *options, char **why_out);
