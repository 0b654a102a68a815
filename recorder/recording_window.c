/* SPDX-License-Identifier: MIT */
/*
 * One run or trace. The ring is always on; a window copies what comes into it to disk, often enough that nothing is overtaken,
 * watches time, size and disk, and packs what it has when it ends. Each kind has a thread of its own, so that one
 * that is packed does not keep another from copying.
 */
#include "recorder/recording_internal.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/fs.h"
#include "common/log.h"
#include "recorder/procfs.h"
#include "recorder/sched.h"

#define IDLE_NS 60000000000ull
/* The disk is looked at so often at least. */
#define WATCH_NS 100000000ull
/* A third of a CPU's ring is not filled faster than in the time this gives: 250 MB/s is what a CPU can write. */
#define FASTEST_BYTES_PER_MS 250000u
#define MIN_PERIOD_NS 2000000ull
#define MAX_PERIOD_NS 50000000ull

static void count_on(struct recording *rec, int change)
{
	struct fr_control *control = rec->set.rundir->control;

	pthread_mutex_lock(&rec->mutex);
	rec->n_recording += (unsigned)change;
	/* Short system calls are recorded while anybody wants them. */
	__atomic_store_n(&control->is_run, rec->n_recording > 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&rec->mutex);
}

static char *part_dir(const struct window *window)
{
	return g_strdup_printf("%s/%u", window->staging.data, window->n_parts);
}

int window_open(struct window *window, char **why_out)
{
	struct recording *rec = window->rec;
	g_autofree char *dir = NULL;
	int rc =
		staging_create(rec->set.store->dir, 2 * STAGING_RESERVE, &window->staging, why_out);

	if (rc < 0)
		return rc == -ENOSPC ? RECORDING_E_DISK : RECORDING_E_FAILED;
	sched_hold(rec->set.sched);
	window->cpu_begin = cpu_times_take(rec->set.rundir->dir.path);
	memset(&window->losses, 0, sizeof(window->losses));
	window->n_parts = 0;
	dir = part_dir(window);
	count_on(rec, 1);
	pthread_mutex_lock(&rec->ring_mutex);
	pthread_mutex_lock(&window->read_mutex);
	rc = g_mkdir_with_parents(dir, 0700) < 0
		     ? -errno
		     : ring_read_new(rec->ring.folder, dir, RING_READ_NEW, &window->read);
	pthread_mutex_unlock(&window->read_mutex);
	pthread_mutex_unlock(&rec->ring_mutex);
	if (rc == 0) {
		window->begin_ns = procfs_now();
		return 0;
	}
	count_on(rec, -1);
	sched_release(rec->set.sched);
	cpu_times_free(window->cpu_begin);
	window->cpu_begin = NULL;
	staging_remove(&window->staging);
	*why_out = g_strdup_printf("The recording cannot be begun: %s", strerror(-rc));
	return RECORDING_E_FAILED;
}

/* Ends the reader. Returns 0 or -errno. Call with `read_mutex` held. */
static int end_part(struct window *window)
{
	struct ring_read_result result;
	int err = ring_read_finish(window->read, &result);

	recording_add_losses(&window->losses, &result);
	ring_read_free(window->read);
	window->read = NULL;
	window->n_parts++;
	return err;
}

void window_switch(struct window *window, const char *new_folder)
{
	int err = 0;

	pthread_mutex_lock(&window->read_mutex);
	if (window->read) {
		g_autofree char *dir = NULL;

		end_part(window);
		dir = part_dir(window);
		err = g_mkdir_with_parents(dir, 0700) < 0 ? -errno : 0;
		if (!err)
			err = ring_read_new(new_folder, dir, RING_READ_FIRST, &window->read);
	}
	pthread_mutex_unlock(&window->read_mutex);
	if (err)
		log_error("A recording cannot go on: %s", strerror(-err));
}

/* Copies what is new. Sets the bytes copied so far, and how far the ring was ahead (1/1000). 0 or -errno. */
static int drain(struct window *window, uint64_t *raw_out, unsigned *lag_out)
{
	int err = 0;

	*lag_out = 0;
	pthread_mutex_lock(&window->read_mutex);
	*raw_out = window->losses.n_bytes;
	if (window->read) {
		*lag_out = ring_read_lag(window->read);
		err = ring_read_drain(window->read);
		*raw_out += ring_read_bytes(window->read);
	}
	pthread_mutex_unlock(&window->read_mutex);
	return err;
}

/* What ends a recording besides time and size. NONE when it may go on. */
static enum session_end watch_disk(const struct window *window, uint64_t raw)
{
	const struct recording *rec = window->rec;
	/* Packed, a recording is a fifth of its raw size or less; a half is room enough. */
	uint64_t reserve_bytes = STAGING_RESERVE + raw / 2;

	if (fs_free_bytes(window->staging.data) < STAGING_RESERVE ||
		fs_free_bytes(rec->set.store->dir) < reserve_bytes)
		return SESSION_END_DISK_FULL;
	return SESSION_END_NONE;
}

/* Packing failed: the raw recording is worth more than nothing. */
static void keep_raw(struct window *window, struct recording_info *info, int err)
{
	g_autofree char *raw = staging_keep(&window->staging, window->rec->set.store->dir);

	snprintf(info->error, sizeof(info->error),
		"The trace could not be packed (%s); the raw recording is kept in %s",
		err == -ENOSPC ? "the disk is full" : strerror(-err), raw);
	log_error("%s", info->error);
	info->file[0] = '\0';
}

static int begin_output(struct window *window, enum session_kind kind, struct store_file *file_out)
{
	if (kind == SESSION_TRACE) {
		*file_out = store_file_take(&window->target);
		return 0;
	}
	return store_file_begin(window->rec->set.store, file_out);
}

static void pack(struct window *window, struct recording_info *info, int *fd_out)
{
	struct recording *rec = window->rec;
	struct store_file file = { .fd = -1 };
	struct pack_job job = recording_job(rec, &window->losses);
	int err;

	job.ust_dir = window->staging.data;
	job.mode = info->kind == SESSION_TRACE ? "trace" : "run";
	job.end_reason = session_end_name(info->end_reason);
	job.asked_ns = info->duration_ns;
	job.begin_ns = info->begin_ns;
	job.end_ns = info->end_ns;
	job.cpu_begin = window->cpu_begin;
	if (info->end_reason == SESSION_END_SIZE_CAP)
		pack_add_note(&job, "The recording ended early: it reached --max-trace-size");
	if (info->end_reason == SESSION_END_DISK_FULL)
		pack_add_note(&job, "The recording ended early: the disk was nearly full");
	if (window->n_parts > 1)
		pack_add_note(&job,
			"A process that was killed within an event blocked a CPU's ring, and it "
			"was "
			"renewed: events since it was blocked, and of the moment that the change "
			"took, are missing");
	err = begin_output(window, info->kind, &file);
	if (!err)
		err = recording_pack(
			rec, &job, &file, info->kind == SESSION_PPROF ? fd_out : NULL, info);
	if (err)
		keep_raw(window, info, err);
}

/* Ends the recording that is on and writes its file. Called without locks. */
static void finish(struct window *window)
{
	struct recording *rec = window->rec;
	struct recording_info info;
	int fd = -1, err;

	pthread_mutex_lock(&rec->mutex);
	window->current.end_ns = procfs_now();
	window->current.end_reason = window->session.reason;
	session_ending(&window->session, window->session.id);
	info = window->current;
	pthread_mutex_unlock(&rec->mutex);
	recording_settle(rec);
	pthread_mutex_lock(&window->read_mutex);
	err = window->read ? end_part(window) : 0;
	pthread_mutex_unlock(&window->read_mutex);
	count_on(rec, -1);
	info.raw_bytes = window->losses.n_bytes;
	if (info.end_reason == SESSION_END_DISCONNECT) {
		/* Nobody wants the data. */
		store_file_discard(&window->target);
	} else {
		if (err)
			log_error("The end of a recording is missing: %s", strerror(-err));
		pack(window, &info, &fd);
	}
	staging_remove(&window->staging);
	sched_release(rec->set.sched);
	cpu_times_free(window->cpu_begin);
	window->cpu_begin = NULL;
	info.state = SESSION_IDLE;
	recording_publish(rec, &info, fd);
}

/* How long to wait until the next copy, so that the ring never gets more than a third ahead. */
static uint64_t next_period(const struct recording *rec, uint64_t period, unsigned lag)
{
	const struct lttng_geometry *ring = &rec->set.ring;
	uint64_t third = ring->subbuf_bytes * ring->n_subbuf / 3;
	uint64_t longest = third / FASTEST_BYTES_PER_MS * 1000000;

	longest = CLAMP(longest, MIN_PERIOD_NS, MAX_PERIOD_NS);
	if (lag > 150)
		period /= 2;
	else if (lag < 50)
		period += period / 2;
	return CLAMP(period, MIN_PERIOD_NS / 2, longest);
}

/* Sees one recording through. Called with the recording's `mutex` held. */
static void record(struct window *window)
{
	struct recording *rec = window->rec;
	uint64_t period = MIN_PERIOD_NS, watched = 0;

	while (!session_is_due(&window->session, procfs_now())) {
		enum session_end reason = SESSION_END_NONE;
		uint64_t raw, next;
		unsigned lag;
		int err;

		pthread_mutex_unlock(&rec->mutex);
		err = drain(window, &raw, &lag);
		raw += sched_spool_bytes(rec->set.sched);
		if (err)
			reason = SESSION_END_DISK_FULL;
		else if (raw >= rec->set.options->max_trace_bytes)
			reason = SESSION_END_SIZE_CAP;
		else if (procfs_now() - watched >= WATCH_NS) {
			watched = procfs_now();
			reason = watch_disk(window, raw);
		}
		pthread_mutex_lock(&rec->mutex);
		window->current.raw_bytes = raw;
		if (reason != SESSION_END_NONE)
			session_end(&window->session, window->session.id, reason);
		period = next_period(rec, period, lag);
		next = procfs_now() + period;
		if (window->session.deadline_ns)
			next = MIN(next, window->session.deadline_ns);
		/* An end that was asked for meanwhile has signalled already. */
		if (window->session.reason == SESSION_END_NONE)
			recording_wait_until(rec, next);
	}
	pthread_mutex_unlock(&rec->mutex);
	finish(window);
	pthread_mutex_lock(&rec->mutex);
}

void *window_main(void *arg)
{
	struct window *window = arg;
	struct recording *rec = window->rec;

	pthread_setname_np(
		pthread_self(), session_kind_name((enum session_kind)(window - rec->windows)));
	pthread_mutex_lock(&rec->mutex);
	while (!rec->is_quitting) {
		if (window->session.state == SESSION_RECORDING)
			record(window);
		else
			recording_wait_until(rec, procfs_now() + IDLE_NS);
	}
	pthread_mutex_unlock(&rec->mutex);
	return NULL;
}
