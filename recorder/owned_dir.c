/* SPDX-License-Identifier: MIT */
/*
 * The lock is flock() on PATH/lock: it goes with the process, however that ends. A folder without a lock
 * file is one that is being made this moment, unless it is old.
 */
#include "recorder/owned_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"

#define LOCK_NAME "lock"
#define MAX_TRIES 100
/* Between mkdir and lock lie microseconds; a minute is safe on any machine. */
#define GRACE_SECONDS 60

static int make_folder(const char *parent, const char *prefix, mode_t mode, char **path_out)
{
	for (int i = 0; i < MAX_TRIES; i++) {
		g_autofree char *path =
			i == 0 ? g_strdup_printf("%s/%s-%d", parent, prefix, (int)getpid())
			       : g_strdup_printf("%s/%s-%d.%d", parent, prefix, (int)getpid(), i);

		if (mkdir(path, 0700) == 0) {
			if (chmod(path, mode) < 0) {
				int err = -errno;

				rmdir(path);
				return err;
			}
			*path_out = g_steal_pointer(&path);
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int owned_dir_create(const char *parent, const char *prefix, mode_t mode, struct owned_dir *dir_out)
{
	g_autofree char *path = NULL, *lock = NULL;
	int err = make_folder(parent, prefix, mode, &path);
	int fd;

	if (err)
		return err;
	lock = g_strdup_printf("%s/" LOCK_NAME, path);
	fd = open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		fs_remove_tree(path);
		return err;
	}
	dir_out->path = g_steal_pointer(&path);
	dir_out->lock_fd = fd;
	return 0;
}

void owned_dir_remove(struct owned_dir *dir)
{
	if (!dir->path)
		return;
	fs_remove_tree(dir->path);
	owned_dir_leave(dir);
}

void owned_dir_leave(struct owned_dir *dir)
{
	if (!dir->path)
		return;
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	g_clear_pointer(&dir->path, g_free);
}

void owned_dir_release(struct owned_dir *dir)
{
	g_autofree char *lock = g_strdup_printf("%s/" LOCK_NAME, dir->path);

	unlink(lock);
	close(dir->lock_fd);
	g_clear_pointer(&dir->path, g_free);
}

/* True when the owner is gone; then *lock_fd_out holds the lock, or -1, to be closed after removal. */
static bool is_abandoned(const char *path, int *lock_fd_out)
{
	g_autofree char *lock = g_strdup_printf("%s/" LOCK_NAME, path);
	struct stat st;
	int fd;

	*lock_fd_out = -1;
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return false;
	fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT && time(NULL) - st.st_mtime > GRACE_SECONDS;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return false;
	}
	*lock_fd_out = fd;
	return true;
}

/* PREFIX-digits or PREFIX-digits.digits, nothing else. */
static bool is_own_name(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 && name[n] == '-' && g_ascii_isdigit(name[n + 1]) &&
	       strspn(name + n + 1, "0123456789.") == strlen(name + n + 1);
}

bool owned_dir_take(const char *path, struct owned_dir *dir_out)
{
	int lock_fd;

	if (!is_abandoned(path, &lock_fd))
		return false;
	*dir_out = (struct owned_dir){ .path = g_strdup(path), .lock_fd = lock_fd };
	return true;
}

GArray *owned_dir_abandoned(const char *parent, const char *prefix)
{
	GArray *found = g_array_new(FALSE, FALSE, sizeof(struct owned_dir));
	DIR *dir = opendir(parent);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		g_autofree char *path = NULL;
		struct owned_dir owned;

		if (!is_own_name(entry->d_name, prefix))
			continue;
		path = g_strdup_printf("%s/%s", parent, entry->d_name);
		if (owned_dir_take(path, &owned))
			g_array_append_val(found, owned);
	}
	if (dir)
		closedir(dir);
	return found;
}

unsigned owned_dir_clean(const char *parent, const char *prefix)
{
	g_autoptr(GArray) found = owned_dir_abandoned(parent, prefix);

	for (guint i = 0; i < found->len; i++)
		owned_dir_remove(&g_array_index(found, struct owned_dir, i));
	return found->len;
}
