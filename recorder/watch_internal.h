/* SPDX-License-Identifier: MIT */
/* Shared by watch.c (the thread and its table) and watch_entry.c (one process). Nobody else includes this. */
#pragma once

#include "recorder/oom.h"
#include "recorder/watch.h"

/* A process that lives, or whose end is just being found out. */
struct watch_entry {
	struct watch_process process;
	struct blackbox *blackbox; /* owned; of its image now */
	int pidfd;		   /* owned; -1: none can be had, /proc is asked */
	int oom;		   /* of oom_add() */
	uint64_t n_triggers;	   /* told so far */
	uint64_t end_ns;	   /* noticed then that it has ended; 0: it lives */
	uint64_t execed_ns; /* noticed then that it is about to replace its image; 0: it is not */
	bool is_away;	    /* it goes on as a program that is not traced */
};

/* Opens process number `proc`, which must live (then *is_dead_out is false) or be dead. 0, -errno or BLACKBOX_E_*. */
int watch_entry_new(
	const char *rundir, uint16_t proc, struct watch_entry **entry_out, bool *is_dead_out);
void watch_entry_free(struct watch_entry *entry);

/* The parts of the header that change, as they are now. */
void watch_entry_refresh(struct watch_entry *entry);

/* True when it has ended; for those without a pidfd. */
bool watch_entry_is_gone(const struct watch_entry *entry);

/*
 * How it ended. False: that is not known yet, and may be soon. With `is_final`, what is not known now is left so, and the
 * word of the tracer counts.
 */
bool watch_entry_how(const struct watch_entry *entry, struct oom *oom, bool is_final,
	struct process_end *end_out);

/* True when exec() has replaced a traced image by one that is not and will not be. */
bool watch_entry_is_lost(const struct watch_entry *entry, uint64_t now_ns);

/* Tells the triggers that are new. */
void watch_entry_triggers(struct watch_entry *entry, const struct watch_calls *calls);
