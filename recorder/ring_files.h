/* SPDX-License-Identifier: MIT */
/* Finds the files of a ring. */
#pragma once

struct ring_file;

/*
 * Called for every ring file below `folder`: `member` is its folder (ust/uid/0/64-bit), `name` the file's. The callee
 * takes over `file` or closes it.
 */
typedef void (*ring_files_cb)(
	const char *member, const char *name, struct ring_file *file, void *user);

/* Whether to open a file at all: NULL user function: all. */
typedef int (*ring_files_wanted)(const char *member, const char *name, void *user);

void ring_files_walk(
	const char *folder, ring_files_wanted is_wanted, ring_files_cb found, void *user);

/* Folders (ust/uid/0/64-bit) that have a metadata file; called with its path relative to `folder`. */
typedef void (*ring_files_member)(const char *member, void *user);
void ring_files_members(const char *folder, ring_files_member found, void *user);
