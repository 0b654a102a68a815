/* SPDX-License-Identifier: MIT */
/* Threads that wait for each other in a circle. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <glib.h>
#include <jansson.h>

#include "recorder/profile_process.h"

struct lock_names;

/* One thread of a circle: it waits for what the next one of the circle holds. */
struct deadlock_wait {
	const struct profile_process *process; /* borrowed */
	pid_t pid;
	uint32_t tid, holder; /* thread ids */
	uint32_t state;	      /* enum fr_state: what it waits for */
	uint64_t obj;	      /* address of the lock; 0 for a join */
	uint64_t since_ns;    /* CLOCK_MONOTONIC */
	uint32_t stack;	      /* where it waits */
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

/* "mutex 0x55… (shelves+0x8)", "the end of a thread"; to g_free(). `names` NULL: without the variable. */
char *deadlock_object(struct lock_names *names, const struct profile_process *process,
	uint32_t state, uint64_t obj);

/* Where a thread of the circle waits, for people; borrowed or NULL. */
typedef const char *(*deadlock_place)(void *data, const struct deadlock_wait *wait);

/* A paragraph of lines that begin with "# ". */
void deadlock_write(const struct deadlock *deadlock, struct lock_names *names, deadlock_place place,
	void *data, GString *out);

/* deadlock_find() as an array of objects. */
json_t *deadlock_json(const GPtrArray *processes);
