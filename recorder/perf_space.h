/* SPDX-License-Identifier: MIT */
/*
 * The executable mappings of sampled processes over time, from /proc and from the kernel's mmap, fork and exec
 * records, which must come in order of time. Single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "recorder/perf_image.h"

#define PERF_SPACE_MAX_MAPPINGS 16384u
#define PERF_SPACES_MAX 16384u /* address spaces remembered, those without samples not counted */

/* What code a mapping holds: where the tracer's own work is told from the program's. */
enum perf_code {
	PERF_CODE_PROGRAM,
	PERF_CODE_SYSTEM, /* libc, the loader, vdso: in stacks of all kinds */
	PERF_CODE_TRACER, /* libflightrec.so */
	PERF_CODE_UST,	  /* LTTng's libraries, which the tracer brings with it */
};

struct perf_mapping {
	uint64_t start, end, offset;
	uint64_t load_ns, unload_ns; /* as in struct fr_module */
	uint64_t base;		     /* load bias, once `image` is there */
	char *path;		     /* GRefString, owned; NULL: no file (JIT code) */
	struct perf_image *image;    /* borrowed; NULL: none, or not looked for yet */
	enum perf_code code;
	bool is_looked_for;
	bool is_loader;
};

/* One address space: a process between exec()s. */
struct perf_space {
	pid_t pid;
	char comm[16];
	uint64_t start_ns; /* 0: was there at the beginning */
	uint64_t read_ns;  /* when /proc/PID/maps was read; older records are in it already */
	uint64_t retry_ns; /* not to be read again before that */
	bool is_wanted;
	bool is_stale;	     /* records were lost: read again when something is not found */
	bool is_used;	     /* samples refer to it: keep it */
	uint32_t index;	     /* for is_used: in order of first use */
	GArray *mappings;    /* struct perf_mapping, in order of address */
	GArray *past;	     /* those that something else was mapped over */
	unsigned n_overflow; /* mappings beyond PERF_SPACE_MAX_MAPPINGS */
};

struct perf_spaces {
	struct perf_images *images; /* owned */
	GHashTable *by_pid; /* pid → the space now; borrowed from `used` when is_used, else owned */
	GPtrArray *used;    /* owned, in order of index */
};

void perf_spaces_init(struct perf_spaces *spaces);
void perf_spaces_fini(struct perf_spaces *spaces);

/* The space of a process now, made from /proc at time `now_ns` when it is not known. Borrowed. */
struct perf_space *perf_spaces_get(struct perf_spaces *spaces, pid_t pid, uint64_t now_ns);

/* The same, but NULL when it is not known. */
struct perf_space *perf_spaces_find(const struct perf_spaces *spaces, pid_t pid);

/* All processes that have a space now: a GArray of pid_t. */
GArray *perf_spaces_pids(const struct perf_spaces *spaces);

/* What the records say. */
void perf_spaces_fork(struct perf_spaces *spaces, pid_t parent, pid_t child, uint64_t time_ns);
void perf_spaces_exec(struct perf_spaces *spaces, pid_t pid, const char *comm, uint64_t time_ns);

/* `is_gone`: the whole process; else only its first thread, for sure. */
void perf_spaces_exit(struct perf_spaces *spaces, pid_t pid, bool is_gone);
void perf_spaces_mmap(struct perf_spaces *spaces, pid_t pid, uint64_t time_ns,
	const struct perf_image_place *place);

/* Records were lost: no space is known to be complete. */
void perf_spaces_lost(struct perf_spaces *spaces);

/* Keeps the space until perf_spaces_fini() and gives it an index. False: there are PERF_SPACES_MAX. */
bool perf_spaces_use(struct perf_spaces *spaces, struct perf_space *space);

/*
 * The mapping that holds `address`, its image looked for; NULL: none. A miss reads /proc/PID/maps again, but
 * seldom: code made at run time (JIT) is in none for ever.
 */
struct perf_mapping *perf_space_find(
	struct perf_spaces *spaces, struct perf_space *space, uint64_t address);

/* As blackbox_modules() gives them, the program first: a GArray of struct fr_module. */
GArray *perf_space_modules(struct perf_spaces *spaces, struct perf_space *space);
