/* SPDX-License-Identifier: MIT */
/* Stacks of a trace as locations of a profile: mappings, call addresses, pseudo frames. */
#pragma once

#include "viewer/profile.h"
#include "viewer/trace.h"

struct profile_trace;

/*
 * `main_process` is the one whose program becomes the profile's first mapping. Profile and trace are borrowed
 * until profile_trace_free(). Add no mappings to the profile otherwise.
 */
struct profile_trace *profile_trace_new(
	struct profile *profile, struct trace *trace, uint32_t main_process);
void profile_trace_free(struct profile_trace *places);

/*
 * Sets `locations` (uint64_t) to the location ids of a stack (an index), leaf first; a bracketed pseudo frame
 * where it has none, so that its values are not lost.
 */
void profile_trace_stack(struct profile_trace *places, uint32_t stack, GArray *locations);
