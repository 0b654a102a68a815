/* SPDX-License-Identifier: MIT */
/* One run: a session of its own that streams to the staging folder, while the ring is paused. */
#include "recorder/recording_internal.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log.h"
#include "recorder/sched.h"

#define RUN_BUFFER_BYTES (32ull << 20)
#define RUN_BUFFER_PER_CPU (2ull << 20)

static int open_session(struct recording *rec, uint64_t id, char **why_out)
{
	unsigned n_cpus = (unsigned)get_nprocs_conf();
	uint64_t bytes = MAX(RUN_BUFFER_BYTES, n_cpus * RUN_BUFFER_PER_CPU);
	struct lttng_geometry geometry = lttng_geometry_fit(bytes, n_cpus, false);
	struct lttng_spec spec = {
		.name = rec->run_name,
		.channel = "run",
		.subbuf_bytes = geometry.subbuf_bytes,
		.n_subbuf = geometry.n_subbuf,
		.events = rec->set.options->events,
	};
	int rc;

	if (fs_free_bytes("/dev/shm") < geometry.total_bytes + geometry.total_bytes / 8) {
		/* LTTng would report success and record nothing. */
		*why_out = g_strdup_printf(
			"/dev/shm is too small for the buffers of a run (%" G_GUINT64_FORMAT
			" MiB wanted); make it larger, or use a smaller --buffer-size",
			geometry.total_bytes >> 20);
		return RECORDING_E_DISK;
	}
	rc = staging_create(rec->set.ctl, rec->set.user, rec->set.store->dir, 2 * STAGING_RESERVE,
		&rec->staging, why_out);
	if (rc < 0)
		return rc == -ENOSPC ? RECORDING_E_DISK : RECORDING_E_FAILED;
	snprintf(rec->run_name, sizeof(rec->run_name), "flightrec-%d-run-%" G_GUINT64_FORMAT,
		(int)getpid(), id);
	spec.folder = rec->staging.data;
	rc = lttng_ctl_create(rec->set.ctl, &spec);
	if (rc == 0) {
		rc = lttng_ctl_start(rec->set.ctl, rec->run_name);
		if (rc < 0)
			lttng_ctl_destroy(rec->set.ctl, rec->run_name);
	}
	if (rc < 0) {
		staging_remove(&rec->staging);
		*why_out = g_strdup_printf("LTTng cannot start recording: %s", lttng_ctl_error(rc));
		return RECORDING_E_FAILED;
	}
	return 0;
}

static void ring_to_run(struct recording *rec)
{
	pthread_mutex_lock(&rec->ring_mutex);
	__atomic_store_n(&rec->set.rundir->control->is_run, 1, __ATOMIC_RELAXED);
	rec->is_ring_dirty = ring_count_dead(rec->set.rundir->dir.path) > rec->ring.n_dead;
	if (ring_pause(&rec->ring) < 0)
		log_error("The flight recorder could not be paused; events cost twice during this "
			  "run");
	recording_note_ring(rec);
	pthread_mutex_unlock(&rec->ring_mutex);
}

static void run_to_ring(struct recording *rec)
{
	int rc;

	pthread_mutex_lock(&rec->ring_mutex);
	__atomic_store_n(&rec->set.rundir->control->is_run, 0, __ATOMIC_RELAXED);
	rc = rec->is_ring_dirty ? ring_replace(&rec->ring) : ring_resume(&rec->ring);
	recording_note_ring(rec);
	pthread_mutex_unlock(&rec->ring_mutex);
	if (rc < 0 && !rec->is_daemon_dead)
		log_error(
			"The flight recorder did not go on after the run: %s", lttng_ctl_error(rc));
}

int recording_stream_open(struct recording *rec, uint64_t id, char **why_out)
{
	int rc = open_session(rec, id, why_out);

	if (rc)
		return rc;
	sched_hold(rec->set.sched);
	rec->cpu_begin = cpu_times_take(rec->set.rundir->dir.path);
	ring_to_run(rec);
	return 0;
}

/* Packing failed: the raw recording is worth more than nothing. */
static void keep_raw(struct recording *rec, struct recording_info *info, int err)
{
	g_autofree char *raw = staging_keep(&rec->staging, rec->set.store->dir);

	snprintf(info->error, sizeof(info->error),
		"The trace could not be packed (%s); the raw recording is kept in %s",
		err == -ENOSPC ? "the disk is full" : strerror(-err), raw);
	log_error("%s", info->error);
	info->file[0] = '\0';
}

static int begin_output(struct recording *rec, enum session_kind kind, struct store_file *file_out)
{
	if (kind == SESSION_TRACE) {
		*file_out = store_file_take(&rec->target);
		return 0;
	}
	return store_file_begin(rec->set.store, file_out);
}

/* What packing is for. Both borrowed. */
struct pack_user {
	struct recording *rec;
	struct store_file *file;
};

/*
 * Somebody who interrupts us after the program's end, when signals have nobody else to go to any more, wants us to
 * end: names are not waited for then.
 */
static bool is_hurried(void *data)
{
	struct pack_user *user = data;
	sigset_t pending;
	bool is_over;

	pthread_mutex_lock(&user->rec->mutex);
	is_over = user->rec->is_program_over;
	pthread_mutex_unlock(&user->rec->mutex);
	/* Blocked in all threads; see process.h. */
	return is_over && sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
		       sigismember(&pending, SIGHUP));
}

/* The file is a trace but for names: from here on it outlives us, whatever happens. */
static void on_safe(void *data)
{
	struct pack_user *user = data;
	int err = store_file_secure(user->file);

	if (err)
		log_error(
			"The trace could not be brought to disk before its names are looked up: %s",
			strerror(-err));
}

int recording_pack(struct recording *rec, const struct pack_job *job, struct store_file *file,
	int *fd_out, struct recording_info *info)
{
	struct trace_out_result result = { 0 };
	struct pack_user user = { .rec = rec, .file = file };
	struct pack_job own = *job;
	int err;

	/* What goes to a client is nobody's once we are gone. */
	own.on_safe = fd_out ? NULL : on_safe;
	own.is_hurried = is_hurried;
	own.user = &user;
	err = pack_write(&own, file->fd, &result);
	if (result.end_ns > result.begin_ns)
		info->covered_ns = result.end_ns - result.begin_ns;
	info->lost_events = result.lost_events;
	info->lost_packets = result.lost_packets;
	g_strlcpy(info->names, result.names, sizeof(info->names));
	if (result.names[0])
		log_say("%s", result.names);
	if (err) {
		store_file_discard(file);
		return err;
	}
	info->n_bytes = result.n_bytes;
	if (fd_out) {
		*fd_out = store_file_detach(file);
		return 0;
	}
	g_strlcpy(info->file, file->path, sizeof(info->file));
	return store_file_publish(file);
}

static void pack_run(struct recording *rec, struct recording_info *info, int *fd_out)
{
	struct store_file file = { .fd = -1 };
	struct pack_job job = {
		.options = rec->set.options,
		.symbols = rec->set.symbols,
		.sched = rec->set.sched,
		.rundir = rec->set.rundir->dir.path,
		.ust_dir = rec->staging.data,
		.mode = info->kind == SESSION_TRACE ? "trace" : "run",
		.end_reason = session_end_name(info->end_reason),
		.asked_ns = info->duration_ns,
		.begin_ns = info->begin_ns,
		.end_ns = info->end_ns,
		.cpu_begin = rec->cpu_begin,
	};
	int err;

	pack_add_note(&job, rec->set.untraced);
	for (size_t i = 0; i < G_N_ELEMENTS(rec->set.notes); i++)
		pack_add_note(&job, rec->set.notes[i]);
	if (info->end_reason == SESSION_END_SIZE_CAP)
		pack_add_note(&job, "The recording ended early: it reached --max-trace-size");
	if (info->end_reason == SESSION_END_DISK_FULL)
		pack_add_note(&job, "The recording ended early: the disk was nearly full");
	err = begin_output(rec, info->kind, &file);
	if (!err)
		err = recording_pack(
			rec, &job, &file, info->kind == SESSION_PPROF ? fd_out : NULL, info);
	if (err)
		keep_raw(rec, info, err);
}

void recording_stream_finish(struct recording *rec, struct recording_info *info, int *fd_out)
{
	int rc;

	/* The ring first: stopping a stream takes 100 ms and more, which it shall not miss. */
	run_to_ring(rec);
	if (info->end_reason == SESSION_END_DISCONNECT) {
		/* Nobody wants the data: no need to wait for it. */
		store_file_discard(&rec->target);
	} else {
		rc = lttng_ctl_stop(rec->set.ctl, rec->run_name);
		if (rc < 0)
			log_error("LTTng could not stop the recording in order: %s",
				lttng_ctl_error(rc));
		info->raw_bytes = fs_tree_bytes(rec->staging.data);
		pack_run(rec, info, fd_out);
	}
	/* At the end of the program a daemon of our own goes, and the session with it. */
	if (info->end_reason != SESSION_END_EXIT || rec->set.user->is_shared)
		lttng_ctl_destroy(rec->set.ctl, rec->run_name);
	staging_remove(&rec->staging);
	sched_release(rec->set.sched);
	cpu_times_free(rec->cpu_begin);
	rec->cpu_begin = NULL;
}
