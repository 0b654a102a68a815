/* SPDX-License-Identifier: MIT */
#include "recorder/past.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/procfs.h"
#include "recorder/viewer_run.h"

/* The program needs the processors more. */
#define MAX_AT_ONCE 2
#define MAX_WAITING 16
/* How soon a client that went away gives up its place in the queue. */
#define POLL_US 50000
#define MAX_NS (120ull * 1000000000)
/* A full ring of the default size takes a tenth of it. */
#define MAX_BYTES (8ull << 30)
#define MAX_ARGS 8
/* The first event of a program comes so soon. */
#define AT_ONCE_NS 100000000ull

struct past {
	struct recording *recording; /* borrowed */
	GMutex lock;		     /* the rest */
	GCond changed;
	unsigned n_running, n_waiting;
	char *viewer; /* owned; NULL: not looked for yet */
};

struct past *past_new(struct recording *recording)
{
	struct past *past = g_new0(struct past, 1);

	past->recording = recording;
	g_mutex_init(&past->lock);
	g_cond_init(&past->changed);
	return past;
}

void past_free(struct past *past)
{
	if (!past)
		return;
	g_mutex_clear(&past->lock);
	g_cond_clear(&past->changed);
	g_free(past->viewer);
	g_free(past);
}

static bool is_gone(const struct past_query *query)
{
	return query->is_gone && query->is_gone(query->user);
}

static int give_up(char **why_out)
{
	*why_out = g_strdup("The client went away");
	return PAST_E_GONE;
}

/* Waits for a place. 0 or PAST_E_*. */
static int enter(struct past *past, const struct past_query *query, char **why_out)
{
	int rc = 0;

	g_mutex_lock(&past->lock);
	if (past->n_running >= MAX_AT_ONCE && past->n_waiting >= MAX_WAITING) {
		*why_out =
			g_strdup("Too many profiles of the past are being made; try again in a few "
				 "seconds");
		rc = PAST_E_BUSY;
	}
	past->n_waiting++;
	while (rc == 0 && past->n_running >= MAX_AT_ONCE) {
		g_cond_wait_until(&past->changed, &past->lock, g_get_monotonic_time() + POLL_US);
		if (is_gone(query))
			rc = give_up(why_out);
	}
	past->n_waiting--;
	past->n_running += rc == 0;
	g_mutex_unlock(&past->lock);
	return rc;
}

static void leave(struct past *past)
{
	g_mutex_lock(&past->lock);
	past->n_running--;
	g_cond_signal(&past->changed);
	g_mutex_unlock(&past->lock);
}

/* trace-view's path, borrowed. Looked for until it is found: it may be installed while we run. */
static int find_viewer(struct past *past, const char **viewer_out, char **why_out)
{
	int rc = 0;

	g_mutex_lock(&past->lock);
	if (!past->viewer && viewer_find(&past->viewer, why_out) < 0)
		rc = PAST_E_NO_VIEWER;
	*viewer_out = past->viewer;
	g_mutex_unlock(&past->lock);
	return rc;
}

static int error_of(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case VIEWER_E_GONE:
		return PAST_E_GONE;
	case VIEWER_E_REFUSED:
		return PAST_E_REFUSED;
	case -ENOENT:
	case -ENOEXEC:
		return PAST_E_NO_VIEWER;
	default:
		return PAST_E_FAILED;
	}
}

/* Holds a place already. */
static int derive(const char *viewer, const struct past_query *query, int trace_fd,
	struct past_result *result, char **why_out)
{
	g_autofree char *words = past_window_comment(&result->window);
	g_autofree char *type = g_strdup_printf("--type=%s", query->type);
	g_autofree char *pid = g_strdup_printf("--pid=%d", (int)query->pid);
	g_autofree char *comment = g_strdup_printf(
		"--comment=%s%s%s", words, query->note ? "; " : "", query->note ? query->note : "");
	const char *args[MAX_ARGS] = { "pprof", type, comment, "--window" };
	struct viewer_job job = {
		.program = viewer,
		.trace_fd = trace_fd,
		.args = args,
		.max_ns = MAX_NS,
		.max_bytes = MAX_BYTES,
		.is_gone = query->is_gone,
		.user = query->user,
	};
	size_t n = 4;

	if (query->pid)
		args[n++] = pid;
	if (query->is_text)
		args[n++] = "--text";
	return error_of(viewer_run(&job, &result->fd, &result->notes, why_out));
}

int past_derive(struct past *past, const struct past_query *query, int trace_fd,
	const struct past_window *window, struct past_result *result_out, char **why_out)
{
	struct past_result result = { .fd = -1, .window = *window };
	const char *viewer;
	int rc = find_viewer(past, &viewer, why_out);

	if (!rc)
		rc = enter(past, query, why_out);
	if (!rc) {
		rc = derive(viewer, query, trace_fd, &result, why_out);
		leave(past);
	}
	*result_out = result;
	return rc;
}

/* When the flight recorder began; 0: not known. Before that nothing could be recorded. */
static uint64_t ring_begin(struct past *past)
{
	uint64_t now_ns = procfs_now();
	struct recording_status status;

	recording_status(past->recording, &status);
	return status.is_ring_on && status.ring_window_ns < now_ns ? now_ns - status.ring_window_ns
								   : 0;
}

/* The oldest moment wanted that may be held; 0: all. */
static uint64_t begin_of(const struct past_query *query, uint64_t ring_ns)
{
	uint64_t end_ns = query->end_ns ? query->end_ns : procfs_now();
	/* 0 would be all. */
	uint64_t begin_ns = query->asked_ns < end_ns ? end_ns - query->asked_ns : 1;

	return query->asked_ns ? MAX(begin_ns, ring_ns) : 0;
}

/* Holds a place already. */
static int take(struct past *past, const char *viewer, const struct past_query *query,
	struct past_result *result, char **why_out)
{
	struct recording_info info = { 0 };
	uint64_t ring_ns = ring_begin(past);
	int fd = -1, rc;
	struct recording_snapshot_request request = {
		.begin_ns = begin_of(query, ring_ns),
		.fd_out = &fd,
		.has_names = true,
	};

	result->recording_error = recording_snapshot(past->recording, &request, &info, why_out);
	if (result->recording_error)
		return PAST_E_RECORDING;
	result->window.asked_ns = query->asked_ns;
	result->window.end_ns = info.end_ns;
	result->window.begin_ns = info.end_ns - MIN(info.covered_ns, info.end_ns);
	result->window.remedy = result->window.begin_ns <= ring_ns + AT_ONCE_NS
					? "; recording began then"
					: "; a larger --buffer-size holds more";
	result->lost_events = info.lost_events;
	rc = is_gone(query) ? give_up(why_out) : derive(viewer, query, fd, result, why_out);
	close(fd);
	return rc;
}

int past_take(struct past *past, const struct past_query *query, struct past_result *result_out,
	char **why_out)
{
	struct past_result result = { .fd = -1 };
	const char *viewer;
	int rc = find_viewer(past, &viewer, why_out);

	if (!rc)
		rc = enter(past, query, why_out);
	if (!rc) {
		rc = take(past, viewer, query, &result, why_out);
		leave(past);
	}
	*result_out = result;
	return rc;
}
