/* SPDX-License-Identifier: MIT */
/* A private folder for a unit test: below $TMPDIR, and gone when the test ends, however its cases went. */
#pragma once

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char temp_dir_path[200];
static pid_t temp_dir_owner; /* 0: none was made */

static inline int temp_dir_remove_one(
	const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* At exit, but not of a child that was forked. What cannot be removed fails the test: something still writes there. */
static inline void temp_dir_remove(void)
{
	if (getpid() != temp_dir_owner)
		return;
	if (nftw(temp_dir_path, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) {
		fprintf(stderr, "cannot remove %s: %s\n", temp_dir_path, strerror(errno));
		fflush(NULL);
		_exit(1);
	}
}

/*
 * Makes the folder of this process below `base` (NULL: $TMPDIR, or /tmp), with `name` at the beginning of its own.
 * Returns its path, which stays. Once a process; aborts when it cannot.
 */
static inline const char *temp_dir_make(const char *base, const char *name)
{
	int n;

	if (!base)
		base = getenv("TMPDIR");
	if (!base || base[0] != '/')
		base = "/tmp";
	if (temp_dir_owner) {
		fprintf(stderr, "there is a folder already: %s\n", temp_dir_path);
		abort();
	}
	n = snprintf(temp_dir_path, sizeof(temp_dir_path), "%s/%s-XXXXXX", base, name);
	if (n >= (int)sizeof(temp_dir_path)) {
		fprintf(stderr, "the name of this folder is too long: %s\n", base);
		abort();
	}
	if (!mkdtemp(temp_dir_path)) {
		fprintf(stderr, "cannot make a folder below %s: %s\n", base, strerror(errno));
		abort();
	}
	temp_dir_owner = getpid();
	atexit(temp_dir_remove);
	return temp_dir_path;
}

/* The same as a runtime folder: with a place for blackboxes. */
static inline const char *temp_dir_make_runtime(const char *name)
{
	const char *dir = temp_dir_make(NULL, name);
	char path[sizeof(temp_dir_path) + 20];

	snprintf(path, sizeof(path), "%s/blackbox", dir);
	if (mkdir(path, 0700) < 0) {
		fprintf(stderr, "cannot make %s: %s\n", path, strerror(errno));
		abort();
	}
	return dir;
}
