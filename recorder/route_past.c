/* SPDX-License-Identifier: MIT */
/*
 * A derived profile is of the whole flight recorder, of its last seconds, or of the next ones, which are recorded as for
 * /debug/pprof/trace. Every answer says what it covers and what is missing in it.
 */
#include "recorder/route_past.h"

#include <errno.h>
#include <glib.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/units.h"
#include "recorder/past.h"
#include "recorder/pprof_query.h"
#include "recorder/procfs.h"
#include "recorder/reply.h"
#include "recorder/route_pprof.h"
#include "recorder/sched.h"

#define OCTETS "application/octet-stream"
#define MAX_AHEAD_NS (30ull * 60 * 1000000000)
/* Larger than any profile is. */
#define MAX_TEXT_BYTES (256ll << 20)
/* Headers have their limits, too. */
#define MAX_NOTE 1024

#define DERIVED "Derived from the flight recorder: "

const struct past_kind past_kinds[] = {
	{ "lock", "lock", DERIVED "waits by lock, which a label names.", PAST_LACKS_WAITS, false },
	{ "net", "net", DERIVED "waits for the network.", PAST_LACKS_CALLS, false },
	{ "offcpu", "offcpu", DERIVED "time off the processor, at the stack that waited.",
		PAST_LACKS_NOTHING, true },
	{ "sched", "sched", DERIVED "time ready to run, but not running.", PAST_LACKS_NOTHING,
		true },
	{ "sync", "sync",
		DERIVED "waits for locks, conditions, semaphores, barriers and other threads.",
		PAST_LACKS_WAITS, false },
	{ "syscall", "syscall", DERIVED "time in all other system calls made through libc.",
		PAST_LACKS_CALLS, false },
	{ "waker", "waker", DERIVED "who made others wait: the stack that let them go on.",
		PAST_LACKS_WAITS, false },
	{ "wall", "wall", DERIVED "time of all threads, on the processor and off it.",
		PAST_LACKS_NOTHING, false },
	{ "block", "block", NULL, PAST_LACKS_WAITS, false },
	{ "mutex", "mutex", NULL, PAST_LACKS_WAITS, false },
	{ "allocs", "allocs", NULL, PAST_LACKS_NOTHING, false },
	{ 0 },
};

/* Profiles of what is there now. */
static const struct {
	const char *name, *instead;
} without_past[] = {
	{ "heap", "allocs?seconds=-30 shows what was allocated" },
	{ "goroutine", "wall?seconds=-30 shows where threads spent their time" },
	{ "thread", "wall?seconds=-30 shows where threads spent their time" },
	{ "threadcreate", "a snapshot of the flight recorder shows which threads began" },
};

/* What a request says. */
struct wish {
	const struct past_kind *kind;
	enum pprof_seconds seconds;
	uint64_t asked_ns;
	pid_t pid;
	bool is_text;
};

static const struct past_kind *find_kind(const char *name)
{
	for (const struct past_kind *kind = past_kinds; kind->name; kind++)
		if (strcmp(kind->name, name) == 0)
			return kind;
	return NULL;
}

/* Refuses the past of what has none. True: answered. */
static bool refuse_past(struct http_request *request, const char *name)
{
	g_autofree char *sentence = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(without_past) && !sentence; i++)
		if (strcmp(without_past[i].name, name) == 0)
			sentence = g_strdup_printf(
				"%s shows what is there now, and its past is not kept; %s", name,
				without_past[i].instead);
	if (sentence)
		reply_pprof_error(request, 400, sentence);
	return sentence != NULL;
}

static bool is_gone(void *user)
{
	return http_request_is_gone(user);
}

/* A header of one line. */
static void add_header(struct http_request *request, const char *name, const char *text)
{
	g_autoptr(GString) plain = g_string_new(text);
	g_autofree char *line = NULL;

	/* Headers are ASCII; the one other letter of ours is that of microseconds. */
	g_string_replace(plain, "µ", "u", 0);
	line = g_strndup(plain->str, MAX_NOTE);
	for (char *at = line; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
			*at = '?';
	http_reply_header(request, name, line);
}

static void add_scheduling(
	struct http_request *request, struct routes_context *context, const struct past_kind *kind)
{
	g_autofree char *sentence = NULL;

	if (!kind->needs_switches && strcmp(kind->name, "wall") != 0)
		return;
	sentence = sched_describe(context->sched);
	add_header(request, "X-Flightrec-Scheduling", sentence);
}

/* What a profile of this kind leaves out by the settings, to g_free(); NULL: nothing. */
static char *lack_of(const struct routes_context *context, const struct wish *wish)
{
	bool is_ring = wish->seconds != PPROF_SECONDS_AHEAD;
	uint64_t ns = 0;
	char text[64];

	if (wish->kind->lack == PAST_LACKS_WAITS)
		ns = context->control->lock_ns;
	else if (wish->kind->lack == PAST_LACKS_CALLS)
		ns = is_ring ? context->control->ring_syscall_ns : context->control->syscall_ns;
	if (!ns)
		return NULL;
	units_duration_format((int64_t)ns, text, sizeof(text));
	return g_strdup_printf("%s shorter than %s are counted, not recorded",
		wish->kind->lack == PAST_LACKS_WAITS ? "waits" : "calls", text);
}

/* What is said beside the profile. */
static void add_headers(struct http_request *request, struct routes_context *context,
	const struct wish *wish, const struct past_result *result)
{
	g_autofree char *window = past_window_header(&result->window), *note = NULL;
	g_autofree char *lack = lack_of(context, wish);
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) lost = g_string_new(NULL);

	add_header(request, "X-Flightrec-Window", window);
	add_scheduling(request, context, wish->kind);
	if (result->lost_events == UINT64_MAX)
		g_string_append(lost, "an unknown number of events");
	else if (result->lost_events)
		g_string_append_printf(lost, "%" G_GUINT64_FORMAT " events", result->lost_events);
	if (lost->len)
		add_header(request, "X-Flightrec-Lost", lost->str);
	if (past_window_is_short(&result->window))
		g_ptr_array_add(notes, past_window_comment(&result->window));
	if (lack)
		g_ptr_array_add(notes, g_strdup(lack));
	if (result->notes)
		g_ptr_array_add(notes, g_strdup(result->notes));
	g_ptr_array_add(notes, NULL);
	note = g_strjoinv("; ", (char **)notes->pdata);
	if (*note)
		add_header(request, "X-Flightrec-Note", note);
}

/* Sends the text of a nameless file; takes over `fd`. */
static void reply_text(struct http_request *request, int fd, int64_t n_bytes)
{
	g_autofree char *text = n_bytes <= MAX_TEXT_BYTES ? g_malloc((size_t)n_bytes + 1) : NULL;
	int64_t n = 0;

	while (text && n < n_bytes) {
		ssize_t got = pread(fd, text + n, (size_t)(n_bytes - n), n);

		if (got <= 0 && !(got < 0 && errno == EINTR))
			break;
		n += MAX(got, 0);
	}
	close(fd);
	if (!text || n < n_bytes)
		reply_pprof_error(request, 500, "The text could not be read back");
	else
		http_reply(request, 200, PPROF_TEXT, text, (size_t)n);
}

/* Sends the profile; takes over the result. */
static void reply_result(struct http_request *request, struct routes_context *context,
	const struct wish *wish, struct past_result *result)
{
	g_autofree char *name =
		g_strconcat(wish->kind->name, wish->kind->about ? "" : "-past", NULL);
	struct stat st;

	if (fstat(result->fd, &st) < 0 || st.st_size == 0) {
		close(result->fd);
		reply_pprof_error(request, 500, "trace-view wrote no profile");
	} else {
		add_headers(request, context, wish, result);
		if (wish->is_text)
			reply_text(request, result->fd, st.st_size);
		else
			http_reply_file(request, OCTETS, name, result->fd, (uint64_t)st.st_size);
	}
	g_free(result->notes);
}

static void reply_failure(struct http_request *request, struct routes_context *context,
	const struct wish *wish, int rc, const struct past_result *result, const char *why)
{
	unsigned status = 500;

	if (rc == PAST_E_RECORDING)
		status = reply_status_of(result->recording_error);
	else if (rc == PAST_E_BUSY)
		status = 429;
	else if (rc == PAST_E_NO_VIEWER)
		status = 503;
	else if (rc == PAST_E_REFUSED && wish->kind->needs_switches)
		/* This machine, or the way the program was started, does not allow it. */
		status = 501;
	if (status == 429)
		http_reply_header(request, "Retry-After", "2");
	if (status == 501)
		add_scheduling(request, context, wish->kind);
	reply_pprof_error(request, status, why ? why : "The profile could not be made");
}

static struct past_query query_of(
	struct http_request *request, struct routes_context *context, const struct wish *wish)
{
	return (struct past_query){
		.type = wish->kind->type,
		.asked_ns = wish->asked_ns,
		.end_ns = atomic_load(&context->end_ns),
		.pid = wish->pid,
		.is_text = wish->is_text,
		.is_gone = is_gone,
		.user = request,
	};
}

static void reply_past(
	struct http_request *request, struct routes_context *context, const struct wish *wish)
{
	struct past_query query = query_of(request, context, wish);
	struct past_result result;
	g_autofree char *why = NULL, *lack = lack_of(context, wish);
	int rc;

	query.note = lack;
	rc = past_take(context->past, &query, &result, &why);
	if (rc)
		reply_failure(request, context, wish, rc, &result, why);
	else
		reply_result(request, context, wish, &result);
}

/* Records the next seconds: their trace in *fd_out. False: answered already. */
static bool record(struct http_request *request, struct routes_context *context, uint64_t ns,
	struct recording_info *info, int *fd_out)
{
	g_autofree char *why = NULL, *sentence = NULL;
	int rc = recording_start(context->recording, SESSION_PPROF, ns, NULL, info, &why);

	if (rc == RECORDING_E_BUSY) {
		reply_pprof_error(
			request, 500, "Could not enable tracing: execution tracer already enabled");
		return false;
	}
	if (rc) {
		sentence = g_strdup_printf("Could not enable tracing: %s", why);
		reply_pprof_error(request, reply_status_of(rc), sentence);
		return false;
	}
	if (!route_follow_recording(request, context, info)) {
		reply_pprof_error(request, 500, "The client went away");
		return false;
	}
	*fd_out = recording_take_file(context->recording, info->id);
	if (*fd_out < 0)
		reply_pprof_error(
			request, 500, info->error[0] ? info->error : "The trace is not there");
	return *fd_out >= 0;
}

static void reply_ahead(
	struct http_request *request, struct routes_context *context, const struct wish *wish)
{
	struct past_query query = query_of(request, context, wish);
	struct recording_info info = { 0 };
	struct past_window window = { .asked_ns = wish->asked_ns };
	struct past_result result;
	g_autofree char *why = NULL, *lack = lack_of(context, wish);
	int fd = -1, rc;

	query.note = lack;
	if (!record(request, context, wish->asked_ns, &info, &fd))
		return;
	window.end_ns = info.end_ns;
	window.begin_ns = info.end_ns - MIN(info.covered_ns, info.end_ns);
	rc = past_derive(context->past, &query, fd, &window, &result, &why);
	close(fd);
	if (rc)
		reply_failure(request, context, wish, rc, &result, why);
	else {
		result.lost_events = info.lost_events;
		reply_result(request, context, wish, &result);
	}
}

/* The rest of the query. False: answered already. */
static bool read_wish(
	struct http_request *request, struct routes_context *context, struct wish *wish)
{
	int64_t debug = 0;

	if (wish->seconds == PPROF_SECONDS_BAD) {
		reply_pprof_error(request, 400,
			"invalid value for \"seconds\" - must be an integer: positive for what "
			"comes, negative for what has been");
		return false;
	}
	if (route_is_too_long(request, context->options, wish->asked_ns))
		return false;
	if (wish->seconds == PPROF_SECONDS_AHEAD && wish->asked_ns > MAX_AHEAD_NS) {
		reply_pprof_error(request, 400,
			"A recording cannot take over 30 min; ask for at most seconds=1800");
		return false;
	}
	if (pprof_integer_parse(http_request_query(request, "debug"), &debug))
		wish->is_text = debug > 0;
	return route_pprof_pid(request, context, &wish->pid) &&
	       !route_pprof_is_untraced(request, context);
}

bool route_past(struct http_request *request, struct routes_context *context, const char *name)
{
	struct wish wish = { .kind = find_kind(name) };
	const char *text = http_request_query(request, "seconds");

	wish.seconds = pprof_seconds_parse(text, &wish.asked_ns);
	if (wish.seconds == PPROF_SECONDS_PAST && refuse_past(request, name))
		return true;
	if (!wish.kind)
		return false;
	/* Of the sampled ones only their past; one that the program made is its own. */
	if (wish.kind->about ? profiles_is_known(context->profiles, name, NULL)
			     : wish.seconds != PPROF_SECONDS_PAST)
		return false;
	if (!read_wish(request, context, &wish))
		return true;
	if (wish.seconds == PPROF_SECONDS_AHEAD)
		reply_ahead(request, context, &wish);
	else
		reply_past(request, context, &wish);
	return true;
}

/* The rate of the samples that are always taken; 0: none are, and that has been answered. */
static unsigned always_hz(struct http_request *request, const struct routes_context *context)
{
	unsigned hz = context->options->cpu_always_hz;

	if (!hz)
		reply_pprof_error(request, 409,
			"No CPU samples are kept for the past: trace-record was started with "
			"--cpu-always=0; start it with --cpu-always=19, or ask for what comes: "
			"seconds=30");
	return hz;
}

static void reply_cpu(struct http_request *request, const struct profiles_query *query,
	struct profiles_past *past, GByteArray *bytes)
{
	g_autofree char *window = past_window_header(&past->window);
	g_autoptr(GString) note = g_string_new(NULL);

	add_header(request, "X-Flightrec-Window", window);
	if (past_window_is_short(&past->window)) {
		g_autofree char *words = past_window_comment(&past->window);

		g_string_append(note, words);
	}
	if (past->note)
		g_string_append_printf(note, "%s%s", note->len ? "; " : "", past->note);
	if (note->len)
		add_header(request, "X-Flightrec-Note", note->str);
	if (past->n_missing) {
		g_autofree char *lost = g_strdup_printf(
			"at least %" G_GUINT64_FORMAT " samples, written over", past->n_missing);

		add_header(request, "X-Flightrec-Lost", lost);
	}
	if (query->debug > 0) {
		http_reply(request, 200, PPROF_TEXT, bytes->data, bytes->len);
	} else {
		http_reply_header(
			request, "Content-Disposition", "attachment; filename=\"profile-past\"");
		http_reply(request, 200, OCTETS, bytes->data, bytes->len);
	}
	g_byte_array_unref(bytes);
}

void route_past_cpu(struct http_request *request, struct routes_context *context, uint64_t asked_ns)
{
	struct profiles_query query = { 0 };
	struct profiles_past past = {
		.window = { .asked_ns = asked_ns, .end_ns = atomic_load(&context->end_ns) },
	};
	g_autofree char *why = NULL;
	GByteArray *bytes = NULL;
	int64_t debug = 0;
	int rc;

	if (route_is_too_long(request, context->options, asked_ns) ||
		!route_pprof_pid(request, context, &query.pid) ||
		route_pprof_is_untraced(request, context))
		return;
	if (pprof_integer_parse(http_request_query(request, "debug"), &debug))
		query.debug = debug > 0;
	past.hz = always_hz(request, context);
	if (!past.hz)
		return;
	rc = profiles_cpu_past(context->profiles, &query, &past, &bytes, &why);
	if (rc)
		reply_pprof_error(request, rc == PROFILES_E_NO_PROCESS ? 404 : 503,
			why ? why : "The profile could not be made");
	else
		reply_cpu(request, &query, &past, bytes);
	g_free(past.note);
}
