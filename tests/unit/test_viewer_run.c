/* SPDX-License-Identifier: MIT */
/* A process of our own that nobody else collects: its output, its ends, and what it is let to have. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib.h>

#include "check.h"
#include "recorder/access.h"
#include "recorder/procfs.h"
#include "recorder/viewer_run.h"
#include "run.h"

#define SECOND 1000000000ull

static int trace_fd;
static char *output, *notes, *why;

/* A program of shell commands; its arguments are $1, $2, … and the trace is the last of them. */
static const char *script(const char *text)
{
	const char *path = run_path("program");
	g_autofree char *whole = g_strdup_printf("#!/bin/sh\n%s\n", text);

	g_file_set_contents(path, whole, -1, NULL);
	chmod(path, 0755);
	return path;
}

static int run_job(const struct viewer_job *job)
{
	int fd = -1, rc;

	g_clear_pointer(&output, g_free);
	g_clear_pointer(&notes, g_free);
	g_clear_pointer(&why, g_free);
	rc = viewer_run(job, &fd, &notes, &why);
	if (rc == 0) {
		char text[4096] = "";
		ssize_t n = read(fd, text, sizeof(text) - 1);

		output = g_strndup(text, (size_t)MAX(n, 0));
		close(fd);
	}
	return rc;
}

static int run_script(const char *text, uint64_t max_ns)
{
	static const char *const args[] = { "pprof", "--type=sync", NULL };
	struct viewer_job job = { .program = script(text),
		.trace_fd = trace_fd,
		.args = args,
		.max_ns = max_ns,
		.max_bytes = 1ull << 30 };

	return run_job(&job);
}

static void output_and_notes_come_back(void)
{
	CHECK_INT(run_script("echo \"$@\"; cat \"$3\"; echo trace-view: one >&2; echo two >&2",
			  10 * SECOND),
		0);
	CHECK_STR(output, "pprof --type=sync /proc/self/fd/3\nthe trace\n");
	CHECK_STR(notes, "one; two");
	CHECK_INT(run_script("cat", 10 * SECOND), 0);
	CHECK_STR(output, ""); /* its standard input is empty */
	CHECK(notes == NULL);
}

static void errors_are_told_apart(void)
{
	CHECK_INT(run_script("echo trace-view: bad trace >&2; exit 1", 10 * SECOND),
		VIEWER_E_REFUSED);
	CHECK_STR(why, "bad trace");
	CHECK_INT(run_script("exit 3", 10 * SECOND), VIEWER_E_REFUSED);
	CHECK_STR(why, "trace-view failed and did not say why");
	CHECK_INT(run_script("kill -SEGV $$", 10 * SECOND), VIEWER_E_CRASHED);
	CHECK_STR(why, "trace-view was ended by signal 11");
	struct viewer_job job = { .program = "/nowhere/trace-view",
		.trace_fd = trace_fd,
		.args = (const char *const[]){ NULL },
		.max_ns = 10 * SECOND,
		.max_bytes = 1ull << 30 };
	CHECK_INT(run_job(&job), -ENOEXEC);
	CHECK_STR(why, "/nowhere/trace-view cannot be executed");
}

static void it_has_what_it_needs_and_no_more(void)
{
	int other = open("/dev/null", O_RDONLY);

	/* No descriptors of ours, a folder of its own, a memory limit, and no token. */
	g_setenv(ACCESS_ENV_TOKEN, "secret", TRUE);
	CHECK_INT(run_script("ls /proc/$$/fd | tr '\\n' ' '; echo; test -d \"$TMPDIR\" && echo "
			     "\"$TMPDIR\"; "
			     "ulimit -v; echo \"t=$" ACCESS_ENV_TOKEN "\"; : > $TMPDIR/left",
			  10 * SECOND),
		0);
	g_unsetenv(ACCESS_ENV_TOKEN);
	g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
	CHECK_INT(g_strv_length(lines), 5);
	/* The shell itself keeps its script at 10. */
	CHECK(!strstr(lines[0], " 4 ") && !strstr(lines[0], " 5 ") && !strstr(lines[0], " 6 "));
	CHECK(g_str_has_prefix(lines[0], "0 1 "));
	CHECK(g_str_has_prefix(lines[1], run_dir));
	CHECK(!g_file_test(lines[1], G_FILE_TEST_EXISTS));
	CHECK_STR(lines[2], "1048576");
	CHECK_STR(lines[3], "t=");
	close(other);
}

static void it_ends_when_its_time_is_over(void)
{
	uint64_t begin = procfs_now();

	CHECK_INT(run_script("sleep 60 & wait", SECOND / 5), VIEWER_E_TIMEOUT);
	CHECK(strstr(why, "was not ready") != NULL);
	/* Also when it will not. */
	CHECK_INT(run_script("trap '' TERM; sleep 60; sleep 60", SECOND / 5), VIEWER_E_TIMEOUT);
	CHECK(procfs_now() - begin < 30 * SECOND);
}

static bool is_gone(void *user)
{
	return atomic_load((atomic_int *)user) != 0;
}

static void it_ends_when_nobody_waits(void)
{
	atomic_int gone = 1;
	g_autofree char *pid_path = g_strdup(run_path("pid"));
	g_autofree char *text = g_strdup_printf("echo $$ > %s; exec sleep 60", pid_path);
	struct viewer_job job = { .program = script(text),
		.trace_fd = trace_fd,
		.args = (const char *const[]){ NULL },
		.max_ns = 60 * SECOND,
		.max_bytes = 1ull << 30,
		.is_gone = is_gone,
		.user = &gone };
	g_autofree char *pid = NULL;

	CHECK_INT(run_job(&job), VIEWER_E_GONE);
	/* It may not have come to write it. */
	if (g_file_get_contents(pid_path, &pid, NULL, NULL) && atoi(pid) > 0)
		CHECK(kill(atoi(pid), 0) < 0 && errno == ESRCH);
}

static atomic_int is_over;
static atomic_int n_stolen;

/* As the recorder's main thread. */
static void *collect_all(void *data)
{
	while (!atomic_load(&is_over)) {
		int status;

		if (waitpid(-1, &status, WNOHANG) > 0)
			atomic_fetch_add(&n_stolen, 1);
		g_usleep(100);
	}
	return data;
}

static void nobody_else_collects_it(void)
{
	GThread *thread = g_thread_new("collect", collect_all, NULL);

	for (int i = 0; i < 20; i++) {
		CHECK_INT(run_script("exit 0", 10 * SECOND), 0);
		CHECK_INT(run_script("exit 1", 10 * SECOND), VIEWER_E_REFUSED);
	}
	atomic_store(&is_over, 1);
	g_thread_join(thread);
	CHECK_INT(atomic_load(&n_stolen), 0);
}

int main(void)
{
	run_init("test_viewer_run");
	g_setenv("TMPDIR", run_dir, TRUE);
	g_file_set_contents(run_path("trace"), "the trace\n", -1, NULL);
	trace_fd = open(run_path("trace"), O_RDONLY | O_CLOEXEC);
	CASE(output_and_notes_come_back, "output is a file, notes are one line, stdin is empty");
	CASE(errors_are_told_apart, "refusals, crashes and missing programs are told apart");
	CASE(it_has_what_it_needs_and_no_more,
		"it has four descriptors, a folder that goes, a limit, and no token");
	CASE(it_ends_when_its_time_is_over, "it ends when its time is over, willing or not");
	CASE(it_ends_when_nobody_waits, "it ends when nobody waits");
	CASE(nobody_else_collects_it, "its status is ours whoever waits for all children");
	close(trace_fd);
	g_free(output);
	g_free(notes);
	g_free(why);
	run_fini();
	return CHECK_DONE();
}
