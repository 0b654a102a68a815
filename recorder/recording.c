/* SPDX-License-Identifier: MIT */
/*
 * A run streams to disk through a session of its own and pauses the ring, so that no event is paid for twice. Whoever
 * asks for a run starts it; one worker thread watches time, size and disk, stops it and packs it. The rules
 * of who may do what when are session.c's; here they are carried out.
 *
 * Locks: `mutex` guards session, results and flags and is never held across LTTng or disk work; `ring_mutex` guards
 * the ring and is taken without `mutex`.
 */
#include "recorder/recording.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log.h"
#include "common/units.h"
#include "proto/schema.h"
#include "recorder/pack.h"
#include "recorder/procfs.h"
#include "recorder/ring.h"
#include "recorder/staging.h"
#include "recorder/trace_out.h"

#define WATCH_NS 100000000ull
/* In the ring the shorter system calls are only counted, so that it covers minutes. */
#define RING_SYSCALL_NS 10000
/* Finished recordings that a late waiter can still ask about. */
#define N_RESULTS 8

#define RUN_BUFFER_BYTES (32ull << 20)
#define RUN_BUFFER_PER_CPU (2ull << 20)

struct result {
	struct recording_info info;
	int fd; /* owned; -1: none */
};

struct recording {
	struct recording_settings set;
	pthread_t worker;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* CLOCK_MONOTONIC; any change below */
	struct session session;
	struct recording_info current;	  /* valid unless session is idle */
	struct result results[N_RESULTS]; /* by id */
	struct recording_info
		last; /* newest finished run, trace or snapshot; id 0 and no snapshot: none */
	bool has_last, is_snapshot_on, is_program_over, is_quitting, is_daemon_dead;

	/* Of the recording that is on; used by its starter, then by the worker. */
	char run_name[64];
	struct staging staging;
	struct store_file target; /* of --trace; fd -1 otherwise */
	struct cpu_times *cpu_begin;
	bool is_ring_dirty;

	pthread_mutex_t ring_mutex;
	struct ring ring;
};

static int64_t real_ns(void)
{
	return g_get_real_time() * 1000;
}

static int refuse(char **why_out, int code, const char *sentence)
{
	*why_out = g_strdup(sentence);
	return code;
}

/* The recorder cannot record at all just now; 0 when it can. Called with `mutex` held. */
static int check_able(const struct recording *rec, char **why_out)
{
	if (rec->is_program_over)
		return refuse(why_out, RECORDING_E_OVER, "The program has ended");
	if (!rec->set.ctl)
		return refuse(why_out, RECORDING_E_UNTRACED, rec->set.untraced);
	if (rec->is_daemon_dead)
		return refuse(why_out, RECORDING_E_FAILED,
			"The LTTng session daemon has died, so nothing more can be recorded; "
			"restart the "
			"program under trace-record");
	return 0;
}

static int refuse_busy(const struct recording *rec, char **why_out)
{
	switch (rec->session.kind) {
	case SESSION_RUN:
		return refuse(why_out, RECORDING_E_BUSY,
			"FlightRecorder is currently running; wait for its end or GET "
			"/debug/trace/recorder/stop");
	case SESSION_PPROF:
		return refuse(why_out, RECORDING_E_BUSY,
			"A /debug/pprof/trace is being recorded; wait until its client has it");
	case SESSION_TRACE:
		return refuse(why_out, RECORDING_E_BUSY,
			"The whole run is being recorded already (--trace); its file is written "
			"when the "
			"program ends");
	}
	return RECORDING_E_BUSY;
}

/* ---- the run's LTTng session ---- */

/* Makes and starts the streaming session. 0 or RECORDING_E_*. */
static int stream_open(struct recording *rec, uint64_t id, char **why_out)
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
	pthread_mutex_unlock(&rec->ring_mutex);
}

static void run_to_ring(struct recording *rec)
{
	int rc;

	pthread_mutex_lock(&rec->ring_mutex);
	__atomic_store_n(&rec->set.rundir->control->is_run, 0, __ATOMIC_RELAXED);
	rc = rec->is_ring_dirty ? ring_replace(&rec->ring) : ring_resume(&rec->ring);
	pthread_mutex_unlock(&rec->ring_mutex);
	if (rc < 0 && !rec->is_daemon_dead)
		log_error(
			"The flight recorder did not go on after the run: %s", lttng_ctl_error(rc));
}

/* ---- start ---- */

static void file_of_kind(const struct recording *rec, enum session_kind kind, char *path, size_t n)
{
	path[0] = '\0';
	if (kind == SESSION_RUN)
		snprintf(path, n, "%s/trace.out", rec->set.store->dir);
	else if (kind == SESSION_TRACE)
		g_strlcpy(path, rec->target.path, n);
}

/* Reserves the session; fills `current`. */
static int reserve(struct recording *rec, enum session_kind kind, uint64_t duration_ns,
	uint64_t *id_out, char **why_out)
{
	int rc;

	pthread_mutex_lock(&rec->mutex);
	rc = check_able(rec, why_out);
	if (rc == 0 && session_begin(&rec->session, kind, duration_ns, id_out) == SESSION_E_BUSY)
		rc = refuse_busy(rec, why_out);
	if (rc == 0) {
		rec->current = (struct recording_info){
			.id = *id_out,
			.kind = kind,
			.duration_ns = duration_ns,
		};
	}
	pthread_mutex_unlock(&rec->mutex);
	return rc;
}

int recording_start(struct recording *rec, enum session_kind kind, uint64_t duration_ns,
	struct store_file *file, struct recording_info *info_out, char **why_out)
{
	uint64_t id;
	int rc = reserve(rec, kind, duration_ns, &id, why_out);

	if (rc == 0) {
		if (file) {
			rec->target = *file;
			file->fd = -1;
		}
		rc = stream_open(rec, id, why_out);
		if (rc == 0) {
			rec->cpu_begin = cpu_times_take(rec->set.rundir->dir.path);
			ring_to_run(rec);
		} else {
			store_file_discard(&rec->target);
		}
		pthread_mutex_lock(&rec->mutex);
		if (rc == 0) {
			session_started(&rec->session, id, procfs_now());
			rec->current.begin_ns = rec->session.begin_ns;
			rec->current.begin_real_ns = real_ns();
			rec->current.state = SESSION_RECORDING;
			file_of_kind(rec, kind, rec->current.file, sizeof(rec->current.file));
			*info_out = rec->current;
		} else {
			session_finished(&rec->session, id);
		}
		pthread_cond_broadcast(&rec->changed);
		pthread_mutex_unlock(&rec->mutex);
	}
	if (rc != 0 && file && file->fd >= 0)
		store_file_discard(file);
	return rc;
}

/* ---- end and packing, by the worker ---- */

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
		*file_out = rec->target;
		rec->target.fd = -1;
		return 0;
	}
	return store_file_begin(rec->set.store, file_out);
}

/* Packs what lies in `ust_dir` into `file`, and publishes or detaches it. 0 or -errno. */
static int pack_into(struct recording *rec, const struct pack_job *job, struct store_file *file,
	int *fd_out, struct recording_info *info)
{
	struct trace_out_result result = { 0 };
	int err = pack_write(job, file->fd, &result);

	if (result.end_ns > result.begin_ns)
		info->covered_ns = result.end_ns - result.begin_ns;
	info->lost_events = result.lost_events;
	info->lost_packets = result.lost_packets;
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
	pack_add_note(&job, rec->set.note);
	if (info->end_reason == SESSION_END_SIZE_CAP)
		pack_add_note(&job, "The recording ended early: it reached --max-trace-size");
	if (info->end_reason == SESSION_END_DISK_FULL)
		pack_add_note(&job, "The recording ended early: the disk was nearly full");
	err = begin_output(rec, info->kind, &file);
	if (!err)
		err = pack_into(
			rec, &job, &file, info->kind == SESSION_PPROF ? fd_out : NULL, info);
	if (err)
		keep_raw(rec, info, err);
}

static void publish_result(struct recording *rec, const struct recording_info *info, int fd)
{
	struct result *result = &rec->results[info->id % N_RESULTS];

	pthread_mutex_lock(&rec->mutex);
	if (result->fd >= 0)
		close(result->fd);
	result->info = *info;
	result->fd = fd;
	rec->last = *info;
	rec->has_last = true;
	session_finished(&rec->session, info->id);
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
}

/* Ends the recording that is on. Called without locks. */
static void finish(struct recording *rec)
{
	struct recording_info info;
	int fd = -1, rc;

	pthread_mutex_lock(&rec->mutex);
	rec->current.end_ns = procfs_now();
	rec->current.end_reason = rec->session.reason;
	rec->current.state = SESSION_ENDING;
	session_ending(&rec->session, rec->session.id);
	info = rec->current;
	pthread_mutex_unlock(&rec->mutex);
	/* The ring first: stopping a stream takes up to 350 ms, which it shall not miss. */
	run_to_ring(rec);
	rc = lttng_ctl_stop(rec->set.ctl, rec->run_name);
	if (rc < 0)
		log_error("LTTng could not stop the recording in order: %s", lttng_ctl_error(rc));
	info.raw_bytes = fs_tree_bytes(rec->staging.data);
	if (info.end_reason == SESSION_END_DISCONNECT)
		store_file_discard(&rec->target);
	else
		pack_run(rec, &info, &fd);
	lttng_ctl_destroy(rec->set.ctl, rec->run_name);
	staging_remove(&rec->staging);
	cpu_times_free(rec->cpu_begin);
	rec->cpu_begin = NULL;
	info.state = SESSION_IDLE;
	publish_result(rec, &info, fd);
}

/* What ends a recording besides time: its size and the disk. NONE when it may go on. */
static enum session_end watch_disk(struct recording *rec, uint64_t *raw_out)
{
	uint64_t raw = fs_tree_bytes(rec->staging.data);
	/* Packed, a recording is a fifth of its raw size or less; a half is room enough. */
	uint64_t reserve_bytes = STAGING_RESERVE + raw / 2;

	*raw_out = raw;
	if (raw >= rec->set.options->max_trace_bytes)
		return SESSION_END_SIZE_CAP;
	if (fs_free_bytes(rec->staging.data) < STAGING_RESERVE ||
		fs_free_bytes(rec->set.store->dir) < reserve_bytes)
		return SESSION_END_DISK_FULL;
	return SESSION_END_NONE;
}

static void wait_until(struct recording *rec, uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u),
	};

	pthread_cond_timedwait(&rec->changed, &rec->mutex, &ts);
}

static void *worker_main(void *arg)
{
	struct recording *rec = arg;

	pthread_setname_np(pthread_self(), "recording");
	pthread_mutex_lock(&rec->mutex);
	while (!rec->is_quitting) {
		uint64_t next, raw;
		enum session_end reason;

		if (rec->session.state != SESSION_RECORDING) {
			pthread_cond_wait(&rec->changed, &rec->mutex);
			continue;
		}
		if (session_is_due(&rec->session, procfs_now())) {
			pthread_mutex_unlock(&rec->mutex);
			finish(rec);
			pthread_mutex_lock(&rec->mutex);
			continue;
		}
		pthread_mutex_unlock(&rec->mutex);
		reason = watch_disk(rec, &raw);
		pthread_mutex_lock(&rec->mutex);
		rec->current.raw_bytes = raw;
		if (reason != SESSION_END_NONE)
			session_end(&rec->session, rec->session.id, reason);
		next = procfs_now() + WATCH_NS;
		if (rec->session.deadline_ns)
			next = MIN(next, rec->session.deadline_ns);
		/* An end that was asked for meanwhile has signalled already. */
		if (rec->session.reason == SESSION_END_NONE)
			wait_until(rec, next);
	}
	pthread_mutex_unlock(&rec->mutex);
	return NULL;
}

/* ---- stop and wait ---- */

void recording_end(struct recording *rec, uint64_t id, enum session_end reason)
{
	pthread_mutex_lock(&rec->mutex);
	session_end(&rec->session, id, reason);
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
}

/* Called with `mutex` held. */
static bool is_finished(const struct recording *rec, uint64_t id)
{
	return rec->session.id != id || rec->session.state == SESSION_IDLE;
}

int recording_wait(
	struct recording *rec, uint64_t id, unsigned timeout_ms, struct recording_info *info_out)
{
	uint64_t deadline = procfs_now() + timeout_ms * 1000000ull;
	int rc = 0;

	pthread_mutex_lock(&rec->mutex);
	while (!is_finished(rec, id) && procfs_now() < deadline)
		wait_until(rec, deadline);
	if (!is_finished(rec, id))
		rc = RECORDING_E_TIMEOUT;
	else if (rec->results[id % N_RESULTS].info.id == id)
		*info_out = rec->results[id % N_RESULTS].info;
	pthread_mutex_unlock(&rec->mutex);
	return rc;
}

int recording_stop(struct recording *rec, struct recording_info *info_out, char **why_out)
{
	uint64_t id = 0;
	int rc;

	pthread_mutex_lock(&rec->mutex);
	if (rec->session.state == SESSION_IDLE)
		rc = refuse(why_out, RECORDING_E_IDLE,
			"FlightRecorder not running; start it with "
			"/debug/trace/recorder/run?duration=30s");
	else if (rec->session.kind != SESSION_RUN)
		rc = refuse_busy(rec, why_out);
	else
		rc = 0;
	if (rc == 0) {
		id = rec->session.id;
		session_end(&rec->session, id, SESSION_END_STOP);
		pthread_cond_broadcast(&rec->changed);
	}
	pthread_mutex_unlock(&rec->mutex);
	if (rc)
		return rc;
	*info_out = (struct recording_info){ .id = id };
	while (recording_wait(rec, id, 1000, info_out) == RECORDING_E_TIMEOUT)
		continue;
	if (info_out->error[0])
		return refuse(why_out, RECORDING_E_FAILED, info_out->error);
	return 0;
}

int recording_take_file(struct recording *rec, uint64_t id)
{
	struct result *result = &rec->results[id % N_RESULTS];
	int fd = -1;

	pthread_mutex_lock(&rec->mutex);
	if (result->info.id == id) {
		fd = result->fd;
		result->fd = -1;
	}
	pthread_mutex_unlock(&rec->mutex);
	return fd;
}

/* ---- snapshot ---- */

static int snapshot_reserve(struct recording *rec, char **why_out)
{
	int rc;

	pthread_mutex_lock(&rec->mutex);
	rc = check_able(rec, why_out);
	if (rc == 0 && rec->is_snapshot_on)
		rc = refuse(why_out, RECORDING_E_SNAPSHOT,
			"Another snapshot is being written; try again when it is complete");
	else if (rc == 0 && rec->session.state != SESSION_IDLE && rec->session.kind == SESSION_RUN)
		rc = refuse(why_out, RECORDING_E_BUSY,
			"A run is on and has paused the flight recorder; GET "
			"/debug/trace/recorder/stop "
			"first, or wait for its end");
	else if (rc == 0 && rec->session.state != SESSION_IDLE)
		rc = refuse_busy(rec, why_out);
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

static int snapshot_pack(struct recording *rec, const struct staging *staging, bool is_dirty,
	int *fd_out, struct recording_info *info)
{
	struct pack_job job = {
		.options = rec->set.options,
		.rundir = rec->set.rundir->dir.path,
		.ust_dir = staging->data,
		.mode = "snapshot",
		.end_reason = "",
		.end_ns = info->end_ns,
	};
	struct store_file file;
	int err;

	pack_add_note(&job, rec->set.untraced);
	pack_add_note(&job, rec->set.note);
	if (is_dirty)
		pack_add_note(&job,
			"A traced process was killed while the flight recorder was on; if it died "
			"within an event, one CPU's newest events are missing");
	err = store_file_begin(rec->set.store, &file);
	return err ? err : pack_into(rec, &job, &file, fd_out, info);
}

/* A dead writer has blocked a CPU's buffer, as the lost events show: only a new session cures that. */
static void unwedge(struct recording *rec)
{
	int rc;

	pthread_mutex_lock(&rec->ring_mutex);
	rc = rec->ring.is_on ? ring_replace(&rec->ring) : 0;
	pthread_mutex_unlock(&rec->ring_mutex);
	if (rc < 0)
		log_error("The flight recorder could not be renewed: %s", lttng_ctl_error(rc));
}

int recording_snapshot(
	struct recording *rec, int *fd_out, struct recording_info *info_out, char **why_out)
{
	struct recording_info info = { .is_snapshot = true, .begin_real_ns = real_ns() };
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
		err = snapshot_pack(rec, &staging, is_dirty, fd_out, &info);
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
	if (!fd_out && (rc == 0 || info.error[0])) {
		rec->last = info;
		rec->has_last = true;
	}
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
	*info_out = info;
	return rc;
}

/* ---- life ---- */

static void fill_control(const struct recording_settings *set)
{
	struct fr_control *control = set->rundir->control;

	control->version = FR_CONTROL_VERSION;
	control->events = set->options->events;
	control->lock_ns = set->options->lock_ns;
	control->syscall_ns = set->options->syscall_ns;
	control->ring_syscall_ns = MAX(set->options->syscall_ns, RING_SYSCALL_NS);
	control->alloc_rate = set->options->events & FR_EVENTS_ALLOC ? set->options->alloc_rate : 0;
	control->stack_depth = set->options->stack_depth;
	control->recorder_pid = (uint32_t)getpid();
	/* Last: a page without the magic number is not looked at. */
	__atomic_store_n(&control->magic, FR_CONTROL_MAGIC, __ATOMIC_RELEASE);
}

int recording_new(
	const struct recording_settings *settings, struct recording **recording_out, char **why_out)
{
	struct recording *rec = g_new0(struct recording, 1);
	pthread_condattr_t attr;
	int rc = 0;

	rec->set = *settings;
	rec->target.fd = -1;
	for (size_t i = 0; i < N_RESULTS; i++)
		rec->results[i].fd = -1;
	pthread_mutex_init(&rec->mutex, NULL);
	pthread_mutex_init(&rec->ring_mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rec->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (settings->ctl) {
		fill_control(settings);
		rec->ring = (struct ring){
			.ctl = settings->ctl,
			.rundir = settings->rundir,
			.geometry = settings->ring,
			.events = settings->options->events,
		};
		rc = ring_open(&rec->ring);
		if (rc < 0)
			*why_out = g_strdup_printf(
				"LTTng cannot start the flight recorder: %s", lttng_ctl_error(rc));
	}
	if (rc == 0 && pthread_create(&rec->worker, NULL, worker_main, rec) != 0) {
		*why_out = g_strdup("Cannot start a thread");
		rc = -EAGAIN;
	}
	if (rc < 0) {
		g_free(rec);
		return -EIO;
	}
	*recording_out = rec;
	return 0;
}

void recording_program_ended(struct recording *rec)
{
	pthread_mutex_lock(&rec->mutex);
	rec->is_program_over = true;
	session_end(&rec->session, rec->session.id, SESSION_END_EXIT);
	pthread_cond_broadcast(&rec->changed);
	while (rec->session.state != SESSION_IDLE || rec->is_snapshot_on)
		pthread_cond_wait(&rec->changed, &rec->mutex);
	pthread_mutex_unlock(&rec->mutex);
}

void recording_daemon_died(struct recording *rec)
{
	pthread_mutex_lock(&rec->mutex);
	rec->is_daemon_dead = true;
	session_end(&rec->session, rec->session.id, SESSION_END_STOP);
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
}

void recording_free(struct recording *rec)
{
	if (!rec)
		return;
	pthread_mutex_lock(&rec->mutex);
	rec->is_quitting = true;
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
	pthread_join(rec->worker, NULL);
	if (rec->set.ctl)
		ring_close(&rec->ring);
	for (size_t i = 0; i < N_RESULTS; i++) {
		if (rec->results[i].fd >= 0)
			close(rec->results[i].fd);
	}
	pthread_mutex_destroy(&rec->mutex);
	pthread_mutex_destroy(&rec->ring_mutex);
	pthread_cond_destroy(&rec->changed);
	g_free(rec);
}

void recording_status(struct recording *rec, struct recording_status *status_out)
{
	memset(status_out, 0, sizeof(*status_out));
	status_out->untraced = rec->set.untraced;
	pthread_mutex_lock(&rec->mutex);
	status_out->has_current = rec->session.state != SESSION_IDLE;
	status_out->current = rec->current;
	status_out->current.state = rec->session.state;
	status_out->has_last = rec->has_last;
	status_out->last = rec->last;
	pthread_mutex_unlock(&rec->mutex);
	if (!rec->set.ctl)
		return;
	pthread_mutex_lock(&rec->ring_mutex);
	status_out->is_ring_on = rec->ring.is_on;
	status_out->ring_bytes = rec->ring.geometry.total_bytes;
	if (rec->ring.is_on)
		status_out->ring_window_ns = procfs_now() - rec->ring.since_ns;
	pthread_mutex_unlock(&rec->ring_mutex);
}
