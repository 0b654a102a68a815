/* SPDX-License-Identifier: MIT */
/* What is common to all files that are written. */
#include "recorder/recording_internal.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "recorder/procfs.h"

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

struct pack_job recording_job(const struct recording *rec, const struct ring_read_result *losses)
{
	struct pack_job job = {
		.options = rec->set.options,
		.symbols = rec->set.symbols,
		.sched = rec->set.sched,
		.rundir = rec->set.rundir->dir.path,
		.losses = losses,
	};

	pack_add_note(&job, rec->set.untraced);
	for (size_t i = 0; i < G_N_ELEMENTS(rec->set.notes); i++)
		pack_add_note(&job, rec->set.notes[i]);
	return job;
}

void recording_note_death(struct recording *rec, const char *sentence, int number)
{
	pthread_mutex_lock(&rec->mutex);
	g_free(rec->death);
	rec->death = g_strdup(sentence);
	rec->death_signal = number;
	rec->death_ns = procfs_now();
	pthread_mutex_unlock(&rec->mutex);
}

/* A run or trace in which somebody died names that, the last one. Returns the sentence, to g_free(); NULL: nobody. */
static char *name_death(struct recording *rec, struct pack_job *job)
{
	char *death = NULL;

	pthread_mutex_lock(&rec->mutex);
	if (!job->death && rec->death && job->begin_ns && rec->death_ns >= job->begin_ns) {
		death = g_strdup(rec->death);
		job->death_signal = rec->death_signal;
	}
	pthread_mutex_unlock(&rec->mutex);
	return death;
}

int recording_pack(struct recording *rec, const struct pack_job *job, struct store_file *file,
	int *fd_out, struct recording_info *info)
{
	struct trace_out_result result = { 0 };
	struct pack_user user = { .rec = rec, .file = file };
	struct pack_job own = *job;
	g_autofree char *death = name_death(rec, &own);
	int err;

	if (death)
		own.death = death;
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
