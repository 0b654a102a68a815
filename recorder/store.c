/* SPDX-License-Identifier: MIT */
/*
 * A reader of trace.out sees the old trace or the new one, never a part: the old one first gets its second
 * name by link(), then rename() replaces it.
 */
#include "recorder/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"

#define TRACE_NAME "trace.out"
#define TEMPORARY_PREFIX ".trace.out."
#define MAX_SAME_SECOND 1000u
#define MAX_SAME_NAME 1000u

static atomic_uint temporary_number;

/* ".trace.out.PID.N": the PID of a process that is gone. */
static bool is_orphan(const char *name)
{
	char *end;
	long pid;

	if (!g_str_has_prefix(name, TEMPORARY_PREFIX))
		return false;
	pid = strtol(name + strlen(TEMPORARY_PREFIX), &end, 10);
	return pid > 0 && *end == '.' && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static void remove_orphans(const char *dir_path)
{
	DIR *dir = opendir(dir_path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (is_orphan(entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

static int begin(const char *dir, const char *path, bool is_rotated, struct store_file *file_out)
{
	g_autofree char *temporary = g_strdup_printf("%s/" TEMPORARY_PREFIX "%d.%u", dir,
		(int)getpid(), atomic_fetch_add(&temporary_number, 1));
	int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);

	if (fd < 0)
		return -errno;
	*file_out = (struct store_file){
		.fd = fd,
		.temporary = g_steal_pointer(&temporary),
		.path = g_strdup(path),
		.is_rotated = is_rotated,
	};
	return 0;
}

int store_open(const char *dir, struct store *store_out, char **why_out)
{
	struct store store = { .dir = fs_absolute(dir) };
	struct store_file probe = { .fd = -1 };
	int err = store_file_begin(&store, &probe);

	if (err) {
		*why_out = g_strdup_printf(
			"Cannot write to the output folder %s: %s; choose another with "
			"--output-dir",
			store.dir, strerror(-err));
		store_close(&store);
		return err;
	}
	store_file_discard(&probe);
	remove_orphans(store.dir);
	*store_out = store;
	return 0;
}

void store_close(struct store *store)
{
	g_clear_pointer(&store->dir, g_free);
}

int store_file_begin(const struct store *store, struct store_file *file_out)
{
	g_autofree char *path = g_strdup_printf("%s/" TRACE_NAME, store->dir);

	return begin(store->dir, path, true, file_out);
}

int store_file_begin_at(
	const char *option, const char *path, struct store_file *file_out, char **why_out)
{
	g_autofree char *absolute = fs_absolute(path);
	g_autofree char *dir = g_path_get_dirname(absolute);
	struct stat st;
	int err = 0;

	if (stat(absolute, &st) == 0 && !S_ISREG(st.st_mode)) {
		*why_out = g_strdup_printf("%s %s: expected the name of a file, but that is a %s",
			option, path, S_ISDIR(st.st_mode) ? "folder" : "device or socket");
		return -EINVAL;
	}
	err = begin(dir, absolute, false, file_out);
	if (err)
		*why_out = g_strdup_printf(
			"%s %s: cannot create a file in %s: %s", option, path, dir, strerror(-err));
	return err;
}

int store_file_begin_named(const struct store *store, const char *name, struct store_file *file_out)
{
	g_autofree char *path = g_strdup_printf("%s/%s.out", store->dir, name);
	int err;

	for (unsigned n = 1; n < MAX_SAME_NAME && access(path, F_OK) == 0; n++) {
		g_free(path);
		path = g_strdup_printf("%s/%s-%03u.out", store->dir, name, n);
	}
	err = begin(store->dir, path, false, file_out);
	if (!err)
		file_out->also = g_strdup_printf("%s/" TRACE_NAME, store->dir);
	return err;
}

static void file_free(struct store_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	g_clear_pointer(&file->temporary, g_free);
	g_clear_pointer(&file->path, g_free);
	g_clear_pointer(&file->also, g_free);
}

void store_file_discard(struct store_file *file)
{
	if (file->fd >= 0)
		unlink(file->temporary);
	file_free(file);
}

struct store_file store_file_take(struct store_file *file)
{
	struct store_file taken = *file;

	*file = (struct store_file){ .fd = -1 };
	return taken;
}

int store_file_detach(struct store_file *file)
{
	int fd = file->fd;

	unlink(file->temporary);
	lseek(fd, 0, SEEK_SET);
	file->fd = -1;
	file_free(file);
	return fd;
}

char *store_kept_name(int64_t seconds, unsigned n)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char stamp[32];

	gmtime_r(&t, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	/* Three digits, so that names sort in order of time. */
	return n ? g_strdup_printf("trace-%s-%03u.out", stamp, n)
		 : g_strdup_printf("trace-%s.out", stamp);
}

bool store_is_kept_name(const char *name)
{
	/* '9' stands for a digit. */
	static const char *const shapes[] = { "trace-99999999T999999Z.out",
		"trace-99999999T999999Z-999.out" };

	for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++) {
		const char *shape = shapes[i], *p = name;

		while (*shape && *p && (*shape == '9' ? g_ascii_isdigit(*p) : *shape == *p))
			shape++, p++;
		if (*shape == '\0' && *p == '\0')
			return true;
	}
	return false;
}

/* "…Z.out" is older than "…Z-001.out": compare without the ending. */
static int compare_names(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	size_t nx = strlen(x) - strlen(".out"), ny = strlen(y) - strlen(".out");
	int order = memcmp(x, y, MIN(nx, ny));

	return order ? order : (nx > ny) - (nx < ny);
}

/* A file and when it was written. */
struct aged {
	char *name; /* owned */
	struct timespec time;
};

static int compare_ages(const void *a, const void *b)
{
	const struct timespec *x = &((const struct aged *)a)->time,
			      *y = &((const struct aged *)b)->time;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void aged_clear(void *data)
{
	g_free(((struct aged *)data)->name);
}

unsigned store_retain_kind(const char *dir_path, bool (*is_one)(const char *name), unsigned keep)
{
	g_autoptr(GArray) files = g_array_new(FALSE, FALSE, sizeof(struct aged));
	DIR *dir = opendir(dir_path);
	struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		return 0;
	g_array_set_clear_func(files, aged_clear);
	while ((entry = readdir(dir))) {
		struct aged file;
		struct stat st;

		if (!is_one(entry->d_name) ||
			fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISREG(st.st_mode))
			continue;
		file = (struct aged){ .name = g_strdup(entry->d_name), .time = st.st_mtim };
		g_array_append_val(files, file);
	}
	g_array_sort(files, compare_ages);
	for (guint i = 0; i + keep < files->len; i++)
		n += unlinkat(dirfd(dir), g_array_index(files, struct aged, i).name, 0) == 0;
	closedir(dir);
	return n;
}

unsigned store_retain(const char *dir_path, unsigned keep)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	DIR *dir = opendir(dir_path);
	struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (store_is_kept_name(entry->d_name))
			g_ptr_array_add(names, g_strdup(entry->d_name));
	}
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i + keep < names->len; i++)
		n += unlinkat(dirfd(dir), names->pdata[i], 0) == 0;
	closedir(dir);
	return n;
}

/* Gives the trace that is there a second name, by the time it was written. */
static void keep_older(const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	struct stat st;

	/* A second link has its own name already. */
	if (lstat(path, &st) < 0 || S_ISLNK(st.st_mode) || st.st_nlink > 1)
		return;
	for (unsigned n = 0; n < MAX_SAME_SECOND; n++) {
		g_autofree char *name = store_kept_name(st.st_mtim.tv_sec, n);
		g_autofree char *kept = g_strdup_printf("%s/%s", dir, name);

		if (link(path, kept) == 0)
			break;
		if (errno == EEXIST)
			continue;
		/* No hard links here (vfat, some network mounts): a moment without trace.out. */
		if (errno != ENOENT && access(kept, F_OK) < 0)
			rename(path, kept);
		break;
	}
}

static char *new_temporary(const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);

	return g_strdup_printf("%s/" TEMPORARY_PREFIX "%d.%u", dir, (int)getpid(),
		atomic_fetch_add(&temporary_number, 1));
}

/*
 * Lets the file's other name be another link to it (a symbolic one where there are no hard links). What had that name is
 * kept; but an earlier state of this file is not, and what took the name since then is newer and stays.
 */
static int show_also(struct store_file *file)
{
	g_autofree char *temporary = NULL, *base = NULL;
	struct stat st;

	if (file->shown_inode && (lstat(file->also, &st) < 0 || st.st_ino != file->shown_inode))
		return 0;
	temporary = new_temporary(file->also);
	base = g_path_get_basename(file->path);
	if (link(file->path, temporary) < 0 && symlink(base, temporary) < 0)
		return -errno;
	if (!file->shown_inode)
		keep_older(file->also);
	if (lstat(temporary, &st) < 0 || rename(temporary, file->also) < 0) {
		int err = -errno;

		unlink(temporary);
		return err;
	}
	file->shown_inode = st.st_ino;
	return 0;
}

/* Moves `from` to the file's name, and to its other one. */
static int show(struct store_file *file, const char *from)
{
	g_autofree char *dir = g_path_get_dirname(file->path);
	int err = 0;

	if (file->is_rotated)
		keep_older(file->path);
	if (rename(from, file->path) < 0)
		return -errno;
	if (file->also)
		err = show_also(file);
	fs_sync_folder_of(file->path);
	if (file->is_rotated || file->also)
		store_retain(dir, STORE_KEEP);
	return err;
}

/* A copy of what the file holds so far, under a temporary name. */
static int copy(const struct store_file *file, char **temporary_out)
{
	g_autofree char *temporary = new_temporary(file->path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	char buffer[64 << 10];
	ssize_t n;
	off_t at = 0;
	int err = fd < 0 ? -errno : 0;

	while (!err && (n = pread(file->fd, buffer, sizeof(buffer), at)) != 0) {
		err = n < 0 ? -errno : fs_write_all(fd, buffer, (size_t)n);
		at += n;
	}
	if (fd >= 0 && close(fd) < 0 && !err)
		err = -errno;
	if (err) {
		unlink(temporary);
		return err;
	}
	*temporary_out = g_steal_pointer(&temporary);
	return 0;
}

/* Gives a copy the names that the file will have. Not synced: who asks for it wants it now. */
static int show_copy(struct store_file *file)
{
	g_autofree char *temporary = NULL;
	int err = copy(file, &temporary);

	if (!err)
		err = show(file, temporary);
	if (err && temporary)
		unlink(temporary);
	return err;
}

int store_file_secure(struct store_file *file)
{
	g_autofree char *unnamed = NULL;

	if (file->also)
		return show_copy(file);
	unnamed = g_strdup_printf("%s.unnamed.%d.%u", file->path, (int)getpid(),
		atomic_fetch_add(&temporary_number, 1));
	if (fdatasync(file->fd) < 0 || rename(file->temporary, unnamed) < 0)
		return -errno;
	g_free(file->temporary);
	file->temporary = g_steal_pointer(&unnamed);
	fs_sync_folder_of(file->path);
	return 0;
}

int store_file_publish(struct store_file *file)
{
	int err = fsync(file->fd) < 0 ? -errno : 0;

	if (!err)
		err = show(file, file->temporary);
	if (err) {
		store_file_discard(file);
		return err;
	}
	file_free(file);
	return 0;
}
