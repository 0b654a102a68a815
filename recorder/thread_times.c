/* SPDX-License-Identifier: MIT */
/*
 * schedstat's three numbers need CONFIG_SCHED_INFO; a kernel without the counters behind them (neither SCHEDSTATS nor
 * TASK_DELAY_ACCT) gives zeros. A running thread's CPU time lags by up to a tick there.
 */
#include "recorder/thread_times.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

/* The switch counts are the last two lines; the name of a thread cannot make it longer. */
#define STATUS_SIZE 4096

void thread_times_parse_schedstat(const char *text, struct thread_times *times)
{
	unsigned long long cpu, delay, slices;

	if (sscanf(text, "%llu %llu %llu", &cpu, &delay, &slices) != 3)
		return;
	times->cpu_ns = (int64_t)MIN(cpu, INT64_MAX);
	times->delay_ns = (int64_t)MIN(delay, INT64_MAX);
	times->slices = (int64_t)MIN(slices, INT64_MAX);
}

static int64_t line_value(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line ? (int64_t)strtoull(line + strlen(name), NULL, 10) : -1;
}

void thread_times_parse_status(const char *text, struct thread_times *times)
{
	times->voluntary = line_value(text, "\nvoluntary_ctxt_switches:");
	times->involuntary = line_value(text, "\nnonvoluntary_ctxt_switches:");
}

/* The whole text; false: the thread is gone. */
static bool read_text(int fd, char *buffer, size_t size)
{
	ssize_t n = pread(fd, buffer, size - 1, 0);

	if (n <= 0)
		return false;
	buffer[n] = '\0';
	return true;
}

bool thread_files_read(
	const struct thread_files *files, bool has_status, struct thread_times *times_out)
{
	char text[STATUS_SIZE];
	bool is_there = false;

	*times_out = THREAD_TIMES_UNKNOWN;
	if (files->schedstat >= 0 && read_text(files->schedstat, text, sizeof(text))) {
		thread_times_parse_schedstat(text, times_out);
		is_there = true;
	}
	if (has_status && files->status >= 0 && read_text(files->status, text, sizeof(text))) {
		thread_times_parse_status(text, times_out);
		is_there = true;
	}
	return is_there;
}

static int open_file(pid_t pid, pid_t tid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

void thread_files_open(pid_t pid, pid_t tid, bool has_status, struct thread_files *files_out)
{
	files_out->schedstat = open_file(pid, tid, "schedstat");
	files_out->status = has_status ? open_file(pid, tid, "status") : -1;
}

void thread_files_close(struct thread_files *files)
{
	if (files->schedstat >= 0)
		close(files->schedstat);
	if (files->status >= 0)
		close(files->status);
	files->schedstat = files->status = -1;
}

bool thread_times_read(pid_t pid, pid_t tid, struct thread_times *times_out)
{
	struct thread_files files;
	bool is_there;

	thread_files_open(pid, tid, true, &files);
	is_there = thread_files_read(&files, true, times_out);
	thread_files_close(&files);
	return is_there;
}

static int64_t since(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return -1;
	return a > b ? a - b : 0;
}

struct thread_times thread_times_since(struct thread_times a, struct thread_times b)
{
	return (struct thread_times){
		.cpu_ns = since(a.cpu_ns, b.cpu_ns),
		.delay_ns = since(a.delay_ns, b.delay_ns),
		.slices = since(a.slices, b.slices),
		.voluntary = since(a.voluntary, b.voluntary),
		.involuntary = since(a.involuntary, b.involuntary),
	};
}
