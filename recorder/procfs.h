/* SPDX-License-Identifier: MIT */
/* What /proc says about processes and threads. Every function copes with them ending meanwhile. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

/* Of a process (tid 0) or of one thread. */
struct procfs_stat {
	char comm[64];
	char state;	   /* R, S, D, Z, … as in proc(5) */
	uint64_t start_ns; /* CLOCK_MONOTONIC, to the kernel's tick (10 ms) */
};

/* An executable mapping of a file or of the kernel ([vdso]). */
struct procfs_mapping {
	uint64_t start, end, offset;
	uint64_t first; /* start of the object's first mapping: where its ELF header lies */
	char *path;	/* owned by the array; may end in " (deleted)" */
};

/* Returns 0 or -errno (-ESRCH, -ENOENT: gone). */
int procfs_stat_read(pid_t pid, pid_t tid, struct procfs_stat *stat_out);

/* CPU time of one thread in ns, or -1. */
int64_t procfs_cpu_ns(pid_t pid, pid_t tid);

/* CPU time that a process, all its threads together, has spent in the kernel, in ns, to the kernel's tick; or -1. */
int64_t procfs_kernel_ns(pid_t pid);

/* Thread ids of a process, ascending: a GArray of pid_t, empty when it is gone. At most `max`. */
GArray *procfs_threads(pid_t pid, unsigned max);

/* Executable mappings: a GArray of struct procfs_mapping, its strings freed with it. */
GArray *procfs_mappings(pid_t pid);

/* Command line, arguments separated by spaces and quoted where a shell needs it; "" unknown. g_free(). */
char *procfs_command(pid_t pid);

/* From now on procfs_command() gives the program's name only. Before any thread is started. */
void procfs_hide_arguments(void);

/* Calls fn for each open descriptor, ascending as the kernel lists them, at most `max`. */
void procfs_fds(
	pid_t pid, unsigned max, void (*fn)(void *data, int fd, const char *target), void *data);

/* Up to n bytes of the process's memory. Returns the bytes read; 0 when it may not be read. */
size_t procfs_memory(pid_t pid, uint64_t addr, void *buffer, size_t n);

/* CLOCK_MONOTONIC in ns. */
uint64_t procfs_now(void);
