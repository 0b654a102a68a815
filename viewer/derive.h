/* SPDX-License-Identifier: MIT */
/*
 * Profiles derived from a trace, a table row and a file each. A derivation collects numbers by (process,
 * stack) while events pass, and becomes a pprof profile at the end.
 */
#pragma once

#include "viewer/profile.h"
#include "viewer/trace.h"

struct derivation;
struct derive;

/* What every derivation provides. */
struct derivation {
	const char *name;  /* as in --type=NAME */
	const char *about; /* one line for --help */
	struct profile_value_type types[PROFILE_MAX_VALUES];
	size_t n_types;
	struct profile_value_type period_type;
	/* State of its own, or NULL. */
	void *(*state_new)(void);
	void (*state_free)(void *state);
	void (*event)(struct derive *derive, struct trace *trace, const struct trace_event *at);
	/* Called after the run; may add samples. NULL: nothing to do. */
	void (*finish)(struct derive *derive, struct trace *trace);
	/* The profile's period; NULL: 1. */
	int64_t (*period)(const struct derive *derive, const struct trace *trace);
};

/* All of them; NULL ends the table. */
extern const struct derivation *const derivations[];
extern const struct derivation derive_sync, derive_net, derive_syscall, derive_alloc;

/* The derivation called `name`, or NULL. */
const struct derivation *derive_find(const char *name);

struct derive *derive_new(const struct derivation *type);
void derive_free(struct derive *derive);
struct trace_pass derive_pass(struct derive *derive);

/* For derivations: their state, and adding values to (process, stack, bytes), indices. bytes 0: no label. */
void *derive_state(const struct derive *derive);
void derive_add(struct derive *derive, uint32_t process, uint32_t stack, uint64_t bytes,
	const int64_t *values);

/* The profile of what was collected. Call after the run, once. Owned by the caller. */
struct profile *derive_profile(struct derive *derive, struct trace *trace);
