/* SPDX-License-Identifier: MIT */
/* Snapshots: what the rings hold is copied from their files, then packed. Nobody is paused, and nobody asked. */
#include "recorder/recording_internal.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "common/units.h"
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
	int rc = 0;

	if (!rec->set.ctl)
		return recording_refuse(why_out, RECORDING_E_UNTRACED, rec->set.untraced);
	pthread_mutex_lock(&rec->mutex);
	snapshot_await(rec);
	if (rec->is_snapshot_on)
		rc = recording_refuse(why_out, RECORDING_E_SNAPSHOT,
			"Another snapshot is being written; try again when it is complete");
	else
		rec->is_snapshot_on = true;
	pthread_mutex_unlock(&rec->mutex);
	return rc;
}

static void snapshot_release(struct recording *rec, const struct recording_info *info, bool is_last)
{
	pthread_mutex_lock(&rec->mutex);
	rec->is_snapshot_on = false;
	if (is_last) {
		rec->last = *info;
		rec->has_last = true;
	}
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
}

/* One snapshot under way. */
struct snapshot {
	const struct recording_snapshot_request *request; /* borrowed */
	struct staging staging;
	struct ring_read_result losses;
	GPtrArray *notes; /* owned strings */
};

/* Copies the rings to the staging folder. 0 or RECORDING_E_*. */
static int snapshot_take(struct recording *rec, struct snapshot *snapshot,
	struct recording_info *info, char **why_out)
{
	uint64_t since_ns;
	struct ring_look look;
	int rc;

	rings_look(rec, &look, &since_ns);
	rc = staging_create(rec->set.store->dir,
		look.held_bytes + look.held_bytes / 2 + STAGING_RESERVE, &snapshot->staging,
		why_out);
	if (rc < 0)
		return rc == -ENOSPC ? RECORDING_E_DISK : RECORDING_E_FAILED;
	info->end_ns = procfs_now();
	recording_settle(rec);
	rc = rings_copy(rec, snapshot->request->begin_ns, snapshot->staging.data, &snapshot->losses,
		snapshot->notes);
	info->raw_bytes = snapshot->losses.n_bytes;
	if (rc == 0)
		return 0;
	*why_out = g_strdup_printf("The ring could not be copied: %s", strerror(-rc));
	return rc == -ENOSPC ? RECORDING_E_DISK : RECORDING_E_FAILED;
}

/* Starts the file that the request names. */
static int snapshot_file(struct recording *rec, const struct recording_snapshot_request *request,
	struct store_file *file_out)
{
	return request->name ? store_file_begin_named(rec->set.store, request->name, file_out)
			     : store_file_begin(rec->set.store, file_out);
}

/* Says that the ring covers less than --min-age, and what would do. */
static void note_age(struct recording *rec, GPtrArray *notes)
{
	struct recording_status *status = g_new0(struct recording_status, 1);
	g_autofree char *sentence = NULL;

	recording_status(rec, status);
	sentence = recording_age_sentence(status);
	if (sentence)
		g_ptr_array_add(notes, g_steal_pointer(&sentence));
	g_free(status);
}

static int snapshot_pack(
	struct recording *rec, const struct snapshot *snapshot, struct recording_info *info)
{
	const struct recording_snapshot_request *request = snapshot->request;
	struct pack_job job = recording_job(rec, &snapshot->losses);
	struct store_file file;
	int err;

	job.ust_dir = snapshot->staging.data;
	job.mode = "snapshot";
	job.end_reason = "";
	job.begin_ns = request->begin_ns;
	job.end_ns = info->end_ns;
	job.trigger = request->trigger;
	job.death = request->death;
	job.death_signal = request->death_signal;
	job.is_nameless = !request->has_names;
	job.add_members = request->add_members;
	job.members = request->members;
	for (guint i = 0; i < snapshot->notes->len; i++)
		pack_add_note(&job, g_ptr_array_index(snapshot->notes, i));
	err = snapshot_file(rec, request, &file);
	return err ? err : recording_pack(rec, &job, &file, request->fd_out, info);
}

int recording_snapshot(struct recording *rec, const struct recording_snapshot_request *request,
	struct recording_info *info_out, char **why_out)
{
	struct recording_info info = { .is_snapshot = true, .begin_real_ns = recording_real_ns() };
	struct snapshot snapshot = { .request = request };
	int rc = snapshot_reserve(rec, why_out);

	if (rc)
		return rc;
	snapshot.notes = g_ptr_array_new_with_free_func(g_free);
	if (!request->begin_ns)
		note_age(rec, snapshot.notes);
	rc = snapshot_take(rec, &snapshot, &info, why_out);
	if (rc == 0) {
		int err = snapshot_pack(rec, &snapshot, &info);

		if (err) {
			*why_out = g_strdup_printf(
				"The snapshot could not be written: %s", strerror(-err));
			rc = err == -ENOSPC ? RECORDING_E_DISK : RECORDING_E_FAILED;
			g_strlcpy(info.error, *why_out, sizeof(info.error));
			info.file[0] = '\0';
		}
	}
	staging_remove(&snapshot.staging);
	g_ptr_array_unref(snapshot.notes);
	snapshot_release(rec, &info, !request->fd_out && (rc == 0 || info.error[0]));
	*info_out = info;
	return rc;
}
