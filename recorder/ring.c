/* SPDX-License-Identifier: MIT */
/*
 * Each session gets a shared-memory folder of its own that did not exist before: destroying a session whose folder
 * LTTng cannot remove would block the daemon for ever.
 */
#include "recorder/ring.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "recorder/blackbox_read.h"
#include "recorder/procfs.h"

unsigned ring_count_dead(const char *rundir)
{
	GArray *procs = blackbox_list(rundir);
	unsigned n = 0;

	for (guint i = 0; i < procs->len; i++) {
		struct blackbox *blackbox;

		if (blackbox_open_proc(rundir, g_array_index(procs, uint16_t, i), &blackbox) != 0)
			continue;
		n += blackbox->header.state <= FR_PROCESS_RUNNING && !blackbox_is_alive(blackbox);
		blackbox_close(blackbox);
	}
	g_array_unref(procs);
	return n;
}

char *ring_folder(const char *shm_parent, unsigned number)
{
	return g_strdup_printf("%s/ring-%u", shm_parent, number);
}

int ring_open(struct ring *ring)
{
	g_autofree char *folder = ring_folder(ring->rundir->shm_parent, ring->number);
	char name[sizeof(ring->name)];
	struct lttng_spec spec = {
		.name = name,
		.channel = "flight",
		.folder = folder,
		.is_ring = true,
		.subbuf_bytes = ring->geometry.subbuf_bytes,
		.n_subbuf = ring->geometry.n_subbuf,
		.events = ring->events,
	};
	int rc;

	snprintf(name, sizeof(name), "flightrec-%d-ring-%u", (int)getpid(), ring->number++);
	ring->n_dead = ring_count_dead(ring->rundir->dir.path);
	rc = lttng_ctl_create(ring->ctl, &spec);
	if (rc < 0)
		return rc;
	rc = lttng_ctl_start(ring->ctl, name);
	if (rc < 0) {
		lttng_ctl_destroy(ring->ctl, name);
		return rc;
	}
	g_strlcpy(ring->name, name, sizeof(ring->name));
	ring->since_ns = procfs_now();
	ring->is_on = true;
	return 0;
}

int ring_pause(struct ring *ring)
{
	int rc = ring->is_on ? lttng_ctl_stop(ring->ctl, ring->name) : 0;

	if (rc == 0)
		ring->is_on = false;
	return rc;
}

int ring_resume(struct ring *ring)
{
	int rc;

	if (ring->is_on)
		return 0;
	rc = ring->name[0] ? lttng_ctl_start(ring->ctl, ring->name) : ring_open(ring);
	if (rc == 0) {
		ring->is_on = true;
		ring->since_ns = procfs_now();
	}
	return rc;
}

int ring_replace(struct ring *ring)
{
	char old[sizeof(ring->name)];
	int rc;

	memcpy(old, ring->name, sizeof(old));
	rc = ring_open(ring);
	if (rc == 0 && old[0])
		lttng_ctl_destroy(ring->ctl, old);
	return rc;
}

void ring_close(struct ring *ring)
{
	if (ring->name[0])
		lttng_ctl_destroy(ring->ctl, ring->name);
	ring->name[0] = '\0';
	ring->is_on = false;
}
