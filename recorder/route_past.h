/* SPDX-License-Identifier: MIT */
/* Profiles derived from the flight recorder, and ?seconds=-N: the last N seconds of a profile. */
#pragma once

#include <stdbool.h>

#include "recorder/routes.h"

/* What is counted, but not recorded. */
enum past_lack {
	PAST_LACKS_NOTHING = 0,
	PAST_LACKS_WAITS, /* shorter than --lock-threshold */
	PAST_LACKS_CALLS, /* shorter than --syscall-threshold, in the flight recorder than its own threshold, too */
};

/* One profile that is derived. */
struct past_kind {
	const char *name; /* in the URL */
	const char *type; /* of trace-view pprof */
	const char *
		about; /* for the index page; NULL: it is one of the sampled profiles, too, whose past this is */
	enum past_lack lack;
	bool needs_switches; /* from records of the kernel's scheduler */
};

/* All of them; ends with a NULL name. */
extern const struct past_kind past_kinds[];

/*
 * Answers a request for the profile `name` when it is derived or about the past: true. False: it is not, and nothing has
 * been answered.
 */
bool route_past(struct http_request *request, struct routes_context *context, const char *name);

/* The CPU profile of the last `asked_ns`, of the samples that are always taken. */
void route_past_cpu(
	struct http_request *request, struct routes_context *context, uint64_t asked_ns);
