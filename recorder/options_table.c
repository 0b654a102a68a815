/* SPDX-License-Identifier: MIT */
#include "recorder/options_table.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <string.h>

#include "common/units.h"
#include "proto/schema.h"
#include "recorder/process_end.h"

#define MIN_BUFFER (1ull << 20)
#define MAX_BUFFER (1ull << 40)
#define MIN_SCHED_BUFFER (256ull << 10)
#define MIN_TRACE (1ull << 20)
#define MAX_STACK_DEPTH 512
#define MAX_CPU_HZ 10000
#define SECOND 1000000000ull

#define FIELD(name) offsetof(struct options, name)

/* clang-format off */
const struct option_row option_rows[] = {
	{ OPTION_TITLE, NULL, NULL, NULL, 0, 0, 0, "Where:" },
	{ OPTION_NAME, "listen", "http.address", "ADDRESS", FIELD(listen), 0, 0,
		"HTTP address: 127.0.0.1:PORT, [::1]:PORT or unix:PATH (default 127.0.0.1:6060; port 0 takes a free one); others need a token" },
	{ OPTION_NAME, "port-file", NULL, "FILE", FIELD(port_file), 0, 0,
		"Write the port number to FILE once it answers" },
	{ OPTION_NAME, "output-dir", NULL, "DIR", FIELD(output_dir), 0, 0,
		"Folder for trace.out (default: the current one)" },
	{ OPTION_LINGER, "linger", NULL, "TIME", FIELD(linger_ns), 0, INT64_MAX,
		"Serve the program's last profiles for TIME after its end, or `forever' (default 0s)" },

	{ OPTION_TITLE, NULL, NULL, NULL, 0, 0, 0, "Files that are written when the program ends:" },
	{ OPTION_NAME, "trace", NULL, "FILE", FIELD(trace_file), 0, 0,
		"Trace of the whole life of the program" },
	{ OPTION_NAME, "cpuprofile", NULL, "FILE", FIELD(cpu_profile), 0, 0,
		"CPU profile of the whole life of the program" },
	{ OPTION_NAME, "memprofile", NULL, "FILE", FIELD(mem_profile), 0, 0,
		"Profile of all its allocations, and of those still alive" },
	{ OPTION_NAME, "blockprofile", NULL, "FILE", FIELD(block_profile), 0, 0,
		"Profile of its waits for locks, by who waited" },
	{ OPTION_NAME, "mutexprofile", NULL, "FILE", FIELD(mutex_profile), 0, 0,
		"Profile of its waits for locks, by who held them" },

	{ OPTION_TITLE, NULL, NULL, NULL, 0, 0, 0, "What:" },
	{ OPTION_EVENTS, "events", NULL, "LIST", FIELD(events), 0, 0,
		"Comma-separated: lock, syscall, alloc, thread, user, sched, all, none; -NAME leaves one out (default all; thread is always on)" },
	{ OPTION_TIME, "lock-threshold", NULL, "TIME", FIELD(lock_ns), 0, INT64_MAX,
		"Count lock waits shorter than TIME, do not record them (default 0s)" },
	{ OPTION_TIME, "syscall-threshold", NULL, "TIME", FIELD(syscall_ns), 0, INT64_MAX,
		"Count system calls shorter than TIME, do not record them (default 0s; the flight recorder uses at least 10us)" },
	{ OPTION_SIZE, "heap-rate", NULL, "SIZE", FIELD(alloc_rate), 0, MAX_BUFFER,
		"Sample one allocation in SIZE bytes (default 512K; 0 none, 1 every one)" },
	{ OPTION_SIZE, "alloc-rate", NULL, "SIZE", FIELD(alloc_rate), 0, MAX_BUFFER,
		"Another name of --heap-rate" },
	{ OPTION_RATE, "block-rate", NULL, "TIME", FIELD(block_rate_ns), 0, 0,
		"Block profile: sample one wait in TIME waited, longer ones always; `all' every one (the default), 0 none" },
	{ OPTION_COUNT, "mutex-fraction", NULL, "N", FIELD(mutex_fraction), 0, INT32_MAX,
		"Mutex profile: one wait in N (default 1; 0 none)" },
	{ OPTION_COUNT, "cpu-rate", NULL, "HZ", FIELD(cpu_hz), 1, MAX_CPU_HZ,
		"CPU profiles: samples per second of CPU time and thread (default 100)" },
	{ OPTION_COUNT, "cpu-always", NULL, "HZ", FIELD(cpu_always_hz), 0, MAX_CPU_HZ,
		"CPU samples that the flight recorder keeps, by timers in the program: so many per second of CPU time and thread (default 19; 0 none)" },
	{ OPTION_ENGINE, "cpu-engine", NULL, "ENGINE", FIELD(cpu_engine), 0, 0,
		"CPU profiles: `signal' (timers in the program), `perf' (by the kernel, no signals), or `auto' (the default: signals unless the program uses SIGPROF)" },
	{ OPTION_SCHED, "sched", NULL, "STEP", FIELD(sched), 0, 0,
		"What the kernel's scheduler does: by `bpf' (every switch and who woke whom), `switch' (every switch), `schedstat' (totals), `off', or `auto' (the default: the first that is permitted)" },
	{ OPTION_COUNT, "stack-depth", NULL, "N", FIELD(stack_depth), 1, MAX_STACK_DEPTH,
		"Frames kept per stack, 1 to 512 (default 64)" },
	{ OPTION_LIMIT, "debuginfod", NULL, "TIME", FIELD(debuginfod_ns), 0, INT64_MAX,
		"Ask the servers in DEBUGINFOD_URLS for names of functions that no file here has, for up to TIME per trace (1m unless given)" },

	{ OPTION_TITLE, NULL, NULL, NULL, 0, 0, 0, "How much:" },
	{ OPTION_SIZE, "buffer-size", NULL, "SIZE", FIELD(buffer_bytes), MIN_BUFFER, MAX_BUFFER,
		"Memory of the flight recorder, all CPUs together (default 64M)" },
	{ OPTION_TIME, "min-age", NULL, "TIME", FIELD(min_age_ns), 0, INT64_MAX,
		"How far back the flight recorder should reach: where that takes more memory, status and traces say how much (default 0s: no wish)" },
	{ OPTION_SIZE, "sched-buffer", NULL, "SIZE", FIELD(sched_bytes), MIN_SCHED_BUFFER, MAX_BUFFER,
		"Memory for the scheduler's records, of about 4 bytes each (default 16M); a run's may go to disk" },
	{ OPTION_SIZE, "max-trace-size", NULL, "SIZE", FIELD(max_trace_bytes), MIN_TRACE, INT64_MAX,
		"End a recording when it takes SIZE on disk (default 2G)" },
	{ OPTION_TIME, "max-duration", NULL, "TIME", FIELD(max_duration_ns), 0, INT64_MAX,
		"Refuse profiles, traces and runs that would take longer (default 0s: no limit but their own)" },
	{ OPTION_TIME, "idle-timeout", NULL, "TIME", FIELD(idle_ns), SECOND, 3600 * SECOND,
		"Close connections on which nothing moves; profiles may take longer (default 15s)" },

	{ OPTION_TITLE, NULL, NULL, NULL, 0, 0, 0, "When to write a trace unasked:" },
	{ OPTION_DEATH, "on-death", NULL, "WHICH", FIELD(on_death), 0, 0,
		"When a process dies: `abnormal' (the default: the program by a signal, _exit() or a status other than 0, its children by a signal), `all', or `none'" },
	{ OPTION_SIGNAL, "on-signal", NULL, "SIGNAL", FIELD(on_signal), 0, 0,
		"When trace-record is sent SIGNAL, such as USR2, which then is not passed on to the program" },
	{ OPTION_SLOW, "on-slow", NULL, "NAME=TIME", FIELD(slow), 0, INT64_MAX,
		"When a region or task of type NAME takes TIME or longer; may be given up to 8 times; without NAME= any type" },
	{ OPTION_TIME, "on-lock", NULL, "TIME", FIELD(on_lock_ns), 0, INT64_MAX,
		"When a wait for a lock takes TIME or longer" },
	{ OPTION_TIME, "on-call", NULL, "TIME", FIELD(on_call_ns), 0, INT64_MAX,
		"When a system call takes TIME or longer, waiting for work and sleeping apart" },
	{ OPTION_COUNT, "on-threads", NULL, "N", FIELD(on_threads), 0, INT32_MAX,
		"When a process has N threads or more" },
	{ OPTION_SIZE, "on-rss", NULL, "SIZE", FIELD(on_rss_bytes), 0, MAX_BUFFER,
		"When a process has SIZE in memory or more" },
	{ OPTION_SIZE, "on-heap", NULL, "SIZE", FIELD(on_heap_bytes), 0, MAX_BUFFER,
		"When the live heap of a process, by its samples, is SIZE or more" },
	{ OPTION_SWITCH, "on-deadlock", NULL, "yes|no", FIELD(on_deadlock), 0, 0,
		"When threads wait for each other in a circle (default yes)" },
	{ OPTION_TIME, "trigger-rate", NULL, "TIME", FIELD(trigger_rate_ns), 0, INT64_MAX,
		"Write one trace in TIME at most; others are counted (default 1m; 0s: no limit)" },
	{ OPTION_COUNT, "trigger-keep", NULL, "N", FIELD(trigger_keep), 1, 100000,
		"Keep the N newest of these traces, and of those of deaths (default 10)" },

	{ OPTION_TITLE, NULL, NULL, NULL, 0, 0, 0, "Who may ask:" },
	{ OPTION_NAME, "token-file", "pprof.auth.file", "FILE", FIELD(token_file), 0, 0,
		"Requests must carry the token in FILE: `Authorization: Bearer TOKEN'; FLIGHTREC_TOKEN in the environment does the same" },
	{ OPTION_NAME, NULL, "pprof.auth.bearer", NULL, FIELD(bearer), 0, 0, NULL },
	{ OPTION_NAME, "tls-cert", "http.tls.cert", "FILE", FIELD(tls_cert), 0, 0,
		"Serve HTTPS with this certificate (PEM, the whole chain)" },
	{ OPTION_NAME, "tls-key", "http.tls.key", "FILE", FIELD(tls_key), 0, 0,
		"The certificate's key (PEM)" },
	{ OPTION_MODE, "mode", NULL, "MODE", FIELD(mode), 0, 0,
		"`dev' (the default), or `prod': serve nothing, unless --enable-pprof" },
	{ OPTION_SWITCH, "enable-pprof", "pprof.enabled", "yes|no", FIELD(enable_pprof), 0, 0,
		"Serve HTTP whatever the mode, or do not" },
	{ OPTION_FLAG, "redact-cmdline", NULL, NULL, FIELD(is_cmdline_redacted), 0, 0,
		"Show programs without their arguments, in answers and in traces" },

	{ OPTION_TITLE, NULL, NULL, NULL, 0, 0, 0, "Other:" },
	{ OPTION_NAME, "config", NULL, "FILE", FIELD(config), 0, 0,
		"Take settings from a YAML file; each option's name is a key, and the command line wins" },
	{ OPTION_FLAG, "quiet", NULL, NULL, FIELD(is_quiet), 0, 0, "Report failures only" },
};
/* clang-format on */

const size_t option_n_rows = G_N_ELEMENTS(option_rows);

/* Rows are bits of options.is_given. */
G_STATIC_ASSERT(G_N_ELEMENTS(option_rows) <= 64);

const struct option_row *option_find_key(const char *key)
{
	for (size_t i = 0; i < option_n_rows; i++) {
		const struct option_row *row = &option_rows[i];

		/* A file that names another one would be a loop to find. */
		if (row->kind == OPTION_TITLE || row->offset == FIELD(config))
			continue;
		if ((row->name && strcmp(row->name, key) == 0) ||
			(row->key && strcmp(row->key, key) == 0))
			return row;
	}
	return NULL;
}

int option_bool_parse(const char *text, bool *value_out)
{
	static const char *const words[][2] = {
		{ "no", "yes" },
		{ "false", "true" },
		{ "off", "on" },
		{ "0", "1" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		for (int value = 0; value < 2; value++) {
			if (g_ascii_strcasecmp(text, words[i][value]) == 0) {
				*value_out = value;
				return 0;
			}
		}
	}
	return -EINVAL;
}

static char *set_size(const struct option_row *row, const char *text, uint64_t *out)
{
	uint64_t bytes;
	char lowest[32], highest[32];

	if (units_size_parse(text, &bytes) == 0 && bytes >= row->min && bytes <= row->max) {
		*out = bytes;
		return NULL;
	}
	units_size_format(row->min, lowest, sizeof(lowest));
	units_size_format(row->max, highest, sizeof(highest));
	return g_strdup_printf(
		"expected a size such as 512K, 64M or 2G, from %s to %s", lowest, highest);
}

static char *set_count(const struct option_row *row, const char *text, uint32_t *out)
{
	uint64_t n;

	if (units_count_parse(text, row->max, &n) == 0 && n >= row->min) {
		*out = (uint32_t)n;
		return NULL;
	}
	return g_strdup_printf("expected a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
		row->min, row->max);
}

static char *set_time(const struct option_row *row, const char *text, uint64_t *out)
{
	int64_t ns;
	char lowest[64], highest[64];

	if (units_duration_parse(text, &ns) == 0 && ns >= 0 && (uint64_t)ns >= row->min &&
		(uint64_t)ns <= row->max) {
		*out = (uint64_t)ns;
		return NULL;
	}
	if (row->max == INT64_MAX)
		return g_strdup("expected a duration such as 10us, 1ms or 0s");
	units_duration_format((int64_t)row->min, lowest, sizeof(lowest));
	units_duration_format((int64_t)row->max, highest, sizeof(highest));
	return g_strdup_printf("expected a duration from %s to %s", lowest, highest);
}

static char *set_linger(const struct option_row *row, const char *text, uint64_t *out)
{
	char *why;

	if (strcmp(text, "forever") == 0) {
		*out = OPTIONS_FOREVER;
		return NULL;
	}
	why = set_time(row, text, out);
	if (!why)
		return NULL;
	g_free(why);
	return g_strdup("expected a duration such as 30s or 1h, or `forever'");
}

static char *set_limit(const struct option_row *row, const char *text, uint64_t *out)
{
	bool is_on;
	char *why;

	if (option_bool_parse(text, &is_on) == 0) {
		*out = is_on ? OPTION_DEFAULT_LIMIT : 0;
		return NULL;
	}
	why = set_time(row, text, out);
	if (!why)
		return NULL;
	g_free(why);
	return g_strdup("expected a duration such as 30s or 5m, or nothing");
}

static char *set_events(const char *text, uint32_t *out)
{
	g_autofree char *bad = NULL;

	if (options_events_parse(text, out, &bad) == 0)
		return NULL;
	return g_strdup_printf(
		"unknown class \"%s\"; expected a comma-separated list of lock, syscall, alloc, "
		"thread, user, sched, all, none, or -NAME to leave one out",
		bad);
}

static char *set_word(
	const char *text, const char *const *words, const char *expected, uint32_t *out)
{
	for (uint32_t i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			*out = i;
			return NULL;
		}
	}
	return g_strdup(expected);
}

static char *set_bool(const char *text, bool *out)
{
	return option_bool_parse(text, out) == 0 ? NULL : g_strdup("expected true or false");
}

static char *set_name(const char *text, struct options *options, const char **out)
{
	char *copy;

	if (*text == '\0')
		return g_strdup("expected a name, got nothing");
	copy = g_strdup(text);
	if (!options->strings)
		options->strings = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(options->strings, copy);
	*out = copy;
	return NULL;
}

/* What we may be sent besides that which tells us, or the program, to end or to stop. */
static char *set_signal(const char *text, uint32_t *out)
{
	static const int allowed[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGURG, SIGIO, SIGPWR,
		SIGQUIT, SIGHUP };
	int number = process_signal_number(text);
	bool is_fine = number >= SIGRTMIN && number <= SIGRTMAX;

	for (size_t i = 0; i < G_N_ELEMENTS(allowed); i++)
		is_fine |= number == allowed[i];
	if (!is_fine)
		return g_strdup("expected USR1, USR2, ALRM, WINCH, URG, IO, PWR, QUIT, HUP or "
				"RTMIN+N");
	*out = (uint32_t)number;
	return NULL;
}

/* One "NAME=TIME", or "TIME" for every name. */
static char *add_slow(const struct option_row *row, const char *text, struct options *options)
{
	const char *time = strrchr(text, '=');
	size_t n_name = time ? (size_t)(time - text) : 0;
	struct fr_slow_rule rule = { .ns = 0 };
	char *why = set_time(row, time ? time + 1 : text, &rule.ns);

	if (why || rule.ns == 0) {
		g_free(why);
		return g_strdup("expected NAME=TIME with a duration such as 250ms");
	}
	if (n_name >= sizeof(rule.type))
		return g_strdup_printf("expected a name of at most %zu bytes",
			sizeof(rule.type) - 1);
	if (options->n_slow == FR_CONTROL_MAX_SLOW)
		return g_strdup_printf("expected at most %d of these", FR_CONTROL_MAX_SLOW);
	memcpy(rule.type, text, n_name);
	options->slow[options->n_slow++] = rule;
	return NULL;
}

static char *set_slow(const struct option_row *row, const char *text, struct options *options)
{
	g_auto(GStrv) rules = g_strsplit(text, ",", -1);

	for (size_t i = 0; rules[i] || i == 0; i++) {
		char *why = add_slow(row, rules[i] ? rules[i] : "", options);

		if (why)
			return why;
	}
	return NULL;
}

char *option_set(const struct option_row *row, const char *text, struct options *options)
{
	static const char *const deaths[] = { "abnormal", "all", "none", NULL };
	static const char *const modes[] = { "dev", "prod", NULL };
	static const char *const engines[] = { "auto", "signal", "perf", NULL };
	static const char *const steps[] = { "auto", "bpf", "switch", "schedstat", "off", NULL };
	void *field = (char *)options + row->offset;
	char *why = NULL;
	bool is_on = true;

	switch (row->kind) {
	case OPTION_TITLE:
		break;
	case OPTION_NAME:
		return set_name(text, options, field);
	case OPTION_FLAG:
		return set_bool(text, field);
	case OPTION_SWITCH:
		why = set_bool(text, &is_on);
		if (!why)
			*(uint32_t *)field = is_on ? OPTIONS_YES : OPTIONS_NO;
		return why;
	case OPTION_SIZE:
		return set_size(row, text, field);
	case OPTION_COUNT:
		return set_count(row, text, field);
	case OPTION_TIME:
		return set_time(row, text, field);
	case OPTION_LINGER:
		return set_linger(row, text, field);
	case OPTION_LIMIT:
		return set_limit(row, text, field);
	case OPTION_RATE:
		if (options_block_rate_parse(text, field) < 0)
			return g_strdup("expected a duration such as 10us or 1ms, `all', or 0");
		break;
	case OPTION_EVENTS:
		return set_events(text, field);
	case OPTION_MODE:
		return set_word(text, modes, "expected dev or prod", field);
	case OPTION_SCHED:
		return set_word(
			text, steps, "expected auto, bpf, switch, schedstat or off", field);
	case OPTION_DEATH:
		return set_word(text, deaths, "expected abnormal, all or none", field);
	case OPTION_SIGNAL:
		return set_signal(text, field);
	case OPTION_SLOW:
		return set_slow(row, text, options);
	case OPTION_ENGINE:
		return set_word(text, engines, "expected auto, signal or perf", field);
	}
	return NULL;
}
