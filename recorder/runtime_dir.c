/* SPDX-License-Identifier: MIT */
/*
 * Memory-backed where possible, because the ring's pages and the blackboxes are written all the time. Under root the
 * folder can be passed through by everybody and blackbox/ is write-only for them: a program that
 * drops its privileges, and its children, are still traced, but see nobody else's files.
 */
#include "recorder/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log.h"
#include "common/units.h"
#include "recorder/runtime_left.h"

/* LTTng computes it from the length of a socket's name (measured: 72 works, 86 fails). */
#define MAX_LTTNG_HOME 77
/* Less room than this cannot hold the smallest ring and a few blackboxes. */
#define MIN_FREE_BYTES (8u << 20)
#define MIN_RING (1ull << 20)
/* What killed recorders left goes where there is less room than this. */
#define LEFT_ROOM (64ull << 20)

/* mkdir with exactly this mode and owner, whatever the umask. */
static int make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	if (mkdir(path, 0700) < 0)
		return -errno;
	if ((uid != geteuid() || gid != getegid()) && chown(path, uid, gid) < 0)
		return -errno;
	return chmod(path, mode) < 0 ? -errno : 0;
}

static int map_control(const char *dir, struct fr_control **control_out)
{
	g_autofree char *path = g_strdup_printf("%s/control", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct fr_control *control;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, geteuid() == 0 ? 0644 : 0600) < 0 ||
		posix_fallocate(fd, 0, sizeof(*control)) != 0) {
		err = errno ? -errno : -ENOSPC;
		close(fd);
		return err;
	}
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		err = -errno;
	else
		*control_out = control;
	close(fd);
	return err;
}

static int fill(struct runtime_dir *dir, uid_t uid, gid_t gid)
{
	bool is_root = geteuid() == 0;
	g_autofree char *blackbox = g_strdup_printf("%s/blackbox", dir->dir.path);
	g_autofree char *sockets = NULL;
	int err;

	dir->lttng_home = g_strdup_printf("%s/lttng", dir->dir.path);
	dir->shm_parent = g_strdup_printf("%s/shm", dir->lttng_home);
	sockets = g_strdup_printf("%s/.lttng", dir->lttng_home);
	err = make_dir(blackbox, is_root ? 01733 : 0700, geteuid(), getegid());
	if (!err)
		err = make_dir(dir->lttng_home, is_root ? 0755 : 0700, uid, gid);
	/* The daemon keeps the mode it finds; with its own, other users' programs cannot connect. */
	if (!err)
		err = make_dir(sockets, is_root ? 0755 : 0700, uid, gid);
	if (!err)
		err = make_dir(dir->shm_parent, 0700, uid, gid);
	if (!err)
		err = map_control(dir->dir.path, &dir->control);
	return err;
}

static int try_parent(const char *parent, uid_t uid, gid_t gid, struct runtime_dir *dir_out)
{
	g_autofree char *prefix = runtime_left_prefix();
	struct runtime_dir dir = { 0 };
	int err = owned_dir_create(parent, prefix, geteuid() == 0 ? 0711 : 0700, &dir.dir);

	if (err)
		return err;
	err = fill(&dir, uid, gid);
	if (!err && strlen(dir.lttng_home) > MAX_LTTNG_HOME)
		err = -ENAMETOOLONG;
	if (err) {
		runtime_dir_remove(&dir);
		return err;
	}
	dir.free_bytes = fs_free_bytes(parent);
	*dir_out = dir;
	return 0;
}

int runtime_dir_create(
	uint64_t want_bytes, uid_t uid, gid_t gid, struct runtime_dir *dir_out, char **why_out)
{
	const char *parents[RUNTIME_N_PARENTS + 1];
	g_autofree char *left = runtime_left_tidy(MIN(want_bytes, LEFT_ROOM));
	int err = -ENOENT;

	if (left)
		log_say("%s", left);
	runtime_left_parents(parents);
	/* First a place with room for everything, then any that can hold a smaller ring. */
	for (int pass = 0; pass < 2; pass++) {
		uint64_t need = pass == 0 ? MAX(want_bytes, MIN_FREE_BYTES) : MIN_FREE_BYTES;

		for (size_t i = 0; parents[i]; i++) {
			/* The disk is no place for the ring while memory can hold a smaller one. */
			if (pass == 0 && i == RUNTIME_N_PARENTS - 1)
				continue;
			if (fs_free_bytes(parents[i]) < need) {
				err = -ENOSPC;
				continue;
			}
			err = try_parent(parents[i], uid, gid, dir_out);
			if (!err)
				return 0;
		}
	}
	*why_out = g_strdup_printf(
		"Cannot make a runtime folder in /dev/shm, XDG_RUNTIME_DIR or /tmp: %s",
		strerror(-err));
	return err;
}

uint64_t runtime_dir_ring_bytes(const struct runtime_dir *dir, uint64_t want_bytes, char **note_out)
{
	uint64_t bytes;
	char got[32], wanted[32];

	if (want_bytes + RUNTIME_DIR_MARGIN <= dir->free_bytes)
		return want_bytes;
	bytes = MAX(MIN_RING, dir->free_bytes / 4);
	units_size_format(bytes, got, sizeof(got));
	units_size_format(want_bytes, wanted, sizeof(wanted));
	*note_out = g_strdup_printf("The flight recorder has %s instead of %s, since %s has little "
				    "room left",
		got, wanted, dir->dir.path);
	return bytes;
}

void runtime_dir_remove(struct runtime_dir *dir)
{
	if (dir->control)
		munmap(dir->control, sizeof(*dir->control));
	dir->control = NULL;
	owned_dir_remove(&dir->dir);
	g_clear_pointer(&dir->lttng_home, g_free);
	g_clear_pointer(&dir->shm_parent, g_free);
}
