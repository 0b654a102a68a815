/* SPDX-License-Identifier: MIT */
/*
 * The table drives parsing and --help through argp. Parsing stops at the first word that is not an
 * option: everything from there on belongs to the program.
 */
#include "recorder/options.h"

#include <argp.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "proto/schema.h"
#include "recorder/config.h"
#include "recorder/options_table.h"

#define EXIT_USAGE 2
/* argp takes smaller keys for letters of short options. */
#define FIRST_KEY 0x100
#define MAX_ROWS 64

/* Visible, so that it stands in for the variable of libc, which argp reads. */
__attribute__((visibility("default"))) const char *argp_program_version =
	"trace-record (flightrec) " FLIGHTREC_VERSION;

static const char doc[] =
	"Runs PROGRAM with a flight recorder beside it, and records what its threads wait for on "
	"request."
	"\v"
	"Examples:\n"
	"  trace-record -- redis-server --port 7000\n"
	"      then: curl 'http://127.0.0.1:6060/debug/trace/recorder/run?duration=10s'\n"
	"      or: go tool pprof http://127.0.0.1:6060/debug/pprof/profile\n"
	"  trace-record --cpuprofile=cpu.pb.gz --trace build.out -- make\n"
	"      writes both when make ends; then: trace-view summary build.out\n"
	"  trace-record --on-slow request=250ms --on-rss 2G -- ./server\n"
	"      writes a trace of the seconds before, each time that happens\n"
	"  trace-record --recover\n"
	"      writes what recorders that were killed have left behind\n"
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
	{ "sched", FR_EVENTS_SCHED },
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

int options_block_rate_parse(const char *text, uint64_t *ns_out)
{
	int64_t ns;
	int err;

	if (strcmp(text, "all") == 0) {
		*ns_out = 1;
		return 0;
	}
	err = units_duration_parse(text, &ns);
	if (!err && ns < 0)
		err = -EINVAL;
	if (!err)
		*ns_out = (uint64_t)ns;
	return err;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	const struct option_row *row;
	g_autofree char *why = NULL;
	const char *text;

	switch (key) {
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
		break;
	}
	if (key < FIRST_KEY || (size_t)(key - FIRST_KEY) >= option_n_rows)
		return ARGP_ERR_UNKNOWN;
	row = &option_rows[key - FIRST_KEY];
	/* Only options whose argument may be left out come without one. */
	text = arg ? arg : "yes";
	options->is_given |= 1ull << (key - FIRST_KEY);
	why = option_set(row, text, options);
	if (why)
		argp_error(state, "--%s %s: %s", row->name, text, why);
	return 0;
}

/* Rows that set the same field, and the one way to give a token that is no row's twin. */
static void spread_given(struct options *options)
{
	uint64_t is_given = options->is_given;

	for (size_t i = 0; i < option_n_rows; i++) {
		for (size_t k = 0; k < option_n_rows; k++) {
			if ((is_given >> i & 1) && option_rows[k].kind != OPTION_TITLE &&
				option_rows[k].offset == option_rows[i].offset)
				options->is_given |= 1ull << k;
		}
	}
}

static void fill_argp_options(struct argp_option table_out[MAX_ROWS + 1])
{
	int group = 0;
	size_t n = 0;

	for (size_t i = 0; i < option_n_rows; i++) {
		const struct option_row *row = &option_rows[i];
		struct argp_option option = { .doc = row->help };

		if (row->kind == OPTION_TITLE) {
			option.group = ++group;
		} else if (row->name) {
			option.name = row->name;
			option.key = FIRST_KEY + (int)i;
			option.arg = row->arg;
			if (row->kind == OPTION_SWITCH || row->kind == OPTION_LIMIT)
				option.flags = OPTION_ARG_OPTIONAL;
			if (!row->help)
				option.flags |= OPTION_HIDDEN;
		} else {
			continue;
		}
		table_out[n++] = option;
	}
	table_out[n] = (struct argp_option){ 0 };
}

static void check_together(const struct options *options)
{
	const char *why = NULL;

	if (!options->tls_cert != !options->tls_key)
		why = "--tls-cert and --tls-key belong together: give both, or neither";
	else if (options->tls_cert && g_str_has_prefix(options->listen, "unix:"))
		why = "--tls-cert is for TCP; a unix socket is protected by its file's mode";
	if (!why)
		return;
	fprintf(stderr, "trace-record: %s\n", why);
	exit(EXIT_USAGE);
}

void options_parse(int argc, char **argv, struct options *options_out)
{
	struct argp_option table[MAX_ROWS + 1];
	const struct argp argp = {
		.options = table,
		.parser = parse_option,
		.args_doc = "[--] PROGRAM [ARG...]",
		.doc = doc,
	};
	/* Messages begin with the program's plain name however it was started. */
	static char name[] = "trace-record";
	g_autofree char *why = NULL;

	*options_out = (struct options){
		.listen = "127.0.0.1:6060",
		.idle_ns = 15000000000,
		.output_dir = ".",
		.buffer_bytes = 64ull << 20,
		.sched_bytes = 16ull << 20,
		.max_trace_bytes = 2ull << 30,
		.events = FR_EVENTS_ALL,
		.alloc_rate = 512ull << 10,
		.stack_depth = 64,
		.cpu_hz = 100,
		.cpu_always_hz = 19,
		.block_rate_ns = 1,
		.mutex_fraction = 1,
		.trigger_rate_ns = 60000000000,
		.trigger_keep = 10,
	};
	fill_argp_options(table);
	argp_err_exit_status = EXIT_USAGE;
	if (argc > 0)
		argv[0] = name;
	/* `-cpuprofile=F' too: the habit of Go's users. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_LONG_ONLY, NULL, options_out);
	spread_given(options_out);
	if (options_out->config && config_load(options_out->config, options_out, &why) < 0) {
		fprintf(stderr, "trace-record: %s\n", why);
		exit(EXIT_USAGE);
	}
	check_together(options_out);
}

bool options_is_given(const struct options *options, const char *name)
{
	const struct option_row *row = option_find_key(name);

	return row && (options->is_given >> (row - option_rows) & 1);
}

void options_fini(struct options *options)
{
	if (options->strings)
		g_ptr_array_unref(options->strings);
	options->strings = NULL;
}
