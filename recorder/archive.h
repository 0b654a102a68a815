/* SPDX-License-Identifier: MIT */
/* Writes a gzip-compressed tar to any descriptor, in order, without seeking. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Not `struct archive`: that is libarchive's. */
struct archive_out;

/*
 * Starts an archive in `fd` (borrowed; a file, pipe or socket). `mtime` is in seconds of the wall clock and goes
 * into every member. Level 1: a trace must be on disk in a second.
 */
struct archive_out *archive_out_new(int fd, int64_t mtime);

/*
 * Adds the regular file `from_fd`, its first `n_bytes`, as member `name`. Streamed: memory does not depend
 * on the size. Returns 0 or -errno (-ENOSPC: the target is full; -EIO: the file is shorter).
 */
int archive_out_add_fd(struct archive_out *out, const char *name, int from_fd, uint64_t n_bytes);

/* Adds a member from memory. */
int archive_out_add(struct archive_out *out, const char *name, const void *data, size_t n);

/* Makes what was added so far readable in the target, even if nothing follows. Returns 0 or -errno. */
int archive_out_flush(struct archive_out *out);

/*
 * Ends this archive_out, but not the archive: another one that writes at *n_bytes_out of the same file goes on
 * with further members. Returns 0 or -errno; archive_out_free() is all that may follow.
 */
int archive_out_pause(struct archive_out *out, uint64_t *n_bytes_out);

/* Writes the end. Returns 0 or -errno; *n_bytes_out (may be NULL) is the size of the whole file. */
int archive_out_finish(struct archive_out *out, uint64_t *n_bytes_out);

/* Frees; without archive_out_finish() before, the target stays incomplete. NULL is fine. */
void archive_out_free(struct archive_out *out);
