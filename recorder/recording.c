/* SPDX-License-Identifier: MIT */
/*
 * A run streams to disk through a session of its own and pauses the ring, so that no event is paid for twice. Whoever
 * asks for a run starts it; one worker thread watches time, size and disk, stops it and packs it. The rules
 * of who may do what when are session.c's; here they are carried out.
 */
#include "recorder/recording_internal.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log.h"
#include "proto/schema.h"
#include "recorder/procfs.h"

#define WATCH_NS 100000000ull
#define IDLE_NS 60000000000ull
/* See await_disconnect(). */
#define NOTICE_NS 100000000ull
#define DROP_NS 6000000000ull
/* In the ring the shorter system calls are only counted, so that it covers minutes. */
#define RING_SYSCALL_NS 10000
int64_t recording_real_ns(void)
{
	return g_get_real_time() * 1000;
}

int recording_refuse(char **why_out, int code, const char *sentence)
{
	*why_out = g_strdup(sentence);
	return code;
}

int recording_check_able(const struct recording *rec, char **why_out)
{
	if (rec->is_program_over)
		return recording_refuse(why_out, RECORDING_E_OVER, "The program has ended");
	if (!rec->set.ctl)
		return recording_refuse(why_out, RECORDING_E_UNTRACED, rec->set.untraced);
	if (rec->is_daemon_dead)
		return recording_refuse(why_out, RECORDING_E_FAILED,
			"The LTTng session daemon has died, so nothing more can be recorded; "
			"restart the "
			"program under trace-record");
	return 0;
}

int recording_refuse_busy(const struct recording *rec, char **why_out)
{
	if (rec->session.state == SESSION_ENDING)
		return recording_refuse(why_out, RECORDING_E_BUSY,
			"The last recording is just being written; try again when "
			"/debug/trace/status says idle");
	switch (rec->session.kind) {
	case SESSION_RUN:
		return recording_refuse(why_out, RECORDING_E_BUSY,
			"FlightRecorder is currently running; wait for its end or GET "
			"/debug/trace/recorder/stop");
	case SESSION_PPROF:
		return recording_refuse(why_out, RECORDING_E_BUSY,
			"A /debug/pprof/trace is being recorded; wait until its client has it");
	case SESSION_TRACE:
		return recording_refuse(why_out, RECORDING_E_BUSY,
			"The whole run is being recorded already (--trace); its file is written "
			"when the "
			"program ends");
	}
	return RECORDING_E_BUSY;
}

static void file_of_kind(const struct recording *rec, enum session_kind kind, char *path, size_t n)
{
	path[0] = '\0';
	if (kind == SESSION_RUN)
		snprintf(path, n, "%s/trace.out", rec->set.store->dir);
	else if (kind == SESSION_TRACE)
		g_strlcpy(path, rec->target.path, n);
}

void recording_wait_until(struct recording *rec, uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u),
	};

	pthread_cond_timedwait(&rec->changed, &rec->mutex, &ts);
}

/*
 * A client that went away is noticed within its handler's polling time, and its recording is then dropped: who asks in
 * that moment is not refused. Called with `mutex` held.
 */
static void await_disconnect(struct recording *rec)
{
	uint64_t now = procfs_now(), noticed = now + NOTICE_NS, dropped = now + DROP_NS;

	while (rec->session.state != SESSION_IDLE && rec->session.kind == SESSION_PPROF) {
		bool is_leaving = rec->session.reason == SESSION_END_DISCONNECT;

		if (procfs_now() >= (is_leaving ? dropped : noticed))
			return;
		recording_wait_until(rec, is_leaving ? dropped : noticed);
	}
}

/* Reserves the session; fills `current`. */
static int reserve(struct recording *rec, enum session_kind kind, uint64_t duration_ns,
	uint64_t *id_out, char **why_out)
{
	int rc;

	pthread_mutex_lock(&rec->mutex);
	await_disconnect(rec);
	rc = recording_check_able(rec, why_out);
	if (rc == 0 && session_begin(&rec->session, kind, duration_ns, id_out) == SESSION_E_BUSY)
		rc = recording_refuse_busy(rec, why_out);
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
		if (file)
			rec->target = store_file_take(file);
		rc = recording_stream_open(rec, id, why_out);
		if (rc)
			store_file_discard(&rec->target);
		pthread_mutex_lock(&rec->mutex);
		if (rc == 0) {
			session_started(&rec->session, id, procfs_now());
			rec->current.begin_ns = rec->session.begin_ns;
			rec->current.begin_real_ns = recording_real_ns();
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
	if (info->lost_events != UINT64_MAX)
		rec->lost_events += info->lost_events;
	session_finished(&rec->session, info->id);
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
}

/* Ends the recording that is on. Called without locks. */
static void finish(struct recording *rec)
{
	struct recording_info info;
	int fd = -1;

	pthread_mutex_lock(&rec->mutex);
	rec->current.end_ns = procfs_now();
	rec->current.end_reason = rec->session.reason;
	session_ending(&rec->session, rec->session.id);
	info = rec->current;
	pthread_mutex_unlock(&rec->mutex);
	recording_stream_finish(rec, &info, &fd);
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

static void *worker_main(void *arg)
{
	struct recording *rec = arg;

	pthread_setname_np(pthread_self(), "recording");
	pthread_mutex_lock(&rec->mutex);
	while (!rec->is_quitting) {
		uint64_t next, raw;
		enum session_end reason;

		if (rec->session.state != SESSION_RECORDING) {
			recording_wait_until(rec, procfs_now() + IDLE_NS);
			daemon_trim_log(rec->set.daemon);
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
			recording_wait_until(rec, next);
	}
	pthread_mutex_unlock(&rec->mutex);
	return NULL;
}

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
		recording_wait_until(rec, deadline);
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
		rc = recording_refuse(why_out, RECORDING_E_IDLE,
			"FlightRecorder not running; start it with "
			"/debug/trace/recorder/run?duration=30s");
	else if (rec->session.kind != SESSION_RUN)
		rc = recording_refuse_busy(rec, why_out);
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
		return recording_refuse(why_out, RECORDING_E_FAILED, info_out->error);
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

void recording_note_ring(struct recording *rec)
{
	pthread_mutex_lock(&rec->mutex);
	rec->is_ring_on = rec->ring.is_on;
	rec->ring_since_ns = rec->ring.since_ns;
	/* `number` is the next one's. */
	rec->ring_number = rec->ring.number - 1;
	pthread_mutex_unlock(&rec->mutex);
}

static void fill_control(const struct recording_settings *set)
{
	struct fr_control *control = set->rundir->control;

	control->version = FR_CONTROL_VERSION;
	control->events = set->options->events;
	control->lock_ns = set->options->lock_ns;
	control->syscall_ns = set->options->syscall_ns;
	control->ring_syscall_ns = MAX(set->options->syscall_ns, RING_SYSCALL_NS);
	control->alloc_rate = set->options->events & FR_EVENTS_ALLOC ? set->options->alloc_rate : 0;
	control->block_rate_ns = set->options->block_rate_ns;
	control->mutex_fraction = set->options->mutex_fraction;
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
		recording_note_ring(rec);
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

const char *recording_untraced(const struct recording *rec)
{
	return rec->set.untraced;
}

void recording_status(struct recording *rec, struct recording_status *status_out)
{
	g_autofree char *folder = NULL;

	memset(status_out, 0, sizeof(*status_out));
	status_out->untraced = rec->set.untraced;
	pthread_mutex_lock(&rec->mutex);
	status_out->has_current = rec->session.state != SESSION_IDLE;
	status_out->current = rec->current;
	status_out->current.state = rec->session.state;
	status_out->has_last = rec->has_last;
	status_out->last = rec->last;
	status_out->lost_events = rec->lost_events;
	status_out->is_ring_on = rec->is_ring_on;
	if (rec->is_ring_on)
		status_out->ring_window_ns = procfs_now() - rec->ring_since_ns;
	pthread_mutex_unlock(&rec->mutex);
	if (!rec->set.ctl)
		return;
	/* Geometry never changes. */
	status_out->ring_bytes = rec->set.ring.total_bytes;
	folder = ring_folder(rec->set.rundir->shm_parent, rec->ring_number);
	status_out->has_ring_held = ring_fill(folder, &rec->set.ring, &status_out->ring_held_bytes);
}
