/* SPDX-License-Identifier: MIT */
/* What /proc says about threads, and the words for a step that is refused. */
#include "recorder/thread_times.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

#include "check.h"
#include "recorder/sched_refusal.h"

static void parses_schedstat(void)
{
	struct thread_times times = THREAD_TIMES_UNKNOWN;

	thread_times_parse_schedstat("123456789 42 17\n", &times);
	CHECK_INT(times.cpu_ns, 123456789);
	CHECK_INT(times.delay_ns, 42);
	CHECK_INT(times.slices, 17);
	CHECK_INT(times.voluntary, -1);
	times = THREAD_TIMES_UNKNOWN;
	thread_times_parse_schedstat("garbage", &times);
	CHECK_INT(times.cpu_ns, -1);
	thread_times_parse_schedstat("18446744073709551615 1 1", &times);
	CHECK(times.cpu_ns == INT64_MAX);
}

static void parses_status(void)
{
	struct thread_times times = THREAD_TIMES_UNKNOWN;

	thread_times_parse_status("Name:\tx\nThreads:\t3\nvoluntary_ctxt_switches:\t150\n"
				  "nonvoluntary_ctxt_switches:\t545\n",
		&times);
	CHECK_INT(times.voluntary, 150);
	CHECK_INT(times.involuntary, 545);
	CHECK_INT(times.slices, -1);
	thread_times_parse_status("Name:\tx\n", &times);
	CHECK_INT(times.voluntary, -1);
}

static void differences(void)
{
	struct thread_times a = { 500, 60, 9, -1, 4 }, b = { 100, 70, 3, 2, -1 };
	struct thread_times d = thread_times_since(a, b);

	CHECK_INT(d.cpu_ns, 400);
	CHECK_INT(d.delay_ns, 0);
	CHECK_INT(d.slices, 6);
	CHECK_INT(d.voluntary, -1);
	CHECK_INT(d.involuntary, -1);
}

static void reads_ourselves(void)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct timespec pause = { .tv_nsec = 2000000 };
	struct thread_times before, after;
	struct thread_files files;

	CHECK(thread_times_read(getpid(), tid, &before));
	for (int i = 0; i < 5; i++)
		nanosleep(&pause, NULL);
	thread_files_open(getpid(), tid, true, &files);
	CHECK(thread_files_read(&files, true, &after));
	CHECK(after.voluntary - before.voluntary >= 5);
	CHECK(after.slices - before.slices >= 5);
	CHECK(after.cpu_ns >= before.cpu_ns && before.cpu_ns > 0);
	CHECK(thread_files_read(&files, false, &after));
	CHECK_INT(after.voluntary, -1);
	thread_files_close(&files);
	CHECK(!thread_times_read(getpid(), 4194304, &after));
}

static void refusals(void)
{
	static const struct {
		int err, is_ring;
		const char *cause, *remedy;
	} cases[] = {
		{ -EPERM, 0, "perf_event_open is not permitted", "--cap-add PERFMON" },
		{ -EACCES, 0, "kernel.perf_event_paranoid = ", "" },
		{ -EMFILE, 0, "file descriptors", "ulimit -Hn" },
		{ -EPERM, 1, "may lock", "kernel.perf_event_mlock_kb" },
		{ -ENOMEM, 1, "could not be set up", "free memory" },
		{ -ENOSYS, 0, "no perf events", "CONFIG_PERF_EVENTS" },
	};
	g_autofree char *build = sched_refusal_of_build(), *memory = sched_refusal_of_bpf(-ENOMEM);

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *why = sched_refusal_of_events(cases[i].err, cases[i].is_ring);

		CHECK(strstr(why, cases[i].cause) != NULL);
		CHECK(strstr(why, cases[i].remedy) != NULL);
		/* A clause: it goes on a sentence, and a sentence goes on behind it. */
		CHECK(why[strlen(why) - 1] != '.');
	}
	CHECK(strstr(build, "libbpf-dev") != NULL);
	CHECK(strstr(memory, "ulimit -l") != NULL);
}

int main(void)
{
	CASE(parses_schedstat, "schedstat's three numbers");
	CASE(parses_status, "the switch counts of status");
	CASE(differences, "a difference is unknown where a part is, and never negative");
	CASE(reads_ourselves, "our own thread's numbers, through paths and open files");
	CASE(refusals, "a refusal has cause and remedy");
	return CHECK_DONE();
}
