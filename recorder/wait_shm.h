/* SPDX-License-Identifier: MIT */
/*
 * The files lttng-ust-wait-8* by which LTTng wakes programs that wait for a session daemon. Daemons and programs
 * create them and nobody removes them; we remove those that came with us.
 */
#pragma once

#include <sys/types.h>

#define WAIT_SHM_MAX 4

struct wait_shm {
	char *paths[WAIT_SHM_MAX]; /* owned; files that did not exist when we came */
	unsigned n;
};

/* Notes which of the files for the daemon's uid and for our own are not there yet. */
void wait_shm_note(struct wait_shm *wait, uid_t daemon_uid);

/* Removes those that no process has mapped, and frees. A struct of zeros is fine. */
void wait_shm_remove(struct wait_shm *wait);
