/* SPDX-License-Identifier: MIT */
/* How processes ended: in words, on file, and by the counters of cgroups. */
#include "recorder/process_end.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>

#include "check.h"
#include "recorder/oom.h"
#include "recorder/rate_limit.h"
#include "temp_dir.h"

static void test_signals(void)
{
	g_autofree char *segv = process_signal_name(SIGSEGV), *rt = process_signal_name(SIGRTMIN),
			*rt3 = process_signal_name(SIGRTMIN + 3), *none = process_signal_name(999);

	CHECK_STR(segv, "SIGSEGV");
	CHECK_STR(rt, "SIGRTMIN");
	CHECK_STR(rt3, "SIGRTMIN+3");
	CHECK_STR(none, "signal 999");
	CHECK_INT(process_signal_number("USR2"), SIGUSR2);
	CHECK_INT(process_signal_number("SIGUSR2"), SIGUSR2);
	CHECK_INT(process_signal_number("sigusr1"), SIGUSR1);
	CHECK_INT(process_signal_number("12"), 12);
	CHECK_INT(process_signal_number("RTMIN+3"), SIGRTMIN + 3);
	CHECK_INT(process_signal_number("SIGRTMAX-1"), SIGRTMAX - 1);
	CHECK_INT(process_signal_number("RTMIN+99"), 0);
	CHECK_INT(process_signal_number("RTMIN+"), 0);
	CHECK_INT(process_signal_number("RTMIN+2x"), 0);
	CHECK_INT(process_signal_number(""), 0);
	CHECK_INT(process_signal_number("0"), 0);
	CHECK_INT(process_signal_number("-9"), 0);
	CHECK_INT(process_signal_number("65"), 0);
	CHECK_INT(process_signal_number("NOSUCH"), 0);
}

static void test_status(void)
{
	struct process_end end = { 0 };

	process_end_of_status(SIGSEGV | 0x80, &end);
	CHECK_INT(end.how, PROCESS_END_SIGNAL);
	CHECK_INT(end.signal, SIGSEGV);
	CHECK_INT(end.is_core, 1);
	end = (struct process_end){ 0 };
	process_end_of_status(3 << 8, &end);
	CHECK_INT(end.how, PROCESS_END_EXIT);
	CHECK_INT(end.code, 3);
}

static void test_file(void)
{
	struct process_end end = { .how = PROCESS_END_SIGNAL, .signal = 9, .is_oom = 1 }, got;

	CHECK(!process_end_read(temp_dir_path, 7, &got));
	CHECK_INT(process_end_write(temp_dir_path, 65535, &end), 0);
	end.signal = 11;
	CHECK_INT(process_end_write(temp_dir_path, 7, &end), 0);
	CHECK(process_end_read(temp_dir_path, 7, &got));
	CHECK_INT(got.signal, 11);
	CHECK(process_end_read(temp_dir_path, 65535, &got));
	CHECK_INT(got.signal, 9);
	CHECK_INT(got.is_oom, 1);
	/* Between the two is a hole. */
	CHECK(!process_end_read(temp_dir_path, 8, &got));
	CHECK_INT(got.how, PROCESS_END_NONE);
	CHECK_INT(process_end_write("/no/such/folder", 7, &end), -ENOENT);
}

static void test_oom_files(void)
{
	CHECK_INT(oom_parse("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"), 2);
	CHECK_INT(oom_parse("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), 5);
	CHECK_INT(oom_parse("oom_kill_disable 0\nunder_oom 0\n"), -1);
	CHECK_INT(oom_parse(""), -1);
}

static void test_rate(void)
{
	struct rate_limit one = { .every_ns = 100, .burst = 1 };
	struct rate_limit three = { .every_ns = 100, .burst = 3 };
	struct rate_limit none = { .burst = 1 };
	unsigned n = 0;

	CHECK(rate_limit_take(&one, 1000));
	CHECK(!rate_limit_take(&one, 1001));
	CHECK(!rate_limit_take(&one, 1099));
	CHECK(rate_limit_take(&one, 1100));
	CHECK_INT(rate_limit_left_out(&one), 2);
	CHECK_INT(rate_limit_left_out(&one), 0);
	/* A long pause saves nothing up. */
	CHECK(rate_limit_take(&one, 100000));
	CHECK(!rate_limit_take(&one, 100001));
	for (uint64_t t = 5000; t < 5050; t++)
		n += rate_limit_take(&three, t);
	CHECK_INT(n, 3);
	for (uint64_t t = 5050; t < 6050; t++)
		n += rate_limit_take(&three, t);
	CHECK_INT(n, 13);
	for (uint64_t t = 0; t < 50; t++)
		CHECK(rate_limit_take(&none, t));
}

int main(void)
{
	temp_dir_make(NULL, "test_process_end");
	CASE(test_signals, "signals have names, and names have signals");
	CASE(test_status, "a wait status says how a process ended");
	CASE(test_file, "ends are kept by number of the process");
	CASE(test_oom_files, "both kinds of cgroup say how many were killed");
	CASE(test_rate, "a rate limit lets a burst through and counts the rest");
	return CHECK_DONE();
}
