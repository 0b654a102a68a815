/* SPDX-License-Identifier: MIT */
/* Snapshots: the ring is copied to disk by LTTng without pausing anybody, then packed. */
#include "recorder/recording_internal.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "common/fs.h"
#include "common/log.h"
#include "recorder/procfs.h"

/* Waits for its turn. Called with `mutex` held. */
static void snapshot_await(struct recording *rec)
{
	uint64_t deadline = procfs_now() + RECORDING_SNAPSHOT_WAIT_MS * 1000000ull;

	while (rec->is_snapshot_on && procfs_now() < deadline)
		recording_wait_until(rec, deadline);
}

static int snapshot_reserve(struct recording *rec, char **why_out)
{
	int rc;

	pthread_mutex_lock(&rec->mutex);
	snapshot_await(rec);
	rc = recording_check_able(rec, why_out);
	if (rc == 0 && rec->is_snapshot_on)
		rc = recording_refuse(why_out, RECORDING_E_SNAPSHOT,
			"Another snapshot is being written; try again when it is complete");
	else if (rc == 0 && rec->session.state != SESSION_IDLE && rec->session.kind == SESSION_RUN)
		rc = recording_refuse(why_out, RECORDING_E_BUSY,
			"A run is on and has paused the flight recorder; GET "
			"/debug/trace/recorder/stop "
			"first, or wait for its end");
	else if (rc == 0 && rec->session.state != SESSION_IDLE)
		rc = recording_refuse_busy(rec, why_out);
	if (rc == 0)
		rec->is_snapshot_on = true;
	pthread_mutex_unlock(&rec->mutex);
	return rc;
}

/* Copies the ring to the staging folder. 0 or RECORDING_E_*. */
static int snapshot_take(
	struct recording *rec, struct staging *staging, bool *is_dirty_out, char **why_out)
{
	uint64_t want = rec->ring.geometry.total_bytes + rec->ring.geometry.total_bytes / 2;
	int rc = staging_create(rec->set.ctl, rec->set.user, rec->set.store->dir,
		want + STAGING_RESERVE, staging, why_out);

	if (rc < 0)
		return rc == -ENOSPC ? RECORDING_E_DISK : RECORDING_E_FAILED;
	pthread_mutex_lock(&rec->ring_mutex);
	*is_dirty_out = ring_count_dead(rec->set.rundir->dir.path) > rec->ring.n_dead;
	rc = lttng_ctl_snapshot(rec->set.ctl, rec->ring.name, staging->data);
	pthread_mutex_unlock(&rec->ring_mutex);
	if (rc == 0)
		return 0;
	*why_out = g_strdup_printf("LTTng could not take a snapshot: %s", lttng_ctl_error(rc));
	staging_remove(staging);
	return RECORDING_E_FAILED;
}

/* Starts the file that the request names. */
static int snapshot_file(struct recording *rec, const struct recording_snapshot_request *request,
	struct store_file *file_out)
{
	if (!request->name)
		return store_file_begin(rec->set.store, file_out);
	return store_file_begin_named(rec->set.store, request->name, file_out);
}

static int snapshot_pack(struct recording *rec, const struct recording_snapshot_request *request,
	const struct staging *staging, bool is_dirty, struct recording_info *info)
{
	struct pack_job job = {
		.options = rec->set.options,
		.symbols = rec->set.symbols,
		.sched = rec->set.sched,
		.rundir = rec->set.rundir->dir.path,
		.ust_dir = staging->data,
		.mode = "snapshot",
		.end_reason = "",
		.begin_ns = request->begin_ns,
		.end_ns = info->end_ns,
		.trigger = request->trigger,
		.death = request->death,
		.death_signal = request->death_signal,
		.is_nameless = !request->has_names,
		.add_members = request->add_members,
		.members = request->members,
	};
	struct store_file file;
	int err;

	pack_add_note(&job, rec->set.untraced);
	for (size_t i = 0; i < G_N_ELEMENTS(rec->set.notes); i++)
		pack_add_note(&job, rec->set.notes[i]);
	if (is_dirty)
		pack_add_note(&job,
			"A traced process was killed while the flight recorder was on; if it died "
			"within an event, one CPU's newest events are missing");
	err = snapshot_file(rec, request, &file);
	return err ? err : recording_pack(rec, &job, &file, request->fd_out, info);
}

/* A dead writer has blocked a CPU's buffer, as the lost events show: only a new session cures that. */
static void unwedge(struct recording *rec)
{
	int rc;

	pthread_mutex_lock(&rec->ring_mutex);
	rc = rec->ring.is_on ? ring_replace(&rec->ring) : 0;
	recording_note_ring(rec);
	pthread_mutex_unlock(&rec->ring_mutex);
	if (rc < 0)
		log_error("The flight recorder could not be renewed: %s", lttng_ctl_error(rc));
}

void recording_process_died(struct recording *rec)
{
	/* The next snapshot looks at what was lost. */
	(void)rec;
}

int recording_snapshot(struct recording *rec, const struct recording_snapshot_request *request,
	struct recording_info *info_out, char **why_out)
{
	struct recording_info info = { .is_snapshot = true, .begin_real_ns = recording_real_ns() };
	struct staging staging = { 0 };
	bool is_dirty = false;
	int rc = snapshot_reserve(rec, why_out);

	if (rc)
		return rc;
	rc = snapshot_take(rec, &staging, &is_dirty, why_out);
	if (rc == 0) {
		int err;

		info.end_ns = procfs_now();
		info.raw_bytes = fs_tree_bytes(staging.data);
		err = snapshot_pack(rec, request, &staging, is_dirty, &info);
		if (err) {
			*why_out = g_strdup_printf(
				"The snapshot could not be written: %s", strerror(-err));
			rc = err == -ENOSPC ? RECORDING_E_DISK : RECORDING_E_FAILED;
			g_strlcpy(info.error, *why_out, sizeof(info.error));
			info.file[0] = '\0';
		}
		staging_remove(&staging);
		if (is_dirty && info.lost_events)
			unwedge(rec);
	}
	pthread_mutex_lock(&rec->mutex);
	rec->is_snapshot_on = false;
	if (!request->fd_out && (rc == 0 || info.error[0])) {
		rec->last = info;
		rec->has_last = true;
	}
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
	*info_out = info;
	return rc;
}
