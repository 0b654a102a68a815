/* SPDX-License-Identifier: MIT */
/* The index of a trace written as text (event_text.h). */
#pragma once

#include <sys/mman.h>

#include "fixture_trace.h"
#include "viewer/index.h"

/* Indexes what `events` say of a trace that knows where its window begins; with `has_definitions` they are among the lines. */
static inline struct index *index_fixture(
	struct trace *trace, const char *events, int has_definitions)
{
	struct index_builder *builder =
		index_builder_new(trace, memfd_create("index", MFD_CLOEXEC));
	struct trace_pass pass = index_builder_pass(builder);

	if (has_definitions)
		fixture_run(trace, events, &pass, 1);
	else
		fixture_feed(trace, events, &pass, 1);
	return index_builder_finish(builder, NULL);
}
