/* SPDX-License-Identifier: MIT */
/*
 * Folders that belong to one living recorder. Each holds a locked file, so that whoever finds one can tell
 * whether its owner still lives, also after SIGKILL.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <glib.h>

struct owned_dir {
	char *path;  /* owned; absolute */
	int lock_fd; /* owned */
};

/*
 * Creates PARENT/PREFIX-PID (or PREFIX-PID.N when that exists) with `mode` regardless of the umask. Returns 0 or
 * -errno.
 */
int owned_dir_create(
	const char *parent, const char *prefix, mode_t mode, struct owned_dir *dir_out);

/* Removes the folder and all in it, then gives up the lock. A struct of zeros is fine. */
void owned_dir_remove(struct owned_dir *dir);

/* Leaves the folder where it is, without an owner's lock file: it is the user's now. */
void owned_dir_release(struct owned_dir *dir);

/*
 * The folders PARENT/PREFIX-* of this user whose owner is gone, as a GArray of struct owned_dir: they are ours now, each to be
 * given to owned_dir_remove() or owned_dir_leave(). lock_fd is -1 in one that has no lock file.
 */
GArray *owned_dir_abandoned(const char *parent, const char *prefix);

/* The same for one folder: false when it has an owner, or is no such folder. */
bool owned_dir_take(const char *path, struct owned_dir *dir_out);

/* Gives up the lock only: the folder is an abandoned one (again). */
void owned_dir_leave(struct owned_dir *dir);

/* Removes the folders PARENT/PREFIX-* of this user whose owner is gone. Returns how many. */
unsigned owned_dir_clean(const char *parent, const char *prefix);
