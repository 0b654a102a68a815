/* SPDX-License-Identifier: MIT */
/*
 * A test that is traced itself: it makes a runtime folder with a control page, as the recorder does, starts itself again with the
 * tracer preloaded, and looks into its own blackbox. No session daemon: events go nowhere, tables are filled.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/blackbox.h"
#include "proto/control.h"
#include "proto/schema.h"
#include "temp_dir.h"

static struct fr_control *traced_control;
static const struct fr_blackbox *traced_blackbox;
static char traced_dir[sizeof(temp_dir_path)];

static inline void *traced_map(const char *path, int flags, size_t size)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || (flags & O_CREAT && ftruncate(fd, (off_t)size) < 0))
		abort();
	map = mmap(NULL, size, PROT_READ | (flags & O_RDWR ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	close(fd);
	return map;
}

/* The blackbox of a process, mapped; NULL when there is none. */
static inline const struct fr_blackbox *traced_find(pid_t pid)
{
	const struct fr_blackbox *found = NULL;
	char path[sizeof(traced_dir) + 300];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/blackbox", traced_dir);
	dir = opendir(path);
	if (!dir)
		abort();
	while (!found && (entry = readdir(dir))) {
		const struct fr_blackbox *map;
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/blackbox/%s", traced_dir, entry->d_name);
		if (stat(path, &st) < 0)
			continue;
		map = traced_map(path, O_RDONLY, (size_t)st.st_size);
		if (map->pid == (uint32_t)pid)
			found = map;
		else
			munmap((void *)(uintptr_t)map, (size_t)st.st_size);
	}
	closedir(dir);
	return found;
}

static inline const void *traced_at(const struct fr_blackbox *box, uint64_t offset)
{
	return (const char *)box + offset;
}

/* The parent: makes the folder, and runs this program again in it. Returns its status. */
static inline int traced_run(char **argv, const struct fr_control *control)
{
	const char *library = getenv("FLIGHTREC_LIBRARY"), *dir;
	char path[sizeof(temp_dir_path) + 20];
	struct fr_control *page;
	int status;
	pid_t pid;

	if (!library || access(library, R_OK) < 0) {
		printf("Bail out! FLIGHTREC_LIBRARY does not name the tracer's library\n");
		return 1;
	}
	dir = temp_dir_make_runtime("traced_self");
	snprintf(path, sizeof(path), "%s/control", dir);
	page = traced_map(path, O_RDWR | O_CREAT, 4096);
	*page = *control;
	page->magic = FR_CONTROL_MAGIC;
	page->version = FR_CONTROL_VERSION;
	page->recorder_pid = (uint32_t)getpid();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setenv(FR_ENV_DIR, dir, 1);
		setenv("LD_PRELOAD", library, 1);
		setenv("LTTNG_UST_REGISTER_TIMEOUT", "0", 1);
		setenv("LTTNG_HOME", dir, 1);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/*
 * First act of main(): runs the program once more, traced, with its recorder's settings as in `control`. The untraced
 * parent ends in here, with the child's status; the child returns, with traced_control and traced_blackbox set.
 */
static inline void traced_start(char **argv, const struct fr_control *control)
{
	const char *dir = getenv(FR_ENV_DIR);
	char path[sizeof(traced_dir) + 20];

	if (!dir)
		exit(traced_run(argv, control));
	snprintf(traced_dir, sizeof(traced_dir), "%s", dir);
	snprintf(path, sizeof(path), "%s/control", traced_dir);
	traced_control = traced_map(path, O_RDWR, 4096);
	traced_blackbox = traced_find(getpid());
	if (!traced_blackbox) {
		printf("Bail out! the program is not traced\n");
		exit(1);
	}
}
