/* SPDX-License-Identifier: MIT */
/* Lock waits, by lock and by who waited for whom. */
#pragma once

#include "viewer/trace.h"

/* Locks and pairs beyond this are counted together in `rest`. */
#define LOCKS_MAX 262144

struct lock_total {
	uint64_t n, ns, max_ns;
};

/* A lock: an address in a process, used as one state (both sides of an rwlock are one). */
struct lock {
	uint64_t obj;
	uint32_t process, kind; /* kind: enum fr_lock of the first wait seen */
	struct lock_total total;
	uint32_t n_open;   /* threads still waiting at the end of the window */
	uint64_t open_ns;  /* how long they had waited, summed; not in total */
	uint32_t n_failed; /* waits that ended with an error, such as a timeout */
};

/* Who waited for whom at a lock; sites are strings, holder a thread or THREAD_NONE. */
struct lock_pair {
	uint32_t lock, waiter_site, holder_site, holder;
	struct lock_total total;
};

struct locks {
	GArray *locks; /* struct lock */
	GArray *pairs; /* struct lock_pair */
	struct idmap by_obj, by_pair;
	struct lock_total rest;
	uint64_t n_waits;
};

void locks_init(struct locks *locks);
void locks_fini(struct locks *locks);
struct trace_pass locks_pass(struct locks *locks);

/* Adds the waits still open at the end of the window. Call once, after the run. */
void locks_finish(struct locks *locks, struct trace *trace);
