/* SPDX-License-Identifier: MIT */
/* What the kernel has counted for one thread since it began: /proc/PID/task/TID/schedstat and status. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* -1: not known. */
struct thread_times {
	int64_t cpu_ns;
	int64_t delay_ns;		/* ready to run, but not running */
	int64_t slices;			/* times it was put on a CPU */
	int64_t voluntary, involuntary; /* switches: it waited; it could have run on */
};

#define THREAD_TIMES_UNKNOWN ((struct thread_times){ -1, -1, -1, -1, -1 })

/* Open files of one thread, so that a look takes a third of the time; -1: not open. */
struct thread_files {
	int schedstat, status;
};

/* Reads all of it, by path. Returns false when the thread is gone; what is not readable is -1. */
bool thread_times_read(pid_t pid, pid_t tid, struct thread_times *times_out);

/* Opens schedstat and, if wanted, status. What cannot be opened stays -1. */
void thread_files_open(pid_t pid, pid_t tid, bool has_status, struct thread_files *files_out);
void thread_files_close(struct thread_files *files);

/* Reads through open files what they have; the other numbers become -1. False: the thread is gone. */
bool thread_files_read(
	const struct thread_files *files, bool has_status, struct thread_times *times_out);

/* Parses the text of either file into the numbers it has; leaves the others. For the reading functions and tests. */
void thread_times_parse_schedstat(const char *text, struct thread_times *times);
void thread_times_parse_status(const char *text, struct thread_times *times);

/* `a` less `b`, number by number: -1 where either is unknown; never negative otherwise. */
struct thread_times thread_times_since(struct thread_times a, struct thread_times b);
