/* SPDX-License-Identifier: MIT */
#include "recorder/options.h"
#include "recorder/sched.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "proto/schema.h"

/* Bits of a list; -1 when it is refused. */
static int64_t events(const char *list)
{
	g_autofree char *bad = NULL;
	uint32_t bits = 0;

	return options_events_parse(list, &bits, &bad) == 0 ? (int64_t)bits : -1;
}

static void test_events(void)
{
	const uint32_t all = FR_EVENTS_ALL, thread = FR_EVENTS_THREAD;

	CHECK_INT(events("all"), all);
	CHECK_INT(events("none"), thread);
	CHECK_INT(events("lock"), FR_EVENTS_LOCK | thread);
	CHECK_INT(events("lock,syscall"), FR_EVENTS_LOCK | FR_EVENTS_SYSCALL | thread);
	CHECK_INT(events(" lock , user"), FR_EVENTS_LOCK | FR_EVENTS_USER | thread);
	CHECK_INT(events("-alloc"), all & ~FR_EVENTS_ALLOC);
	CHECK_INT(events("all,-alloc,-lock"), all & ~(FR_EVENTS_ALLOC | FR_EVENTS_LOCK));
	CHECK_INT(events("-thread"), all);
	CHECK_INT(events(""), -1);
	CHECK_INT(events("lock,"), -1);
	CHECK_INT(events("locks"), -1);
	CHECK_INT(events("lock;user"), -1);
}

static void test_bad_word_is_named(void)
{
	g_autofree char *bad = NULL;
	uint32_t bits = 0;

	CHECK_INT(options_events_parse("lock,-nope", &bits, &bad), -EINVAL);
	CHECK_STR(bad, "-nope");
}

static void test_events_format(void)
{
	g_autofree char *all = options_events_format(FR_EVENTS_ALL);
	g_autofree char *two = options_events_format(FR_EVENTS_LOCK | FR_EVENTS_THREAD);

	CHECK_STR(all, "lock,syscall,alloc,thread,user,sched");
	CHECK_STR(two, "lock,thread");
}

static void test_defaults(void)
{
	char *argv[] = { (char[]){ "trace-record" }, (char[]){ "prog" }, (char[]){ "--listen" },
		NULL };
	struct options options;

	options_parse(3, argv, &options);
	CHECK_STR(options.listen, "127.0.0.1:6060");
	CHECK_STR(options.output_dir, ".");
	CHECK_INT(options.buffer_bytes, 64 << 20);
	CHECK_INT(options.max_trace_bytes, 2ll << 30);
	CHECK_INT(options.alloc_rate, 512 << 10);
	CHECK_INT(options.events, FR_EVENTS_ALL);
	CHECK(options.trace_file == NULL);
	CHECK_INT(options.block_rate_ns, 1);
	CHECK_INT(options.mutex_fraction, 1);
	CHECK_INT(options.cpu_hz, 100);
	CHECK_INT(options.cpu_engine, OPTIONS_CPU_AUTO);
	CHECK_INT(options.mode, OPTIONS_DEV);
	CHECK_INT(options.enable_pprof, OPTIONS_UNSET);
	CHECK_INT(options.linger_ns, 0);
	CHECK_INT(options.idle_ns, 15000000000);
	CHECK(!options.bearer && !options.token_file && !options.tls_cert && !options.cpu_profile);
	/* Options of the program stay its own. */
	CHECK_STR(options.argv[0], "prog");
	CHECK_STR(options.argv[1], "--listen");
	CHECK(options.argv[2] == NULL);
}

static void test_values(void)
{
	char *argv[] = { (char[]){ "x" }, (char[]){ "--listen=unix:/tmp/s" },
		(char[]){ "--buffer-size" }, (char[]){ "8M" }, (char[]){ "--events=-user" },
		(char[]){ "--lock-threshold=1ms" }, (char[]){ "--syscall-threshold=20us" },
		(char[]){ "--alloc-rate=1" }, (char[]){ "--stack-depth=32" },
		(char[]){ "--trace=t.out" }, (char[]){ "--quiet" }, (char[]){ "--" },
		(char[]){ "--odd-name" }, (char[]){ "-x" }, NULL };
	struct options options;

	options_parse(14, argv, &options);
	CHECK_STR(options.listen, "unix:/tmp/s");
	CHECK_INT(options.buffer_bytes, 8 << 20);
	CHECK_INT(options.events, FR_EVENTS_ALL & ~FR_EVENTS_USER);
	CHECK_INT(options.lock_ns, 1000000);
	CHECK_INT(options.syscall_ns, 20000);
	CHECK_INT(options.alloc_rate, 1);
	CHECK_INT(options.stack_depth, 32);
	CHECK_STR(options.trace_file, "t.out");
	CHECK(options.is_quiet);
	CHECK_STR(options.argv[0], "--odd-name");
	CHECK_STR(options.argv[1], "-x");
}

static void test_more_values(void)
{
	char *argv[] = { (char[]){ "x" }, (char[]){ "-cpuprofile=c" }, (char[]){ "-memprofile" },
		(char[]){ "m" }, (char[]){ "--block-rate=1ms" }, (char[]){ "--mutex-fraction=7" },
		(char[]){ "--heap-rate=1M" }, (char[]){ "--cpu-rate=99" },
		(char[]){ "--cpu-always=7" }, (char[]){ "--sched=switch" },
		(char[]){ "--sched-buffer=1M" }, (char[]){ "--cpu-engine=perf" },
		(char[]){ "--linger=forever" }, (char[]){ "--mode=prod" },
		(char[]){ "--enable-pprof" }, (char[]){ "--redact-cmdline" },
		(char[]){ "--max-duration=1m" }, (char[]){ "prog" }, (char[]){ "--mode=x" }, NULL };
	struct options options;

	options_parse(19, argv, &options);
	CHECK_STR(options.cpu_profile, "c");
	CHECK_INT(options.sched, SCHED_SWITCH);
	CHECK_INT(options.sched_bytes, 1 << 20);
	CHECK_STR(options.mem_profile, "m");
	CHECK_INT(options.block_rate_ns, 1000000);
	CHECK_INT(options.mutex_fraction, 7);
	CHECK_INT(options.alloc_rate, 1 << 20);
	CHECK_INT(options.cpu_hz, 99);
	CHECK_INT(options.cpu_always_hz, 7);
	CHECK_INT(options.cpu_engine, OPTIONS_CPU_PERF);
	CHECK_INT(options.linger_ns, OPTIONS_FOREVER);
	CHECK_INT(options.mode, OPTIONS_PROD);
	CHECK_INT(options.enable_pprof, OPTIONS_YES);
	CHECK(options.is_cmdline_redacted);
	CHECK_INT(options.max_duration_ns, 60000000000);
	CHECK_STR(options.argv[0], "prog");
	/* Whoever sets one name of a setting has set the other, too. */
	CHECK(options_is_given(&options, "heap-rate") && options_is_given(&options, "alloc-rate"));
	CHECK(!options_is_given(&options, "listen"));
	options_fini(&options);
}

static void test_triggers(void)
{
	char *argv[] = { (char[]){ "x" }, (char[]){ "--on-slow=request=250ms" },
		(char[]){ "--on-slow" }, (char[]){ "a=b=1s,2s" }, (char[]){ "--on-signal=USR2" },
		(char[]){ "--on-lock=1ms" }, (char[]){ "--on-call=2ms" },
		(char[]){ "--on-threads=9" }, (char[]){ "--on-rss=1G" }, (char[]){ "--on-heap=2M" },
		(char[]){ "--on-deadlock=no" }, (char[]){ "--on-death=all" },
		(char[]){ "--trigger-rate=0s" }, (char[]){ "--trigger-keep=3" }, (char[]){ "prog" },
		NULL };
	struct options options;

	options_parse(15, argv, &options);
	CHECK_INT(options.n_slow, 3);
	CHECK_STR(options.slow[0].type, "request");
	CHECK_INT(options.slow[0].ns, 250000000);
	/* A name may hold `='; none means all. */
	CHECK_STR(options.slow[1].type, "a=b");
	CHECK_STR(options.slow[2].type, "");
	CHECK_INT(options.slow[2].ns, 2000000000);
	CHECK_INT(options.on_signal, SIGUSR2);
	CHECK_INT(options.on_lock_ns, 1000000);
	CHECK_INT(options.on_call_ns, 2000000);
	CHECK_INT(options.on_threads, 9);
	CHECK_INT(options.on_rss_bytes, 1 << 30);
	CHECK_INT(options.on_heap_bytes, 2 << 20);
	CHECK_INT(options.on_deadlock, OPTIONS_NO);
	CHECK_INT(options.on_death, OPTIONS_DEATH_ALL);
	CHECK_INT(options.trigger_rate_ns, 0);
	CHECK_INT(options.trigger_keep, 3);
	options_fini(&options);
}

static int64_t block_rate(const char *text)
{
	uint64_t ns = 0;

	return options_block_rate_parse(text, &ns) == 0 ? (int64_t)ns : -1;
}

static void test_block_rate(void)
{
	CHECK_INT(block_rate("all"), 1);
	CHECK_INT(block_rate("0"), 0);
	CHECK_INT(block_rate("1ns"), 1);
	CHECK_INT(block_rate("2.5us"), 2500);
	CHECK_INT(block_rate("10"), -1);
	CHECK_INT(block_rate("-1s"), -1);
	CHECK_INT(block_rate(""), -1);
}

/* Exit status and stderr of parsing one option before a program. */
static int parse_in_child(const char *option, char *text, size_t n)
{
	int fds[2], status = 0;
	ssize_t got;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		g_autofree char *copy = g_strdup(option);
		char *argv[] = { (char[]){ "x" }, copy, (char[]){ "true" }, NULL };
		struct options options;

		dup2(fds[1], STDERR_FILENO);
		options_parse(option ? 3 : 1, argv, &options);
		_exit(0);
	}
	close(fds[1]);
	got = read(fds[0], text, n - 1);
	text[got > 0 ? got : 0] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_usage_errors(void)
{
	static const struct {
		const char *option, *name, *value;
	} cases[] = {
		{ "--buffer-size=12Q", "--buffer-size", "12Q" },
		{ "--buffer-size=1K", "--buffer-size", "1K" },
		{ "--max-trace-size=-1", "--max-trace-size", "-1" },
		{ "--events=locks", "--events", "locks" },
		{ "--lock-threshold=5", "--lock-threshold", "5" },
		{ "--syscall-threshold=-1s", "--syscall-threshold", "-1s" },
		{ "--alloc-rate=x", "--alloc-rate", "x" },
		{ "--stack-depth=0", "--stack-depth", "0" },
		{ "--stack-depth=513", "--stack-depth", "513" },
		{ "--heap-rate=-1", "--heap-rate", "-1" },
		{ "--block-rate=5", "--block-rate", "5" },
		{ "--mutex-fraction=-1", "--mutex-fraction", "-1" },
		{ "--cpu-rate=0", "--cpu-rate", "0" },
		{ "--cpu-rate=100000", "--cpu-rate", "100000" },
		{ "--cpu-engine=timer", "--cpu-engine", "timer" },
		{ "--sched=perf", "--sched", "perf" },
		{ "--sched-buffer=1K", "--sched-buffer", "1K" },
		{ "--linger=long", "--linger", "long" },
		{ "--idle-timeout=1ms", "--idle-timeout", "1ms" },
		{ "--max-duration=x", "--max-duration", "x" },
		{ "--mode=test", "--mode", "test" },
		{ "--enable-pprof=maybe", "--enable-pprof", "maybe" },
	};
	char text[1024];

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		CHECK_INT(parse_in_child(cases[i].option, text, sizeof(text)), 2);
		CHECK(strstr(text, cases[i].name) != NULL);
		CHECK(strstr(text, cases[i].value) != NULL);
		CHECK(strstr(text, "expected") != NULL);
	}
	CHECK_INT(parse_in_child("--tls-cert=c", text, sizeof(text)), 2);
	CHECK(strstr(text, "--tls-key") != NULL);
	CHECK_INT(parse_in_child("--config=/no/such/file", text, sizeof(text)), 2);
	CHECK(strstr(text, "/no/such/file") != NULL);
	CHECK_INT(parse_in_child("--no-such-option", text, sizeof(text)), 2);
	CHECK_INT(parse_in_child("--trace=", text, sizeof(text)), 2);
	CHECK_INT(parse_in_child(NULL, text, sizeof(text)), 2);
	CHECK(strstr(text, "PROGRAM") != NULL);
	CHECK_INT(parse_in_child("--quiet", text, sizeof(text)), 0);
}

int main(void)
{
	CASE(test_events, "lists of event classes add and leave out");
	CASE(test_bad_word_is_named, "the word that is not understood is named");
	CASE(test_events_format, "classes are listed in the order of the schema");
	CASE(test_defaults, "defaults hold, and the program keeps its options");
	CASE(test_values, "every option takes its value");
	CASE(test_more_values, "one dash will do; a setting with two names is one setting");
	CASE(test_triggers, "what writes a trace unasked");
	CASE(test_block_rate, "the block rate is a duration, all, or nothing");
	CASE(test_usage_errors, "usage errors exit 2 and name option, value and what was expected");
	return CHECK_DONE();
}
