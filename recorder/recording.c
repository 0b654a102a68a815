/* SPDX-License-Identifier: MIT */
/*
 * The ring is always on. A run or trace is a window over it, copied to disk while it lasts (recording_window.c); a snapshot
 * is what the ring holds (recording_snapshot.c). One window of each kind may be on, snapshots at any time. The
 * rules of who may begin and end what are session.c's; here they are carried out.
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

/* A thread that has read the clock for an event and was put off the CPU then writes it a little later. */
#define SETTLE_US 2000
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

/* 0 when something new can be recorded, else RECORDING_E_*. Call with `mutex` held. */
static int check_able(const struct recording *rec, char **why_out)
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

/* RECORDING_E_BUSY with words for the recording that is on. Call with `mutex` held. */
static int refuse_busy(const struct window *window, char **why_out)
{
	if (window->session.state == SESSION_ENDING)
		return recording_refuse(why_out, RECORDING_E_BUSY,
			"The last recording is just being written; try again when "
			"/debug/trace/status says idle");
	switch (window->session.kind) {
	case SESSION_RUN:
		return recording_refuse(why_out, RECORDING_E_BUSY,
			"FlightRecorder is currently running; wait for its end or GET "
			"/debug/trace/recorder/stop");
	case SESSION_PPROF:
		return recording_refuse(why_out, RECORDING_E_BUSY,
			"A /debug/pprof/trace is being recorded; wait until its client has it");
	case SESSION_TRACE:
	case SESSION_N_KINDS:
		break;
	}
	return recording_refuse(
		why_out, RECORDING_E_BUSY, "The whole run is being recorded already (--trace)");
}

static void file_of_kind(const struct window *window, enum session_kind kind, char *path, size_t n)
{
	path[0] = '\0';
	if (kind == SESSION_RUN)
		snprintf(path, n, "%s/trace.out", window->rec->set.store->dir);
	else if (kind == SESSION_TRACE)
		g_strlcpy(path, window->target.path, n);
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
	struct session *session = &rec->windows[SESSION_PPROF].session;
	uint64_t now = procfs_now(), noticed = now + NOTICE_NS, dropped = now + DROP_NS;

	while (session->state != SESSION_IDLE) {
		bool is_leaving = session->reason == SESSION_END_DISCONNECT;

		if (procfs_now() >= (is_leaving ? dropped : noticed))
			return;
		recording_wait_until(rec, is_leaving ? dropped : noticed);
	}
}

/* Reserves the window of a kind; fills `current`. */
static int reserve(
	struct window *window, enum session_kind kind, uint64_t duration_ns, char **why_out)
{
	struct recording *rec = window->rec;
	uint64_t id;
	int rc;

	pthread_mutex_lock(&rec->mutex);
	if (kind == SESSION_PPROF)
		await_disconnect(rec);
	rc = check_able(rec, why_out);
	/* One count of numbers for all kinds. */
	if (rc == 0 && window->session.state == SESSION_IDLE)
		window->session.id = rec->last_id;
	if (rc == 0 && session_begin(&window->session, kind, duration_ns, &id) == SESSION_E_BUSY)
		rc = refuse_busy(window, why_out);
	if (rc == 0) {
		rec->last_id = id;
		window->current = (struct recording_info){
			.id = id,
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
	struct window *window = &rec->windows[kind];
	int rc = reserve(window, kind, duration_ns, why_out);

	if (rc == 0) {
		if (file)
			window->target = store_file_take(file);
		rc = window_open(window, why_out);
		if (rc)
			store_file_discard(&window->target);
		pthread_mutex_lock(&rec->mutex);
		if (rc == 0) {
			session_started(&window->session, window->session.id, window->begin_ns);
			window->current.begin_ns = window->session.begin_ns;
			window->current.begin_real_ns = recording_real_ns();
			window->current.state = SESSION_RECORDING;
			file_of_kind(
				window, kind, window->current.file, sizeof(window->current.file));
			*info_out = window->current;
		} else {
			session_finished(&window->session, window->session.id);
		}
		pthread_cond_broadcast(&rec->changed);
		pthread_mutex_unlock(&rec->mutex);
	}
	if (rc != 0 && file && file->fd >= 0)
		store_file_discard(file);
	return rc;
}

void recording_publish(struct recording *rec, const struct recording_info *info, int fd)
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
	session_finished(&rec->windows[info->kind].session, info->id);
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
}

void recording_add_losses(struct ring_read_result *sum, const struct ring_read_result *part)
{
	sum->n_bytes += part->n_bytes;
	sum->lost_events += part->lost_events;
	sum->lost_packets += part->lost_packets;
	sum->torn_packets += part->torn_packets;
	sum->torn_bytes += part->torn_bytes;
	sum->complete_ns = MAX(sum->complete_ns, part->complete_ns);
}

void recording_settle(struct recording *rec)
{
	bool is_over;

	pthread_mutex_lock(&rec->mutex);
	is_over = rec->is_program_over;
	pthread_mutex_unlock(&rec->mutex);
	if (!is_over)
		g_usleep(SETTLE_US);
}

/* Whether recording `id` is still on. NULL: it is over, or never was. Called with `mutex` held. */
static struct window *find_window(struct recording *rec, uint64_t id)
{
	for (size_t i = 0; i < SESSION_N_KINDS; i++) {
		struct window *window = &rec->windows[i];

		if (window->session.state != SESSION_IDLE && window->session.id == id)
			return window;
	}
	return NULL;
}

void recording_end(struct recording *rec, uint64_t id, enum session_end reason)
{
	struct window *window;

	pthread_mutex_lock(&rec->mutex);
	window = find_window(rec, id);
	if (window)
		session_end(&window->session, id, reason);
	pthread_cond_broadcast(&rec->changed);
	pthread_mutex_unlock(&rec->mutex);
}

int recording_wait(
	struct recording *rec, uint64_t id, unsigned timeout_ms, struct recording_info *info_out)
{
	uint64_t deadline = procfs_now() + timeout_ms * 1000000ull;
	int rc = 0;

	pthread_mutex_lock(&rec->mutex);
	while (find_window(rec, id) && procfs_now() < deadline)
		recording_wait_until(rec, deadline);
	if (find_window(rec, id))
		rc = RECORDING_E_TIMEOUT;
	else if (rec->results[id % N_RESULTS].info.id == id)
		*info_out = rec->results[id % N_RESULTS].info;
	pthread_mutex_unlock(&rec->mutex);
	return rc;
}

int recording_stop(struct recording *rec, struct recording_info *info_out, char **why_out)
{
	struct window *window = &rec->windows[SESSION_RUN];
	uint64_t id = 0;
	int rc = 0;

	pthread_mutex_lock(&rec->mutex);
	if (window->session.state == SESSION_IDLE) {
		rc = recording_refuse(why_out, RECORDING_E_IDLE,
			"FlightRecorder not running; start it with "
			"/debug/trace/recorder/run?duration=30s");
	} else {
		id = window->session.id;
		session_end(&window->session, id, SESSION_END_STOP);
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

static int start_threads(struct recording *rec)
{
	for (size_t i = 0; i < SESSION_N_KINDS; i++) {
		struct window *window = &rec->windows[i];

		if (pthread_create(&window->worker, NULL, window_main, window) != 0)
			return -EAGAIN;
		window->is_worker = true;
	}
	if (!rec->set.ctl)
		return 0;
	if (pthread_create(&rec->ring_watcher, NULL, rings_watch, rec) != 0)
		return -EAGAIN;
	rec->is_watcher = true;
	return 0;
}

static void init(struct recording *rec)
{
	pthread_condattr_t attr;

	for (size_t i = 0; i < SESSION_N_KINDS; i++) {
		rec->windows[i].rec = rec;
		rec->windows[i].target.fd = -1;
		pthread_mutex_init(&rec->windows[i].read_mutex, NULL);
	}
	for (size_t i = 0; i < N_RESULTS; i++)
		rec->results[i].fd = -1;
	pthread_mutex_init(&rec->mutex, NULL);
	pthread_mutex_init(&rec->ring_mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rec->changed, &attr);
	pthread_condattr_destroy(&attr);
}

int recording_new(
	const struct recording_settings *settings, struct recording **recording_out, char **why_out)
{
	struct recording *rec = g_new0(struct recording, 1);
	int rc = 0;

	rec->set = *settings;
	init(rec);
	if (settings->ctl) {
		fill_control(settings);
		rc = rings_open(rec);
		if (rc < 0)
			*why_out = g_strdup_printf(
				"LTTng cannot start the flight recorder: %s", lttng_ctl_error(rc));
	}
	if (rc == 0 && start_threads(rec) < 0) {
		*why_out = g_strdup("Cannot start a thread");
		rc = -EAGAIN;
	}
	if (rc < 0) {
		recording_free(rec);
		return -EIO;
	}
	*recording_out = rec;
	return 0;
}

/* Asks all windows to end. Called with `mutex` held. */
static void end_all(struct recording *rec, enum session_end reason)
{
	for (size_t i = 0; i < SESSION_N_KINDS; i++)
		session_end(&rec->windows[i].session, rec->windows[i].session.id, reason);
	pthread_cond_broadcast(&rec->changed);
}

static bool is_idle(const struct recording *rec)
{
	for (size_t i = 0; i < SESSION_N_KINDS; i++) {
		if (rec->windows[i].session.state != SESSION_IDLE)
			return false;
	}
	return !rec->is_snapshot_on;
}

void recording_program_ended(struct recording *rec)
{
	pthread_mutex_lock(&rec->mutex);
	rec->is_program_over = true;
	end_all(rec, SESSION_END_EXIT);
	while (!is_idle(rec))
		pthread_cond_wait(&rec->changed, &rec->mutex);
	pthread_mutex_unlock(&rec->mutex);
}

void recording_daemon_died(struct recording *rec)
{
	pthread_mutex_lock(&rec->mutex);
	rec->is_daemon_dead = true;
	end_all(rec, SESSION_END_STOP);
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
	for (size_t i = 0; i < SESSION_N_KINDS; i++) {
		if (rec->windows[i].is_worker)
			pthread_join(rec->windows[i].worker, NULL);
		pthread_mutex_destroy(&rec->windows[i].read_mutex);
	}
	if (rec->is_watcher)
		pthread_join(rec->ring_watcher, NULL);
	if (rec->set.ctl)
		rings_close(rec);
	for (size_t i = 0; i < N_RESULTS; i++) {
		if (rec->results[i].fd >= 0)
			close(rec->results[i].fd);
	}
	pthread_mutex_destroy(&rec->mutex);
	pthread_mutex_destroy(&rec->ring_mutex);
	pthread_cond_destroy(&rec->changed);
	g_free(rec->ring_folder);
	g_free(rec->death);
	g_free(rec);
}

const char *recording_untraced(const struct recording *rec)
{
	return rec->set.untraced;
}
