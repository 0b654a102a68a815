/* SPDX-License-Identifier: MIT */
#include "recorder/config.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"
#include "proto/schema.h"
#include "recorder/options_table.h"

/* The sentence that a text is refused with, to g_free(); NULL: it is fine. */
static char *refusal(const char *text, struct options *options)
{
	char *why = NULL;
	int err = config_parse("f.yaml", text, strlen(text), options, &why);

	CHECK_INT(err, why ? -EINVAL : 0);
	return why;
}

/* Parses into `options`, which must work. */
static void parse(const char *text, struct options *options)
{
	g_autofree char *why = refusal(text, options);

	CHECK(why == NULL);
	if (why)
		printf("# %s\n", why);
}

static void check_refused(const char *text, const char *place, const char *words)
{
	struct options options = { 0 };
	g_autofree char *why = refusal(text, &options);

	CHECK(why && g_str_has_prefix(why, place) && strstr(why, words) && !strchr(why, '\n'));
	if (!why || !g_str_has_prefix(why, place) || !strstr(why, words))
		printf("# for %s got: %s\n", text, why ? why : "(nothing)");
	options_fini(&options);
}

static void test_field_keys(void)
{
	struct options options = { 0 };

	parse("http:\n  address: 127.0.0.1:7070\n"
	      "pprof:\n  enabled: true\n  auth:\n    bearer: s3cret\n",
		&options);
	CHECK_STR(options.listen, "127.0.0.1:7070");
	CHECK_INT(options.enable_pprof, OPTIONS_YES);
	CHECK_STR(options.bearer, "s3cret");
	options_fini(&options);
}

static void test_dotted_keys(void)
{
	struct options options = { 0 };

	parse("http.address: '[::1]:0'\npprof: {enabled: no, auth.bearer: \"x y\"}\n"
	      "http.tls: {cert: c.pem, key: k.pem}\n",
		&options);
	CHECK_STR(options.listen, "[::1]:0");
	CHECK_INT(options.enable_pprof, OPTIONS_NO);
	CHECK_STR(options.bearer, "x y");
	CHECK_STR(options.tls_cert, "c.pem");
	CHECK_STR(options.tls_key, "k.pem");
	options_fini(&options);
}

static void test_every_option(void)
{
	struct options options = { 0 };

	parse("# all of them\n"
	      "port-file: p\noutput-dir: /d\nlinger: 1m30s\ntrace: t.out\ncpuprofile: c\n"
	      "memprofile: m\nblockprofile: b\nmutexprofile: x\nevents: [lock, user]\n"
	      "on-slow: [request=250ms, job=2s]\non-signal: USR1\non-death: none\n"
	      "lock-threshold: 1ms\nsyscall-threshold: 20us\nheap-rate: 1M\nblock-rate: all\n"
	      "mutex-fraction: 5\ncpu-rate: 250\ncpu-engine: perf\nstack-depth: 32\n"
	      "buffer-size: 8M\nmax-trace-size: 3G\nmax-duration: 1h\nidle-timeout: 5s\n"
	      "token-file: t\ntls-cert: c.pem\ntls-key: k.pem\nmode: prod\nenable-pprof: yes\n"
	      "redact-cmdline: true\nquiet: on\nlisten: 'unix:/s'\n",
		&options);
	CHECK_STR(options.port_file, "p");
	CHECK_STR(options.output_dir, "/d");
	CHECK_INT(options.linger_ns, 90000000000);
	CHECK_STR(options.trace_file, "t.out");
	CHECK_STR(options.cpu_profile, "c");
	CHECK_STR(options.mem_profile, "m");
	CHECK_STR(options.block_profile, "b");
	CHECK_STR(options.mutex_profile, "x");
	CHECK_INT(options.events, FR_EVENTS_LOCK | FR_EVENTS_USER | FR_EVENTS_THREAD);
	CHECK_INT(options.n_slow, 2);
	CHECK_STR(options.slow[1].type, "job");
	CHECK_INT(options.slow[1].ns, 2000000000);
	CHECK_INT(options.on_signal, SIGUSR1);
	CHECK_INT(options.on_death, OPTIONS_DEATH_NONE);
	CHECK_INT(options.lock_ns, 1000000);
	CHECK_INT(options.syscall_ns, 20000);
	CHECK_INT(options.alloc_rate, 1 << 20);
	CHECK_INT(options.block_rate_ns, 1);
	CHECK_INT(options.mutex_fraction, 5);
	CHECK_INT(options.cpu_hz, 250);
	CHECK_INT(options.cpu_engine, OPTIONS_CPU_PERF);
	CHECK_INT(options.stack_depth, 32);
	CHECK_INT(options.buffer_bytes, 8 << 20);
	CHECK_INT(options.max_trace_bytes, 3ll << 30);
	CHECK_INT(options.max_duration_ns, 3600ll * 1000000000);
	CHECK_INT(options.idle_ns, 5000000000);
	CHECK_INT(options.mode, OPTIONS_PROD);
	CHECK_INT(options.enable_pprof, OPTIONS_YES);
	CHECK(options.is_cmdline_redacted);
	CHECK(options.is_quiet);
	CHECK_STR(options.listen, "unix:/s");
	options_fini(&options);
}

/* No option was forgotten when keys were made. */
static void test_each_option_is_a_key(void)
{
	for (size_t i = 0; i < option_n_rows; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->kind == OPTION_TITLE)
			continue;
		CHECK(row->name || row->key);
		if (row->name && strcmp(row->name, "config") == 0)
			CHECK(option_find_key(row->name) == NULL);
		else if (row->name)
			CHECK(option_find_key(row->name) == row);
		if (row->key)
			CHECK(option_find_key(row->key) == row);
	}
}

static void test_nothing(void)
{
	struct options options = { .stack_depth = 7 };

	parse("", &options);
	parse("# only a comment\n", &options);
	parse("---\n", &options);
	parse("{}\n", &options);
	CHECK_INT(options.stack_depth, 7);
}

static void test_command_line_wins(void)
{
	struct options options = { .stack_depth = 7 };
	const struct option_row *row = option_find_key("stack-depth");

	options.is_given = 1ull << (row - option_rows);
	parse("stack-depth: 32\nbuffer-size: 8M\n", &options);
	CHECK_INT(options.stack_depth, 7);
	CHECK_INT(options.buffer_bytes, 8 << 20);
	CHECK(options_is_given(&options, "stack-depth"));
	CHECK(!options_is_given(&options, "buffer-size"));
}

static void test_refusals(void)
{
	check_refused("quiet: true\nhttp:\n  adress: x\n", "f.yaml:3: ", "unknown key http.adress");
	check_refused("buffer-sise: 8M\n", "f.yaml:1: ", "unknown key buffer-sise");
	check_refused("config: other.yaml\n", "f.yaml:1: ", "unknown key config");
	check_refused("\n\nbuffer-size: lots\n",
		"f.yaml:3: ", "buffer-size: lots: expected a size such as");
	check_refused("buffer-size: [8M]\n", "f.yaml:1: ", "one value, not a list");
	check_refused("buffer-size: {max: 8M}\n", "f.yaml:1: ", "one value, not keys below it");
	check_refused("pprof: true\n", "f.yaml:1: ", "unknown key pprof");
	check_refused("pprof.enabled: maybe\n", "f.yaml:1: ", "expected true or false");
	check_refused("stack-depth: 0\n", "f.yaml:1: ", "from 1 to 512");
	check_refused("mode: production\n", "f.yaml:1: ", "expected dev or prod");
	check_refused("linger: 5\n", "f.yaml:1: ", "expected a duration");
	check_refused("quiet:\n", "f.yaml:1: ", "quiet has no value");
	check_refused("output-dir: ''\n", "f.yaml:1: ", "expected a name");
	check_refused("output-dir: \"a\\0b\"\n", "f.yaml:1: ", "NUL");
	check_refused("events: [lock, [user]]\n", "f.yaml:1: ", "expected a list of words");
	check_refused("events: locks\n", "f.yaml:1: ", "unknown class \"locks\"");
	check_refused("quiet: true\nquiet: false\n", "f.yaml:2: ", "a second time");
	check_refused("listen: ':1'\nhttp.address: ':2'\n", "f.yaml:2: ", "the same setting");
	check_refused("heap-rate: 1M\nalloc-rate: 1M\n", "f.yaml:2: ", "the same setting");
	check_refused("- quiet\n", "f.yaml:1: ", "expected settings");
	check_refused("quiet\n", "f.yaml:1: ", "expected settings");
	check_refused("quiet: true\n---\nquiet: true\n", "f.yaml:2: ", "one document");
	check_refused("a: &x 1\nb: *x\n", "f.yaml:1: ", "unknown key a");
	check_refused("quiet: *x\n", "f.yaml:1: ", "anchors and aliases");
	check_refused("? [a]\n: b\n", "f.yaml:1: ", "expected a key");
	check_refused("quiet: 'open\n", "f.yaml:2: ", "this is not YAML");
	check_refused("quiet: true\n\tlinger: 1s\n", "f.yaml:2: ", "this is not YAML");
	check_refused("a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}}\n", "f.yaml:1: ", "deep");
}

static void test_token_is_not_shown(void)
{
	struct options options = { 0 };
	g_autofree char *why = refusal("pprof.auth.bearer: ''\n", &options);

	CHECK(why && strstr(why, "pprof.auth.bearer"));
	options_fini(&options);
}

static void test_files(void)
{
	g_autofree char *path =
		g_strdup_printf("%s/config-test-%d", g_get_tmp_dir(), (int)getpid());
	g_autofree char *missing = NULL, *folder = NULL, *none = NULL;
	struct options options = { 0 };

	CHECK_INT(config_load(path, &options, &missing), -EIO);
	CHECK(missing && strstr(missing, "No such file"));
	CHECK_INT(config_load("/tmp", &options, &folder), -EISDIR);
	CHECK(folder && strstr(folder, "folder"));
	CHECK(g_file_set_contents(path, "stack-depth: 9\n", -1, NULL));
	CHECK_INT(config_load(path, &options, &none), 0);
	CHECK_INT(options.stack_depth, 9);
	unlink(path);
}

int main(void)
{
	CASE(test_field_keys, "the keys that others use set address, switch and token");
	CASE(test_dotted_keys, "keys may be nested or dotted");
	CASE(test_every_option, "every option has a key that sets it");
	CASE(test_each_option_is_a_key, "the table has no row without a key");
	CASE(test_nothing, "an empty file changes nothing");
	CASE(test_command_line_wins, "what stands on the command line stays");
	CASE(test_refusals, "what is wrong is one sentence with file and line");
	CASE(test_token_is_not_shown, "a bad token is named by its key");
	CASE(test_files, "files that cannot be read are refused");
	return CHECK_DONE();
}
