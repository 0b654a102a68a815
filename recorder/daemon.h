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
	bool is_shared; /* root cannot do that here: the daemon in root's place is used, or started there */
};

struct lttng_ctl;

struct daemon {
	pid_t pid;	/* 0: none, or ended */
	char *log_path; /* owned; what it said */
	struct wait_shm wait_shm;
	bool is_shared; /* its files lie in root's place, not in our runtime folder */
};

/*
 * Chooses the user. An ordinary user keeps the own one; root needs CAP_SETUID, CAP_SETGID and CAP_CHOWN to take one
 * that no account and no process has. Without them the daemon is shared, and *note_out gets one sentence that
 * says so (g_free); else it is left alone.
 */
void daemon_user_choose(struct daemon_user *user_out, char **note_out);

/*
 * Starts the program at `sessiond` with `lttng_home` as its home and does not wait until it answers (see
 * lttng_ctl_wait_daemon()). It is killed when the calling thread ends, and
 * leaves the ring's files then (recover.h). Returns 0 or -errno.
 */
int daemon_start(const char *sessiond, const char *lttng_home, const struct daemon_user *user,
	struct daemon *daemon_out);

/*
 * The same, and waits until it answers `ctl`, at most 10 s. Returns 0, or -errno and one sentence in *why_out (g_free): the
 * daemon's own last words, if it had any.
 */
int daemon_start_ready(const char *sessiond, const char *lttng_home, const struct daemon_user *user,
	struct lttng_ctl *ctl, struct daemon *daemon_out, char **why_out);

/* Ends the daemon and its consumer, waits until both are gone, and frees. A struct of zeros is fine. */
void daemon_stop(struct daemon *daemon);

/* The last line it wrote on stderr, to g_free(); NULL when it wrote nothing. */
char *daemon_last_words(const struct daemon *daemon);

/* Keeps the log within a megabyte. */
void daemon_trim_log(const struct daemon *daemon);
