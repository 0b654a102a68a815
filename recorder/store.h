/* SPDX-License-Identifier: MIT */
/* Finished traces in the output folder: written under a temporary name, published by rename. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* trace-TIME.out files kept beside trace.out. */
#define STORE_KEEP 10

struct store {
	char *dir; /* owned; absolute */
};

/* A trace being written. */
struct store_file {
	int fd;		 /* owned; -1 when there is none */
	char *temporary; /* owned */
	char *path;	 /* owned; its name once published */
	bool is_rotated; /* an older file of that name is kept as trace-TIME.out */
	char *also;	 /* owned; another name that it gets, there as trace.out is; NULL: none */
	ino_t shown_inode; /* the other name leads to an earlier state of this file, this one; 0: it does not */
};

/*
 * Opens an output folder after showing that files can be created in it; removes what a killed recorder
 * left half-written there. Returns 0, or -errno and one sentence in *why_out (g_free).
 */
int store_open(const char *dir, struct store *store_out, char **why_out);
void store_close(struct store *store);

/* Starts the next trace.out. Returns 0 or -errno. */
int store_file_begin(const struct store *store, struct store_file *file_out);

/*
 * Starts the file NAME.out, or NAME-001.out and so on when that exists. It is shown as soon as it is secured, and also as
 * trace.out, a second link to it. Returns 0 or -errno.
 */
int store_file_begin_named(
	const struct store *store, const char *name, struct store_file *file_out);

/*
 * Starts a file at any path, which `option` named; what is there is replaced when it is published. Returns 0, or -errno
 * and one sentence in *why_out.
 */
int store_file_begin_at(
	const char *option, const char *path, struct store_file *file_out, char **why_out);

/* Syncs the file and gives it its name. On failure it is discarded. Returns 0 or -errno. Closes either way. */
int store_file_publish(struct store_file *file);

/*
 * Syncs what is written so far. A file of store_file_begin_named() gets its names then, for a copy of what is there: a
 * reader never sees how more is added. Any other, unfinished, is renamed to PATH.unnamed.PID.N, a name that
 * says what is missing (the names of functions) and that no later recorder removes. Returns 0 or -errno; the file stays
 * as usable as before in either case.
 */
int store_file_secure(struct store_file *file);

/* Takes the file's name away and returns its descriptor, at offset 0, for the caller to send and close. */
int store_file_detach(struct store_file *file);

/* Hands the file over to the caller: `file` is empty afterwards. */
struct store_file store_file_take(struct store_file *file);

/* Removes the unfinished file. A struct with fd -1 is fine. */
void store_file_discard(struct store_file *file);

/* Name of a kept trace for a time in seconds since 1970: "trace-20240131T235959Z.out", with "-N" for n > 0; g_free(). */
char *store_kept_name(int64_t seconds, unsigned n);

/* True for names that store_kept_name() makes, and no others. */
bool store_is_kept_name(const char *name);

/* Removes all but the `keep` newest kept traces, by name. Returns how many were removed. */
unsigned store_retain(const char *dir, unsigned keep);

/*
 * Removes all but the `keep` newest, by the time they were written, of the files in `dir` whose names `is_one` says are of a
 * kind. Returns how many were removed.
 */
unsigned store_retain_kind(const char *dir, bool (*is_one)(const char *name), unsigned keep);
