/* SPDX-License-Identifier: MIT */
/*
 * The files lttng-ust-wait-8* by which LTTng wakes programs that wait for a session daemon. Daemons and programs
 * create them and nobody removes them; we remove those that came with us, or with a recorder that was killed.
 */
#pragma once

#include <sys/types.h>

#include <glib.h>

struct wait_shm {
	GPtrArray *paths; /* owned; files to be removed at the end; NULL: none */
};

/* Uids that only recorders give to their daemons: files of these are ours to remove, whoever left them. */
struct wait_shm_range {
	uid_t first, last;
};

/* Notes which of the files for the daemon's uid and for our own are not there yet, and those of the range. */
void wait_shm_note(struct wait_shm *wait, uid_t daemon_uid, const struct wait_shm_range *range);

/* Removes those that no process has mapped, and frees. A struct of zeros is fine. */
void wait_shm_remove(struct wait_shm *wait);
