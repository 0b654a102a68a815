/* SPDX-License-Identifier: MIT */
/*
 * Profiles derived from a trace, a table row each. A derivation collects numbers by (process, stack) while
 * events pass, and becomes a pprof profile at the end.
 */
#pragma once

#include "viewer/filter.h"
#include "viewer/profile.h"
#include "viewer/thread_run.h"
#include "viewer/trace.h"

struct derivation;
struct derive;

/* What every derivation provides. */
struct derivation {
	const char *name;  /* as in --type=NAME */
	const char *alias; /* other name, as of the live profile; NULL */
	const char *about; /* one line for --help */
	struct profile_value_type types[PROFILE_MAX_VALUES];
	size_t n_types;
	struct profile_value_type period_type;
	const char *default_type; /* what is shown first; NULL: the last one */
	int is_unclipped;	  /* wants the events outside the window too */
	int is_window;		  /* the profile has a duration: that of the window */
	/* State of its own, or NULL. */
	void *(*state_new)(void);
	void (*state_free)(void *state);
	void (*event)(struct derive *derive, struct trace *trace, const struct trace_event *at);
	/* Called after the run; may add samples. NULL: nothing to do. */
	void (*finish)(struct derive *derive, struct trace *trace);
	/* After finish: why there is no such profile of this trace, as a sentence to g_free(); NULL: there is one. */
	char *(*refuse)(const struct derive *derive, const struct trace *trace);
	/* The profile's period; NULL: 1. */
	int64_t (*period)(const struct derive *derive, const struct trace *trace);
};

/* All of them; NULL ends the table. */
extern const struct derivation *const derivations[];
extern const struct derivation derive_sync, derive_net, derive_syscall, derive_alloc, derive_allocs, derive_heap;
extern const struct derivation derive_block, derive_mutex, derive_waker, derive_lock;
extern const struct derivation derive_sched, derive_offcpu, derive_wall, derive_cpu;

/* The derivation called `name`, or NULL. */
const struct derivation *derive_find(const char *name);

/* `filter` is borrowed, ready, and may be NULL. */
struct derive *derive_new(const struct derivation *type, struct filter *filter);
void derive_free(struct derive *derive);
struct trace_pass derive_pass(struct derive *derive);

/* What a derivation adds its values to. Zero what does not apply. */
struct derive_key {
	uint32_t process, stack; /* indices */
	uint32_t labels;	 /* string: a set of labels (label_set.h) */
	uint32_t set;		 /* 0..3: see derive_keep_set() */
	uint64_t bytes;		 /* label `bytes`; not together with labels */
};

/* For derivations: their state, and adding values. */
void *derive_state(const struct derive *derive);
void derive_add(struct derive *derive, const struct derive_key *key, const int64_t *values);

/* Drops all that was added to other sets. */
void derive_keep_set(struct derive *derive, uint32_t set);
int derive_has_set(const struct derive *derive, uint32_t set);

/* Says in the profile, and to who reads the trace's notes, what the numbers rest on. */
void derive_note(struct derive *derive, struct trace *trace, const char *sentence);

/* How much of a wait or call the filter wants; 0: nothing. */
uint64_t derive_dur(struct derive *derive, const struct trace *trace, const struct trace_event *at);
/* Whether it wants this moment. labels NULL: the event has none of its own. */
int derive_moment(struct derive *derive, const struct trace *trace, const struct trace_event *at,
	const char *labels);
/* The same of a moment of any thread, which may be THREAD_NONE, also before the window. */
int derive_live(
	struct derive *derive, const struct trace *trace, uint32_t thread, uint64_t time_ns);
/* How much of the time the thread was there it wants. */
uint64_t derive_presence(struct derive *derive, const struct trace *trace, uint32_t thread);
/* The part of a stay that it wants. */
void derive_off(struct derive *derive, const struct trace *trace, uint32_t thread,
	const struct run_off *off, int64_t *blocked_out, int64_t *runnable_out);

/*
 * Ends the collecting. Call after the run, once, before derive_profile(). Returns NULL, or why there is no such profile of
 * this trace, to g_free().
 */
char *derive_finish(struct derive *derive, struct trace *trace);

/* The profile of what was collected. Owned by the caller. */
struct profile *derive_profile(struct derive *derive, struct trace *trace);
