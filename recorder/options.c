/* SPDX-License-Identifier: MIT */
/*
 * One argp table drives parsing, defaults and --help. Parsing stops at the first word that is not an
 * option: everything from there on belongs to the program.
 */
#include "recorder/options.h"

#include <argp.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "proto/schema.h"

#define DEFAULT_LISTEN "127.0.0.1:6060"
#define DEFAULT_BUFFER (64ull << 20)
#define DEFAULT_MAX_TRACE (2ull << 30)
#define DEFAULT_ALLOC_RATE (512ull << 10)
#define DEFAULT_STACK_DEPTH 64

#define MIN_BUFFER (1ull << 20)
#define MAX_BUFFER (1ull << 40)
#define MIN_TRACE (1ull << 20)
#define MAX_STACK_DEPTH 512

/* Visible, so that it stands in for the variable of libc, which argp reads. */
__attribute__((visibility("default"))) const char *argp_program_version = "trace-record (flightrec) " FLIGHTREC_VERSION;

enum option_key {
	KEY_LISTEN = 0x100,
	KEY_PORT_FILE,
	KEY_OUTPUT_DIR,
	KEY_BUFFER_SIZE,
	KEY_MAX_TRACE_SIZE,
	KEY_EVENTS,
	KEY_LOCK_THRESHOLD,
	KEY_SYSCALL_THRESHOLD,
	KEY_ALLOC_RATE,
	KEY_STACK_DEPTH,
	KEY_TRACE,
	KEY_QUIET,
};

/* clang-format off */
static const struct argp_option option_table[] = {
	{ NULL, 0, NULL, 0, "Where:", 1 },
	{ "listen", KEY_LISTEN, "ADDRESS", 0,
		"HTTP address: 127.0.0.1:PORT, [::1]:PORT or unix:PATH (default " DEFAULT_LISTEN "; port 0 takes a free one)", 0 },
	{ "port-file", KEY_PORT_FILE, "FILE", 0,
		"Write the port number to FILE once it answers", 0 },
	{ "output-dir", KEY_OUTPUT_DIR, "DIR", 0,
		"Folder for trace.out (default: the current one)", 0 },
	{ "trace", KEY_TRACE, "FILE", 0,
		"Record the whole life of the program to FILE", 0 },
	{ NULL, 0, NULL, 0, "How much:", 2 },
	{ "buffer-size", KEY_BUFFER_SIZE, "SIZE", 0,
		"Memory of the flight recorder, all CPUs together (default 64M)", 0 },
	{ "max-trace-size", KEY_MAX_TRACE_SIZE, "SIZE", 0,
		"End a recording when it takes SIZE on disk (default 2G)", 0 },
	{ NULL, 0, NULL, 0, "What:", 3 },
	{ "events", KEY_EVENTS, "LIST", 0,
		"Comma-separated: lock, syscall, alloc, thread, user, all, none; -NAME leaves one out (default all; thread is always on)", 0 },
	{ "lock-threshold", KEY_LOCK_THRESHOLD, "TIME", 0,
		"Count lock waits shorter than TIME, do not record them (default 0s)", 0 },
	{ "syscall-threshold", KEY_SYSCALL_THRESHOLD, "TIME", 0,
		"Count system calls shorter than TIME, do not record them (default 0s; the flight recorder uses at least 10us)", 0 },
	{ "alloc-rate", KEY_ALLOC_RATE, "SIZE", 0,
		"Sample one allocation in SIZE bytes (default 512K; 0 none, 1 every one)", 0 },
	{ "stack-depth", KEY_STACK_DEPTH, "N", 0,
		"Frames kept per stack, 1 to 512 (default 64)", 0 },
	{ NULL, 0, NULL, 0, "Other:", 4 },
	{ "quiet", KEY_QUIET, NULL, 0, "Report failures only", 0 },
	{ 0 },
};
/* clang-format on */

static const char doc[] =
	"Runs PROGRAM with a flight recorder beside it, and records what its threads wait for on "
	"request."
	"\v"
	"Examples:\n"
	"  trace-record -- redis-server --port 7000\n"
	"      then: curl 'http://127.0.0.1:6060/debug/trace/recorder/run?duration=10s'\n"
	"  trace-record --trace build.out --events syscall -- make\n"
	"      records the whole run; then: trace-view summary build.out\n"
	"  trace-record --listen 127.0.0.1:0 --port-file port --output-dir /var/tmp -- ./server\n"
	"      takes a free port and writes its number to the file `port'\n";

static const struct {
	const char *name;
	uint32_t bits;
} event_classes[] = {
	{ "lock", FR_EVENTS_LOCK },
	{ "syscall", FR_EVENTS_SYSCALL },
	{ "alloc", FR_EVENTS_ALLOC },
	{ "thread", FR_EVENTS_THREAD },
	{ "user", FR_EVENTS_USER },
	{ "all", FR_EVENTS_ALL },
	{ "none", 0 },
};

int options_events_parse(const char *list, uint32_t *events_out, char **bad_out)
{
	g_auto(GStrv) words = g_strsplit(list, ",", -1);
	uint32_t events = 0;

	if (!words[0]) {
		*bad_out = g_strdup("");
		return -EINVAL;
	}
	for (size_t i = 0; words[i]; i++) {
		const char *word = g_strstrip(words[i]);
		bool is_removal = *word == '-';
		size_t k = 0;

		/* A list that begins by leaving out leaves out of everything. */
		if (i == 0 && is_removal)
			events = FR_EVENTS_ALL;
		while (k < G_N_ELEMENTS(event_classes) &&
			strcmp(event_classes[k].name, word + is_removal) != 0)
			k++;
		if (k == G_N_ELEMENTS(event_classes)) {
			*bad_out = g_strdup(word);
			return -EINVAL;
		}
		if (is_removal)
			events &= ~event_classes[k].bits;
		else
			events |= event_classes[k].bits;
	}
	*events_out = events | FR_EVENTS_THREAD;
	return 0;
}

char *options_events_format(uint32_t events)
{
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(event_classes); i++) {
		uint32_t bits = event_classes[i].bits;

		/* A class is one bit; "all" and "none" are not classes. */
		if (bits == 0 || (bits & (bits - 1)) || !(events & bits))
			continue;
		g_string_append_printf(text, "%s%s", text->len ? "," : "", event_classes[i].name);
	}
	return g_string_free(text, FALSE);
}

static void parse_size(struct argp_state *state, const char *option, const char *arg, uint64_t min,
	uint64_t max, uint64_t *out)
{
	uint64_t bytes;
	char lowest[32], highest[32];

	if (units_size_parse(arg, &bytes) == 0 && bytes >= min && bytes <= max) {
		*out = bytes;
		return;
	}
	units_size_format(min, lowest, sizeof(lowest));
	units_size_format(max, highest, sizeof(highest));
	argp_error(state, "--%s %s: expected a size such as 512K, 64M or 2G, from %s to %s", option,
		arg, lowest, highest);
}

static void parse_threshold(
	struct argp_state *state, const char *option, const char *arg, uint64_t *out)
{
	int64_t ns;

	if (units_duration_parse(arg, &ns) == 0 && ns >= 0)
		*out = (uint64_t)ns;
	else
		argp_error(
			state, "--%s %s: expected a duration such as 10us, 1ms or 0s", option, arg);
}

static void parse_events(struct argp_state *state, const char *arg, uint32_t *out)
{
	g_autofree char *bad = NULL;

	if (options_events_parse(arg, out, &bad) < 0)
		argp_error(state,
			"--events %s: unknown class \"%s\"; expected a comma-separated list of "
			"lock, "
			"syscall, alloc, thread, user, all, none, or -NAME to leave one out",
			arg, bad);
}

static void parse_depth(struct argp_state *state, const char *arg, uint32_t *out)
{
	uint64_t depth;

	if (units_count_parse(arg, MAX_STACK_DEPTH, &depth) == 0 && depth > 0)
		*out = (uint32_t)depth;
	else
		argp_error(state, "--stack-depth %s: expected a number from 1 to %d", arg,
			MAX_STACK_DEPTH);
}

static const char *parse_name(struct argp_state *state, const char *option, char *arg)
{
	if (*arg == '\0')
		argp_error(state, "--%s: expected a name, got nothing", option);
	return arg;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_LISTEN:
		options->listen = parse_name(state, "listen", arg);
		return 0;
	case KEY_PORT_FILE:
		options->port_file = parse_name(state, "port-file", arg);
		return 0;
	case KEY_OUTPUT_DIR:
		options->output_dir = parse_name(state, "output-dir", arg);
		return 0;
	case KEY_TRACE:
		options->trace_file = parse_name(state, "trace", arg);
		return 0;
	case KEY_BUFFER_SIZE:
		parse_size(
			state, "buffer-size", arg, MIN_BUFFER, MAX_BUFFER, &options->buffer_bytes);
		return 0;
	case KEY_MAX_TRACE_SIZE:
		parse_size(state, "max-trace-size", arg, MIN_TRACE, INT64_MAX,
			&options->max_trace_bytes);
		return 0;
	case KEY_EVENTS:
		parse_events(state, arg, &options->events);
		return 0;
	case KEY_LOCK_THRESHOLD:
		parse_threshold(state, "lock-threshold", arg, &options->lock_ns);
		return 0;
	case KEY_SYSCALL_THRESHOLD:
		parse_threshold(state, "syscall-threshold", arg, &options->syscall_ns);
		return 0;
	case KEY_ALLOC_RATE:
		parse_size(state, "alloc-rate", arg, 0, MAX_BUFFER, &options->alloc_rate);
		return 0;
	case KEY_STACK_DEPTH:
		parse_depth(state, arg, &options->stack_depth);
		return 0;
	case KEY_QUIET:
		options->is_quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		options->argv = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state,
			"expected a program to run: trace-record [OPTION...] [--] PROGRAM "
			"[ARG...]");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void options_parse(int argc, char **argv, struct options *options_out)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "[--] PROGRAM [ARG...]",
		.doc = doc,
	};
	/* Messages begin with the program's plain name however it was started. */
	static char name[] = "trace-record";

	*options_out = (struct options){
		.listen = DEFAULT_LISTEN,
		.output_dir = ".",
		.buffer_bytes = DEFAULT_BUFFER,
		.max_trace_bytes = DEFAULT_MAX_TRACE,
		.events = FR_EVENTS_ALL,
		.alloc_rate = DEFAULT_ALLOC_RATE,
		.stack_depth = DEFAULT_STACK_DEPTH,
	};
	argp_err_exit_status = 2;
	if (argc > 0)
		argv[0] = name;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, options_out);
}
