/* SPDX-License-Identifier: MIT */
/*
 * Events as text, so that tests of the viewer read like a story: one per line,
 *
 *     TIME TID EVENT field=value ...
 *
 * TIME in ns (suffixes us, ms, s), EVENT with or without its provider ("wait"; definitions as "state:stack"), fields
 * by their names in proto/schema.md, `proc` 1 unless given, enumerations by name, strings bare or "quoted", frames as
 * frames=0x10,0x20. `#` begins a comment.
 */
#pragma once

#include <glib.h>

#include "viewer/event.h"

/* An event that owns what it points to, through `owned`. */
struct event_text {
	struct event event;
	GPtrArray *owned;
};

/* Parses one line. Returns 1, 0 for an empty line or comment; aborts with the line on a mistake. */
int event_text_parse(const char *line, struct event_text *out);
void event_text_fini(struct event_text *text);
