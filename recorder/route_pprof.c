/* SPDX-License-Identifier: MIT */
/* Named profiles, what happens to them in a while, and the CPU profile: Go's rules, in the order Go checks them. */
#include "recorder/route_pprof.h"

#include <glib.h>
#include <string.h>

#include "recorder/pprof_query.h"
#include "recorder/procfs.h"
#include "recorder/reply.h"
#include "recorder/route_past.h"

#define OCTETS "application/octet-stream"
#define SECOND_NS UINT64_C(1000000000)
#define CPU_SECONDS 30
/* How soon the end of the recorder is noticed, and that of the program. */
#define POLL_MS 50
#define POLLS_PER_LOOK 20
/* A client that went away is noticed at once, but to end its profile takes a moment. */
#define BUSY_TRIES 4

void route_pprof_redirect(struct http_request *request, void *user)
{
	http_reply_header(request, "Location", PPROF_ROOT);
	http_reply(request, 301, NULL, "", 0);
}

bool route_pprof_pid(struct http_request *request, struct routes_context *context, pid_t *pid_out)
{
	const char *text = http_request_query(request, "pid");
	g_autofree char *sentence = NULL, *shown = NULL;
	int64_t value = 0;

	*pid_out = 0;
	if (!text || !*text)
		return true;
	if (!pprof_integer_parse(text, &value) || value <= 0 || value > G_MAXINT32) {
		shown = g_strndup(text, 32);
		sentence = g_strdup_printf(
			"invalid value for \"pid\" - \"%s\" is no process number", shown);
		reply_pprof_error(request, 400, sentence);
		return false;
	}
	if (!profiles_has_pid(context->profiles, (pid_t)value)) {
		sentence = g_strdup_printf("No traced process has or had the pid %d", (int)value);
		reply_pprof_error(request, 404, sentence);
		return false;
	}
	*pid_out = (pid_t)value;
	return true;
}

bool route_pprof_is_untraced(struct http_request *request, struct routes_context *context)
{
	const char *why = recording_untraced(context->recording);
	g_autofree char *sentence = NULL;

	if (context->profiles && (!why || profiles_has_pid(context->profiles, 0)))
		return false;
	sentence = g_strdup_printf(
		"There are no profiles of this program: %s", why ? why : "it is not traced");
	reply_pprof_error(request, 503, sentence);
	return true;
}

static void reply_failure(struct http_request *request, const char *prefix, int rc, const char *why)
{
	g_autofree char *sentence =
		g_strconcat(prefix, why ? why : "it could not be collected", NULL);
	unsigned status = 500;

	if (rc == PROFILES_E_UNKNOWN || (rc == PROFILES_E_NO_PROCESS && !*prefix))
		status = 404;
	else if (rc == PROFILES_E_NO_PROCESS)
		status = 503;
	reply_pprof_error(request, status, sentence);
}

/* Sends a finished profile; takes over `bytes`. */
static void reply_profile(
	struct http_request *request, const char *name, const char *suffix, GByteArray *bytes)
{
	g_autofree char *clean = g_strdup(name);
	g_autofree char *disposition = NULL;

	/* Programs name their own profiles. */
	for (char *at = clean; *at; at++)
		if ((unsigned char)*at < ' ' || *at == '"' || *at == '\\' || *at == 0x7f)
			*at = '_';
	disposition = g_strdup_printf("attachment; filename=\"%s%s\"", clean, suffix);
	http_reply_header(request, "Content-Disposition", disposition);
	http_reply(request, 200, OCTETS, bytes->data, bytes->len);
	g_byte_array_unref(bytes);
}

static void add_losses(
	struct http_request *request, struct routes_context *context, const char *name, pid_t pid)
{
	g_autofree char *losses = profiles_losses(context->profiles, name, pid);

	if (losses)
		http_reply_header(request, "X-Flightrec-Lost", losses);
}

/*
 * Waits. False when nobody wants the answer any more; ends early, and true, when the recorder ends or all that
 * could still happen has.
 */
static bool wait_for(struct http_request *request, struct routes_context *context, uint64_t ns)
{
	uint64_t begin_ns = procfs_now();

	for (unsigned i = 1;; i++) {
		uint64_t passed_ns = procfs_now() - begin_ns;

		if (passed_ns >= ns || http_request_is_ending(request) ||
			(i % POLLS_PER_LOOK == 0 && !profiles_is_alive(context->profiles)))
			return !http_request_is_gone(request);
		if (http_request_wait_gone(
			    request, (int)MIN(POLL_MS, (ns - passed_ns) / 1000000 + 1)))
			return false;
	}
}

static void reply_delta(struct http_request *request, struct routes_context *context,
	const char *name, const char *seconds_text, bool has_delta)
{
	struct profiles_query query = { 0 };
	struct profiles_delta *delta = NULL;
	g_autofree char *why = NULL;
	int64_t seconds = 0, debug = 0;
	GByteArray *bytes = NULL;
	int rc;

	if (!pprof_integer_parse(seconds_text, &seconds) || seconds <= 0) {
		reply_pprof_error(
			request, 400, "invalid value for \"seconds\" - must be a positive integer");
		return;
	}
	if (!has_delta) {
		reply_pprof_error(request, 400,
			"\"seconds\" parameter is not supported for this profile type");
		return;
	}
	seconds = MIN(seconds, (int64_t)(UINT64_MAX / SECOND_NS / 4));
	if (route_is_too_long(request, context->options, (uint64_t)seconds * SECOND_NS))
		return;
	if (pprof_integer_parse(http_request_query(request, "debug"), &debug) && debug != 0) {
		reply_pprof_error(request, 400, "seconds and debug params are incompatible");
		return;
	}
	if (!route_pprof_pid(request, context, &query.pid) ||
		route_pprof_is_untraced(request, context))
		return;
	rc = profiles_delta_begin(context->profiles, name, &query, &delta, &why);
	if (rc) {
		reply_failure(request, "", rc, why);
		return;
	}
	if (!wait_for(request, context, (uint64_t)seconds * SECOND_NS)) {
		profiles_delta_end(delta, NULL, NULL);
		reply_pprof_error(request, 500, "The client went away");
		return;
	}
	rc = profiles_delta_end(delta, &bytes, &why);
	if (rc) {
		reply_pprof_error(request, 500, "failed to compute delta");
		return;
	}
	add_losses(request, context, name, query.pid);
	reply_profile(request, name, "-delta", bytes);
}

static void reply_named(
	struct http_request *request, struct routes_context *context, const char *name)
{
	const char *seconds = http_request_query(request, "seconds");
	struct profiles_query query = { 0 };
	g_autofree char *why = NULL;
	GByteArray *bytes = NULL;
	bool has_delta = false;
	int64_t debug = 0;
	int rc;

	if (route_past(request, context, name))
		return;
	if (!profiles_is_known(context->profiles, name, &has_delta)) {
		reply_pprof_error(request, 404, "Unknown profile");
		return;
	}
	if (seconds && *seconds) {
		reply_delta(request, context, name, seconds, has_delta);
		return;
	}
	/* gc=1: there is nothing to collect. */
	if (!route_pprof_pid(request, context, &query.pid) ||
		route_pprof_is_untraced(request, context))
		return;
	if (pprof_integer_parse(http_request_query(request, "debug"), &debug))
		query.debug = (int)CLAMP(debug, 0, 2);
	rc = profiles_take(context->profiles, name, &query, &bytes, &why);
	if (rc) {
		reply_failure(request, "", rc, why);
		return;
	}
	add_losses(request, context, name, query.pid);
	if (query.debug > 0) {
		http_reply(request, 200, PPROF_TEXT, bytes->data, bytes->len);
		g_byte_array_unref(bytes);
	} else {
		reply_profile(request, name, "", bytes);
	}
}

static void refuse_post(struct http_request *request)
{
	http_reply_header(request, "Allow", "GET, HEAD");
	reply_pprof_error(request, 405, "Method not allowed here; use GET, HEAD");
}

void route_pprof(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	const char *name = http_request_path(request) + strlen(PPROF_ROOT);

	/* pprof asks beside the profile, which may have slashes in its name. */
	if (http_request_is_post(request) && g_str_has_suffix(name, "/symbol"))
		route_pprof_symbol(request, user);
	else if (http_request_is_post(request))
		refuse_post(request);
	else if (*name)
		reply_named(request, context, name);
	else
		route_pprof_index(request, context);
}

static int cpu_begin(struct routes_context *context, char **why_out)
{
	int rc = profiles_cpu_begin(context->profiles, context->options->cpu_hz, why_out);

	for (int i = 0; i < BUSY_TRIES && rc == PROFILES_E_BUSY; i++) {
		g_clear_pointer(why_out, g_free);
		g_usleep(POLL_MS * 1000);
		rc = profiles_cpu_begin(context->profiles, context->options->cpu_hz, why_out);
	}
	return rc;
}

void route_pprof_profile(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	struct profiles_query query = { 0 };
	g_autofree char *why = NULL, *note = NULL;
	int64_t seconds = 0;
	uint64_t past_ns = 0;
	GByteArray *bytes = NULL;
	int rc;

	if (pprof_seconds_parse(http_request_query(request, "seconds"), &past_ns) ==
		PPROF_SECONDS_PAST) {
		route_past_cpu(request, context, past_ns);
		return;
	}
	if (!pprof_integer_parse(http_request_query(request, "seconds"), &seconds) || seconds <= 0)
		seconds = CPU_SECONDS;
	seconds = MIN(seconds, (int64_t)(UINT64_MAX / SECOND_NS / 4));
	if (route_is_too_long(request, context->options, (uint64_t)seconds * SECOND_NS) ||
		!route_pprof_pid(request, context, &query.pid) ||
		route_pprof_is_untraced(request, context))
		return;
	rc = cpu_begin(context, &why);
	if (rc) {
		reply_failure(request, "Could not enable CPU profiling: ", rc, why);
		return;
	}
	if (!wait_for(request, context, (uint64_t)seconds * SECOND_NS)) {
		profiles_cpu_end(context->profiles, NULL, NULL, NULL);
		reply_pprof_error(request, 500, "The client went away");
		return;
	}
	rc = profiles_cpu_end(context->profiles, &query, &bytes, &why);
	if (rc) {
		reply_failure(request, "", rc, why);
		return;
	}
	note = profiles_cpu_note(context->profiles);
	if (note)
		http_reply_header(request, "X-Flightrec-Note", note);
	reply_profile(request, "profile", "", bytes);
}
