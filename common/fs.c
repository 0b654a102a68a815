/* SPDX-License-Identifier: MIT */
/*
 * Walks use folder descriptors and never follow symbolic links, since some of the folders removed here
 * may be writable by the traced programs of other users.
 */
#include "common/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Deeper than anything we or LTTng create; bounds the recursion and the descriptors in use. */
#define FS_MAX_DEPTH 32

int fs_write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int fs_write_atomic(const char *path, const void *data, size_t n, mode_t mode)
{
	g_autofree char *temporary = g_strdup_printf("%s.%d.tmp", path, (int)getpid());
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int err;

	if (fd < 0 && errno == EEXIST && unlink(temporary) == 0)
		fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	err = fs_write_all(fd, data, n);
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && rename(temporary, path) < 0)
		err = -errno;
	if (err)
		unlink(temporary);
	return err;
}

static void first_error(int *first, int err)
{
	if (!*first)
		*first = err;
}

static int remove_at(int parent, const char *name, int depth)
{
	int err = 0, fd;
	struct dirent *entry;
	DIR *dir;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth > FS_MAX_DEPTH)
		return -ELOOP;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		close(fd);
		return err;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			first_error(&err, remove_at(dirfd(dir), entry->d_name, depth + 1));
	}
	closedir(dir);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		first_error(&err, -errno);
	return err;
}

int fs_remove_tree(const char *path)
{
	return remove_at(AT_FDCWD, path, 0);
}

static uint64_t bytes_at(int parent, const char *name, int depth)
{
	uint64_t total = 0;
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int fd;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISREG(st.st_mode))
		return (uint64_t)st.st_size;
	if (!S_ISDIR(st.st_mode) || depth > FS_MAX_DEPTH)
		return 0;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return 0;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			total += bytes_at(dirfd(dir), entry->d_name, depth + 1);
	}
	closedir(dir);
	return total;
}

uint64_t fs_tree_bytes(const char *path)
{
	return bytes_at(AT_FDCWD, path, 0);
}

uint64_t fs_free_bytes(const char *path)
{
	struct statvfs st;
	uint64_t bytes;

	if (statvfs(path, &st) < 0 || __builtin_mul_overflow(st.f_bavail, st.f_frsize, &bytes))
		return UINT64_MAX;
	return bytes;
}

static bool is_program(const char *path, int *err)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno == EACCES)
			*err = -EACCES;
		return false;
	}
	if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0) {
		*err = -EACCES;
		return false;
	}
	return true;
}

int fs_find_program(const char *name, char **path_out)
{
	const char *search = getenv("PATH");
	int err = -ENOENT;

	if (*name == '\0')
		return -ENOENT;
	if (strchr(name, '/')) {
		if (!is_program(name, &err))
			return err;
		*path_out = g_strdup(name);
		return 0;
	}
	for (const char *p = search ? search : "/bin:/usr/bin";; p++) {
		size_t n = strcspn(p, ":");
		/* An empty element means the working directory. */
		g_autofree char *path = n ? g_strdup_printf("%.*s/%s", (int)n, p, name)
					  : g_strdup_printf("./%s", name);

		if (is_program(path, &err)) {
			*path_out = g_steal_pointer(&path);
			return 0;
		}
		p += n;
		if (*p == '\0')
			return err;
	}
}

int fs_sync_folder_of(const char *path)
{
	g_autofree char *folder = g_path_get_dirname(path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	/* Some file systems cannot sync a folder; the rename itself is still atomic there. */
	if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		err = -errno;
	close(fd);
	return err;
}

char *fs_absolute(const char *path)
{
	return g_canonicalize_filename(path, NULL);
}
