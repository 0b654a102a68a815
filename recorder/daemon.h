/* SPDX-License-Identifier: MIT */
/* The private lttng-sessiond: who it runs as, its start, its end. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "recorder/wait_shm.h"

/* Whose rights the daemon has. */
struct daemon_user {
	uid_t uid;
	gid_t gid;
	bool is_switched; /* not our own: root takes an unused uid, since root's place is shared by all */
};

struct daemon {
	pid_t pid;	/* 0: none, or ended */
	char *log_path; /* owned; what it said */
	struct wait_shm wait_shm;
};

/*
 * Chooses the user. An ordinary user keeps the own one; root needs CAP_SETUID and CAP_SETGID to take one that no
 * account and no process has. Returns 0, or -EPERM and one sentence in *why_out (g_free).
 */
int daemon_user_choose(struct daemon_user *user_out, char **why_out);

/*
 * Starts the program at `sessiond` with `lttng_home` as its home and does not wait until it answers (see
 * lttng_ctl_wait_daemon()). It gets SIGTERM when the calling thread ends. Returns 0 or -errno.
 */
int daemon_start(const char *sessiond, const char *lttng_home, const struct daemon_user *user,
	struct daemon *daemon_out);

/* Ends the daemon and its consumer, waits until both are gone, and frees. A struct of zeros is fine. */
void daemon_stop(struct daemon *daemon);

/* The last line it wrote on stderr, to g_free(); NULL when it wrote nothing. */
char *daemon_last_words(const struct daemon *daemon);

/* Keeps the log within a megabyte. */
void daemon_trim_log(const struct daemon *daemon);
