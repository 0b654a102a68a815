/* SPDX-License-Identifier: MIT */
/*
 * Each session gets a shared-memory folder of its own that did not exist before: destroying a session whose folder
 * LTTng cannot remove would block the daemon for ever.
 */
#include "recorder/ring.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/procfs.h"

/* Makes a session that does not record yet. */
static int create(struct ring *ring, char *name, size_t n_name, char **folder_out)
{
	g_autofree char *folder =
		g_strdup_printf("%s/ring-%u", ring->rundir->shm_parent, ring->number);
	struct lttng_spec spec = {
		.name = name,
		.channel = "flight",
		.folder = folder,
		.subbuf_bytes = ring->geometry.subbuf_bytes,
		.n_subbuf = ring->geometry.n_subbuf,
		.events = ring->events,
	};
	int rc;

	snprintf(name, n_name, "flightrec-%d-ring-%u", (int)getpid(), ring->number++);
	rc = lttng_ctl_create(ring->ctl, &spec);
	if (rc == 0)
		*folder_out = g_steal_pointer(&folder);
	return rc;
}

static int start(struct ring *ring, const char *name, char *folder)
{
	int rc = lttng_ctl_start(ring->ctl, name);

	if (rc < 0) {
		lttng_ctl_destroy(ring->ctl, name);
		g_free(folder);
		return rc;
	}
	g_strlcpy(ring->name, name, sizeof(ring->name));
	ring->folder = folder;
	ring->since_ns = procfs_now();
	return 0;
}

int ring_open(struct ring *ring)
{
	char name[sizeof(ring->name)], *folder = NULL;
	int rc = create(ring, name, sizeof(name), &folder);

	return rc ? rc : start(ring, name, folder);
}

int ring_replace(struct ring *ring)
{
	char name[sizeof(ring->name)], *folder = NULL, *old_folder = ring->folder;
	int rc = create(ring, name, sizeof(name), &folder);

	if (rc)
		return rc;
	ring_drop_old(ring);
	memcpy(ring->old, ring->name, sizeof(ring->old));
	lttng_ctl_stop(ring->ctl, ring->old);
	rc = start(ring, name, folder);
	if (rc) {
		ring->old[0] = '\0';
		lttng_ctl_start(ring->ctl, ring->name);
		return rc;
	}
	ring->old_folder = old_folder;
	return 0;
}

void ring_drop_old(struct ring *ring)
{
	if (ring->old[0])
		lttng_ctl_destroy(ring->ctl, ring->old);
	ring->old[0] = '\0';
	g_clear_pointer(&ring->old_folder, g_free);
}

void ring_close(struct ring *ring)
{
	ring_drop_old(ring);
	if (ring->name[0])
		lttng_ctl_destroy(ring->ctl, ring->name);
	ring->name[0] = '\0';
	g_clear_pointer(&ring->folder, g_free);
}
