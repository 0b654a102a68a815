/* SPDX-License-Identifier: MIT */
/*
 * The middle step: records of switches by perf events, which an ordinary user may have of his own programs. Opened on a
 * child before its exec() they cover all that comes from it; later they can be taken off, and put on all threads again.
 * One user at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "recorder/sched_bpf.h"

struct sched_switch;

/*
 * Sets up rings and, on `pid`, which waits for its exec(), the events. NULL, and the reason in *why_out (g_free): it is
 * refused. *note_out (g_free): a sentence when less memory than wished was had; else NULL.
 */
struct sched_switch *sched_switch_new(pid_t pid, char **why_out, char **note_out);
void sched_switch_free(struct sched_switch *sw);

/* Closes the events: switches cost nothing any more. The rings stay. */
void sched_switch_detach(struct sched_switch *sw);

/*
 * Opens events on all threads of the processes. Returns 0 or -errno: none could be opened; *n_missed_out: threads for which
 * descriptors were too few.
 */
int sched_switch_attach(struct sched_switch *sw, const GArray *pids, unsigned *n_missed_out);

/* As sched_bpf_drain(). */
struct sched_drained sched_switch_drain(struct sched_switch *sw, sched_record_fn fn, void *user);
