/* SPDX-License-Identifier: MIT */
/* Threads that wait for each other in a circle. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <glib.h>
#include <jansson.h>

#include "recorder/profile_process.h"

/* One thread of a circle: it waits for what the next one of the circle holds. */
struct deadlock_wait {
	pid_t pid;
	uint32_t tid, holder; /* thread ids */
	uint32_t state;	      /* enum fr_state: what it waits for */
	uint64_t obj;	      /* address of the lock; 0 for a join */
	uint64_t since_ns;    /* CLOCK_MONOTONIC */
	char name[16], holder_name[16];
};

struct deadlock {
	GArray *waits; /* of struct deadlock_wait, one or more */
};

/*
 * All circles among the threads of these processes: a GPtrArray of struct deadlock that owns them. In living
 * processes each is looked at twice, and what did not stay the same is no deadlock.
 */
GPtrArray *deadlock_find(const GPtrArray *processes);

/*
 * The thread that holds what `slot` waits for, now; in a dead process: that held it when the wait began. 0:
 * nobody, or not known.
 */
uint32_t deadlock_holder(const struct profile_process *process, const struct fr_slot *slot);

/* "mutex 0x55…", "the end of a thread"; to g_free(). */
char *deadlock_object(uint32_t state, uint64_t obj);

/* A paragraph of lines that begin with "# ". */
void deadlock_write(const struct deadlock *deadlock, GString *out);

/* deadlock_find() as an array of objects. */
json_t *deadlock_json(const GPtrArray *processes);
