/* SPDX-License-Identifier: MIT */
/*
 * The ring in use, and what is left of the one before. A thread looks whether a dead writer blocks a CPU's ring, and
 * replaces it then: what it held goes to disk, so that memory stays what it was, and into every snapshot until
 * the new ring has gone once round.
 */
#include "recorder/recording_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log.h"
#include "recorder/procfs.h"
#include "recorder/ring_files.h"
#include "recorder/ring_keep.h"

#define WATCH_NS 2000000000ull
/* After an abnormal death it is looked at more often for a while. */
#define ALERT_NS 500000000ull
#define ALERT_FOR_NS 10000000000ull

/* For those who only look: LTTng may keep the ring busy for seconds. */
static void note_ring(struct recording *rec)
{
	pthread_mutex_lock(&rec->mutex);
	g_free(rec->ring_folder);
	rec->ring_folder = g_strdup(rec->ring.folder);
	rec->ring_since_ns = rec->ring.since_ns;
	pthread_mutex_unlock(&rec->mutex);
}

int rings_open(struct recording *rec)
{
	int rc;

	rec->ring = (struct ring){
		.ctl = rec->set.ctl,
		.rundir = rec->set.rundir,
		.geometry = rec->set.ring,
		.events = rec->set.options->events,
	};
	rec->stuck = ring_stuck_new();
	rc = ring_open(&rec->ring);
	note_ring(rec);
	return rc;
}

static void drop_old(struct recording *rec)
{
	staging_remove(&rec->old.staging);
	rec->old.replaced_ns = 0;
}

void rings_close(struct recording *rec)
{
	drop_old(rec);
	ring_close(&rec->ring);
	ring_stuck_free(rec->stuck);
	rec->stuck = NULL;
}

/* Copies what the ring that was just replaced held to disk. Without room there it is gone, which is said. */
static void keep_old(struct recording *rec)
{
	g_autofree char *why = NULL;
	struct ring_read *read;
	struct ring_look look;
	int err;

	drop_old(rec);
	ring_look(rec->ring.old_folder, &look);
	err = staging_create(
		rec->set.store->dir, look.held_bytes + STAGING_RESERVE, &rec->old.staging, &why);
	if (!err) {
		err = ring_read_new(
			rec->ring.old_folder, rec->old.staging.data, RING_READ_ALL, &read);
		if (!err) {
			err = ring_read_finish(read, &rec->old.losses);
			ring_read_free(read);
		}
	}
	if (err) {
		log_error("What the flight recorder held until now is lost: %s",
			why ? why : strerror(-err));
		staging_remove(&rec->old.staging);
	}
}

/* A dead writer blocks the ring: a new one takes its place. Called with `ring_mutex` held. */
static void replace(struct recording *rec)
{
	uint64_t begin = procfs_now();
	int rc = ring_replace(&rec->ring);

	if (rc < 0) {
		log_error(
			"A process that was killed blocks the flight recorder, and it could not be "
			"renewed: %s",
			lttng_ctl_error(rc));
		return;
	}
	note_ring(rec);
	for (size_t i = 0; i < SESSION_N_KINDS; i++)
		window_switch(&rec->windows[i], rec->ring.folder);
	keep_old(rec);
	ring_drop_old(&rec->ring);
	rec->old.replaced_ns = rec->ring.since_ns;
	rec->old.gap_ns = rec->ring.since_ns - begin;
	log_say("A process that was killed within an event blocked the flight recorder; it has "
		"been "
		"renewed");
}

/* One look. True when it was found stuck, for the first time or again. */
static bool watch_once(struct recording *rec, bool was_stuck)
{
	struct ring_look look;
	bool is_stuck;

	pthread_mutex_lock(&rec->ring_mutex);
	is_stuck = ring_stuck_check(rec->stuck, rec->ring.folder);
	if (is_stuck && was_stuck) {
		replace(rec);
		is_stuck = false;
	}
	if (rec->old.staging.data) {
		ring_look(rec->ring.folder, &look);
		/* Once round: no window reaches back to the old one without a hole. */
		if (look.complete_ns)
			drop_old(rec);
	}
	pthread_mutex_unlock(&rec->ring_mutex);
	return is_stuck;
}

void *rings_watch(void *arg)
{
	struct recording *rec = arg;
	bool is_stuck = false;

	pthread_setname_np(pthread_self(), "ring");
	pthread_mutex_lock(&rec->mutex);
	while (!rec->is_quitting) {
		uint64_t now = procfs_now(), wait = WATCH_NS;

		if (is_stuck || now - rec->died_ns < ALERT_FOR_NS)
			wait = ALERT_NS;
		recording_wait_until(rec, now + wait);
		/* Woken by something else: too early to compare. */
		while (!rec->is_quitting && procfs_now() < now + ALERT_NS)
			recording_wait_until(rec, now + ALERT_NS);
		if (rec->is_quitting || rec->is_program_over || rec->is_daemon_dead)
			continue;
		pthread_mutex_unlock(&rec->mutex);
		is_stuck = watch_once(rec, is_stuck);
		daemon_trim_log(rec->set.daemon);
		pthread_mutex_lock(&rec->mutex);
	}
	pthread_mutex_unlock(&rec->mutex);
	return NULL;
}

void recording_process_died(struct recording *rec)
{
	pthread_mutex_lock(&rec->mutex);
	rec->died_ns = procfs_now();
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
}

/* Links or copies one file. */
static int bring(const char *from, const char *to)
{
	g_autofree char *data = NULL;
	gsize n;

	if (link(from, to) == 0)
		return 0;
	if (!g_file_get_contents(from, &data, &n, NULL))
		return -EIO;
	return fs_write_atomic(to, data, n, 0600);
}

struct bring {
	const char *from, *to;
	int err;
};

static void bring_member(const char *member, void *user)
{
	struct bring *all = user;
	g_autofree char *from = g_strdup_printf("%s/%s", all->from, member);
	g_autofree char *to = g_strdup_printf("%s/%s", all->to, member);
	g_autoptr(GDir) dir = g_dir_open(from, 0, NULL);
	const char *name;

	if (g_mkdir_with_parents(to, 0700) < 0)
		all->err = -errno;
	while (dir && (name = g_dir_read_name(dir)) && !all->err) {
		g_autofree char *a = g_strdup_printf("%s/%s", from, name);
		g_autofree char *b = g_strdup_printf("%s/%s", to, name);

		all->err = bring(a, b);
	}
}

/* Adds what the ring before held. */
static int copy_old(struct recording *rec, const char *dir, GPtrArray *notes)
{
	g_autofree char *to = g_strdup_printf("%s/0", dir);
	struct bring all = { rec->old.staging.data, to, 0 };

	ring_files_members(all.from, bring_member, &all);
	g_ptr_array_add(notes,
		g_strdup_printf(
			"A process that was killed within an event blocked a CPU's ring; it was "
			"renewed at %" PRIu64 " ns: events of the time before, since it was "
			"blocked, and of the %" PRIu64 " ms that the change took, are missing",
			rec->old.replaced_ns, rec->old.gap_ns / 1000000 + 1));
	return all.err;
}

/* A daemon that ends takes the files' names along; those of ring_keep.h stay. To g_free(). */
static char *find_ring(const struct recording *rec)
{
	char *found = NULL;
	struct ring_look look;

	ring_look(rec->ring.folder, &look);
	if (look.n_streams == 0)
		found = ring_keep_find(rec->set.rundir->dir.path);
	return found ? found : g_strdup(rec->ring.folder);
}

int rings_copy(struct recording *rec, uint64_t begin_ns, const char *dir,
	struct ring_read_result *losses_out, GPtrArray *notes)
{
	g_autofree char *part = g_strdup_printf("%s/1", dir);
	g_autofree char *folder = NULL;
	struct ring_read_result losses = { 0 };
	struct ring_read *read;
	int err = g_mkdir_with_parents(part, 0700) < 0 ? -errno : 0;

	pthread_mutex_lock(&rec->ring_mutex);
	if (!err && rec->old.staging.data &&
		(begin_ns == RING_READ_ALL || begin_ns < rec->old.replaced_ns)) {
		err = copy_old(rec, dir, notes);
		losses = rec->old.losses;
	}
	folder = find_ring(rec);
	if (!err)
		err = ring_read_new(folder, part, begin_ns, &read);
	if (!err) {
		struct ring_read_result result;

		err = ring_read_finish(read, &result);
		recording_add_losses(&losses, &result);
		ring_read_free(read);
	}
	pthread_mutex_unlock(&rec->ring_mutex);
	*losses_out = losses;
	return err;
}

void rings_look(struct recording *rec, struct ring_look *look_out, uint64_t *since_ns_out)
{
	g_autofree char *folder = NULL;

	pthread_mutex_lock(&rec->mutex);
	folder = g_strdup(rec->ring_folder);
	*since_ns_out = rec->ring_since_ns;
	pthread_mutex_unlock(&rec->mutex);
	if (folder)
		ring_look(folder, look_out);
	else
		*look_out = (struct ring_look){ 0 };
}
