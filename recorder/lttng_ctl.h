/* SPDX-License-Identifier: MIT */
/*
 * LTTng sessions. The only user of liblttng-ctl, which keeps its connection in process globals: one thread makes all
 * calls, and the functions here wait for it. They may be called from any other thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recorder/daemon.h"

struct lttng_ctl;

/* One session over memory, with one channel in overwrite mode. Strings are borrowed for the call. */
struct lttng_spec {
	const char *name; /* of the session: letters, digits, '-' and '_' */
	const char *channel;
	const char *folder;    /* in shared memory, must not exist */
	uint64_t subbuf_bytes; /* power of two */
	uint32_t n_subbuf;     /* per CPU; power of two */
	uint32_t events;       /* FR_EVENTS_* */
};

/* Ring memory as LTTng wants it. */
struct lttng_geometry {
	uint64_t subbuf_bytes;
	uint32_t n_subbuf;
	uint64_t total_bytes; /* all CPUs, with the spare sub-buffer of overwrite mode */
};

/* The largest shape that fits `bytes` over `n_cpus` CPUs, but for overwrite mode's spare. Pure. */
struct lttng_geometry lttng_geometry_fit(uint64_t bytes, unsigned n_cpus);

/*
 * Starts the owner thread, which takes on `user` when it is switched. LTTNG_HOME must be set in our own environment
 * by now. Returns 0 or -errno.
 */
int lttng_ctl_new(const struct daemon_user *user, struct lttng_ctl **ctl_out);
/* Ends the thread. NULL is fine. */
void lttng_ctl_free(struct lttng_ctl *ctl);

/*
 * All below return 0, or LTTng's negative error code: see lttng_ctl_error(). After a failure of create nothing
 * of the session remains.
 */
/* Waits up to timeout_ms until the daemon answers, or until it ended. */
int lttng_ctl_wait_daemon(struct lttng_ctl *ctl, unsigned timeout_ms, pid_t daemon_pid);
/* 0 when a daemon answers already. */
int lttng_ctl_is_alive(struct lttng_ctl *ctl);
/* In a shared daemon: destroys the sessions of recorders that are gone. */
int lttng_ctl_clean(struct lttng_ctl *ctl);
int lttng_ctl_create(struct lttng_ctl *ctl, const struct lttng_spec *spec);
int lttng_ctl_start(struct lttng_ctl *ctl, const char *session);
int lttng_ctl_stop(struct lttng_ctl *ctl, const char *session);
/* Does not wait for the daemon to finish with it. */
int lttng_ctl_destroy(struct lttng_ctl *ctl, const char *session);
/* Text for a code from above; borrowed. */
const char *lttng_ctl_error(int code);
