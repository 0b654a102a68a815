/* SPDX-License-Identifier: MIT */
/*
 * A slot that was taken here is given back here: a CPU profile of /debug/pprof/profile is nobody else's to stop. Whoever
 * dies without stopping what it started loses it to the next one who asks.
 */
#include "recorder/route_control.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/units.h"
#include "proto/schema.h"
#include "recorder/options_table.h"
#include "recorder/profiles.h"
#include "recorder/reply.h"
#include "recorder/routes.h"

#define MAX_CPU_HZ 10000
#define MAX_ALLOC_RATE (1ull << 40)
#define POLL_MS 100
/* Of a trace that has been told to stop: LTTng's work and packing. */
#define STOP_MS 120000

/* The three rates, as they are set now. */
struct rates {
	uint64_t block_ns, alloc_rate;
	uint32_t mutex_fraction;
};

static struct rates rates_read(const struct fr_control *control)
{
	return (struct rates){
		.block_ns = __atomic_load_n(&control->block_rate_ns, __ATOMIC_RELAXED),
		.alloc_rate = __atomic_load_n(&control->alloc_rate, __ATOMIC_RELAXED),
		.mutex_fraction = __atomic_load_n(&control->mutex_fraction, __ATOMIC_RELAXED),
	};
}

static json_t *rates_json(const struct rates *rates)
{
	return json_pack("{s:I, s:I, s:I}", "block_ns", (json_int_t)rates->block_ns,
		"mutex_fraction", (json_int_t)rates->mutex_fraction, "alloc_rate",
		(json_int_t)rates->alloc_rate);
}

/* A plain number is ns, as in Go's functions; below 0 is off. */
static const char *parse_block(const char *text, uint64_t *out)
{
	gint64 ns;

	if (g_ascii_string_to_signed(text, 10, INT64_MIN, INT64_MAX, &ns, NULL))
		*out = ns > 0 ? (uint64_t)ns : 0;
	else if (options_block_rate_parse(text, out) < 0)
		return "block_ns: expected ns, a duration such as 1ms, all, or 0";
	return NULL;
}

/* Below 0 leaves it as it is, as in Go. */
static const char *parse_fraction(const char *text, uint32_t *out)
{
	gint64 n;

	if (!g_ascii_string_to_signed(text, 10, INT32_MIN, INT32_MAX, &n, NULL))
		return "mutex_fraction: expected a number; 0 is off, 1 every wait, n one in n";
	if (n >= 0)
		*out = (uint32_t)n;
	return NULL;
}

static const char *parse_alloc(const char *text, uint64_t *out)
{
	if (units_size_parse(text, out) < 0 || *out > MAX_ALLOC_RATE)
		return "alloc_rate: expected bytes, such as 524288 or 512K; 0 is off, 1 all";
	return NULL;
}

/* The rates that a request asks for; NULL, or what is wrong with it. */
static const char *rates_parse(struct http_request *request, struct rates *rates)
{
	static const char *const known[] = { "block_ns", "mutex_fraction", "alloc_rate", NULL };
	const char *block = http_request_query(request, "block_ns");
	const char *fraction = http_request_query(request, "mutex_fraction");
	const char *alloc = http_request_query(request, "alloc_rate");
	const char *fault = NULL;

	if (http_request_unknown_query(request, known) || (!block && !fraction && !alloc))
		return "expected ?block_ns=, ?mutex_fraction= or ?alloc_rate=, or several of these";
	if (block)
		fault = parse_block(block, &rates->block_ns);
	if (!fault && fraction)
		fault = parse_fraction(fraction, &rates->mutex_fraction);
	if (!fault && alloc)
		fault = parse_alloc(alloc, &rates->alloc_rate);
	return fault;
}

static void rates_write(struct fr_control *control, const struct rates *rates)
{
	__atomic_store_n(&control->block_rate_ns, rates->block_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&control->mutex_fraction, rates->mutex_fraction, __ATOMIC_RELAXED);
	__atomic_store_n(&control->alloc_rate, rates->alloc_rate, __ATOMIC_RELAXED);
}

/* Replies and returns false when nothing is traced. */
static bool is_traced(struct http_request *request, const struct routes_context *context)
{
	if (context->control)
		return true;
	reply_error(request, 503, "NOT_TRACED", "The program runs untraced");
	return false;
}

void route_rates(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	struct rates before, after;
	const char *fault = NULL;
	json_t *data;

	if (!is_traced(request, context))
		return;
	pthread_mutex_lock(&context->in_use.mutex);
	before = after = rates_read(context->control);
	if (http_request_is_post(request)) {
		fault = rates_parse(request, &after);
		if (!fault)
			rates_write(context->control, &after);
	}
	pthread_mutex_unlock(&context->in_use.mutex);
	if (fault) {
		reply_error(request, 400, "ILLEGAL_ARGUMENT", fault);
		return;
	}
	data = rates_json(&after);
	if (http_request_is_post(request))
		json_object_set_new(data, "previous", rates_json(&before));
	reply_data(request, data);
}

/* True when the process that started something has died without ending it. */
static bool is_abandoned(pid_t owner)
{
	return owner > 0 && kill(owner, 0) < 0 && errno == ESRCH;
}

/* ?hz=, or the setting. 0: the request was answered. */
static unsigned read_hz(struct http_request *request, const struct options *options)
{
	const char *text = http_request_query(request, "hz");
	uint64_t hz = options->cpu_hz;

	if (text && *text && (units_count_parse(text, MAX_CPU_HZ, &hz) < 0 || hz == 0)) {
		reply_error(request, 400, "ILLEGAL_ARGUMENT",
			"hz: expected samples per second, from 1 to 10000");
		return 0;
	}
	return (unsigned)hz;
}

/* ?pid=: 0 for all processes; -1: the request was answered. */
static pid_t read_pid(struct http_request *request)
{
	const char *text = http_request_query(request, "pid");
	uint64_t pid = 0;

	if (text && *text && units_count_parse(text, INT32_MAX, &pid) < 0) {
		reply_error(request, 400, "ILLEGAL_ARGUMENT", "pid: expected a number");
		return -1;
	}
	return (pid_t)pid;
}

static void reply_profiles_error(struct http_request *request, int rc, const char *why)
{
	switch (rc) {
	case PROFILES_E_BUSY:
		reply_error(request, 409, "CPU_PROFILE_RUNNING", "cpu profiling already in use");
		break;
	case PROFILES_E_NO_PROCESS:
		reply_error(request, 404, "NO_PROCESS", why ? why : "No process has that pid");
		break;
	case PROFILES_E_REFUSED:
		reply_error(request, 503, "CPU_PROFILE_REFUSED", why ? why : "It is refused");
		break;
	default:
		reply_error(request, 500, "INTERNAL", why ? why : strerror(rc < 0 ? -rc : EIO));
		break;
	}
}

void route_cpu_start(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	struct route_control_state *in_use = &context->in_use;
	unsigned hz = read_hz(request, context->options);
	g_autofree char *why = NULL;
	int rc;

	if (hz == 0 || !is_traced(request, context))
		return;
	pthread_mutex_lock(&in_use->mutex);
	if (in_use->is_cpu_on && is_abandoned(in_use->cpu_owner)) {
		g_autofree char *unused = NULL;
		struct profiles_query query = { 0 };

		profiles_cpu_end(context->profiles, &query, NULL, &unused);
		in_use->is_cpu_on = false;
	}
	rc = profiles_cpu_begin(context->profiles, hz, &why);
	if (rc == 0) {
		in_use->is_cpu_on = true;
		in_use->cpu_owner = http_request_peer(request);
	}
	pthread_mutex_unlock(&in_use->mutex);
	if (rc)
		reply_profiles_error(request, rc, why);
	else
		reply_data(request, json_pack("{s:i}", "hz", (int)hz));
}

void route_cpu_stop(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	struct route_control_state *in_use = &context->in_use;
	struct profiles_query query = { .pid = read_pid(request) };
	g_autoptr(GByteArray) bytes = NULL;
	g_autofree char *why = NULL;
	bool was_on;
	int rc = 0;

	if (query.pid < 0 || !is_traced(request, context))
		return;
	pthread_mutex_lock(&in_use->mutex);
	was_on = in_use->is_cpu_on;
	in_use->is_cpu_on = false;
	if (was_on)
		rc = profiles_cpu_end(context->profiles, &query, &bytes, &why);
	pthread_mutex_unlock(&in_use->mutex);
	if (!was_on) {
		reply_error(request, 409, "CPU_PROFILE_NOT_RUNNING",
			"No CPU profile was started here; POST /debug/flightrec/cpu/start");
	} else if (rc) {
		reply_profiles_error(request, rc, why);
	} else {
		http_reply_header(
			request, "Content-Disposition", "attachment; filename=\"profile\"");
		http_reply(request, 200, "application/octet-stream", bytes->data, bytes->len);
	}
}

void route_trace_start(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	struct route_control_state *in_use = &context->in_use;
	struct recording_info *info = g_new0(struct recording_info, 1);
	g_autofree char *why = NULL;
	int rc;

	pthread_mutex_lock(&in_use->mutex);
	if (in_use->trace_id && is_abandoned(in_use->trace_owner)) {
		recording_end(context->recording, in_use->trace_id, SESSION_END_DISCONNECT);
		in_use->trace_id = 0;
	}
	rc = recording_start(context->recording, SESSION_PPROF, 0, NULL, info, &why);
	if (rc == 0) {
		in_use->trace_id = info->id;
		in_use->trace_owner = http_request_peer(request);
	}
	pthread_mutex_unlock(&in_use->mutex);
	if (rc == RECORDING_E_BUSY)
		reply_error(request, 409, "TRACE_RUNNING", "execution tracer already enabled");
	else if (rc)
		reply_recording_error(request, rc, why);
	else
		reply_data(request, reply_info(info));
	g_free(info);
}

/* Ends trace `id` and gives its file; -1 after the request was answered. */
static int finish_trace(struct routes_context *context, struct http_request *request, uint64_t id)
{
	struct recording_info *info = g_new0(struct recording_info, 1);
	int fd = -1;

	recording_end(context->recording, id, SESSION_END_STOP);
	for (unsigned ms = 0; ms < STOP_MS; ms += POLL_MS) {
		if (recording_wait(context->recording, id, POLL_MS, info) == 0)
			break;
	}
	fd = recording_take_file(context->recording, id);
	if (fd < 0)
		reply_error(request, 500, "RECORDING_FAILED",
			info->error[0] ? info->error : "The trace is not there");
	g_free(info);
	return fd;
}

void route_trace_stop(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	struct route_control_state *in_use = &context->in_use;
	struct stat st;
	uint64_t id;
	int fd;

	pthread_mutex_lock(&in_use->mutex);
	id = in_use->trace_id;
	in_use->trace_id = 0;
	pthread_mutex_unlock(&in_use->mutex);
	if (!id) {
		reply_error(request, 409, "TRACE_NOT_RUNNING",
			"No trace was started here; POST /debug/flightrec/trace/start");
		return;
	}
	fd = finish_trace(context, request, id);
	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0) {
		close(fd);
		reply_error(request, 500, "INTERNAL", "The trace could not be read back");
		return;
	}
	http_reply_file(request, "application/octet-stream", "trace.out", fd, (uint64_t)st.st_size);
}
