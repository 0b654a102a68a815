/* SPDX-License-Identifier: MIT */
/*
 * An archive comes from anywhere, so nothing in it is trusted: names are checked before a path is made of
 * them, only files and folders are created, bytes and files are counted against limits. An archive that
 * ends early gives what was in it before the end.
 */
#include "viewer/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/gunzip.h"
#include "viewer/packets.h"

#define MAX_DEPTH 16

static volatile sig_atomic_t is_interrupted;

G_DEFINE_QUARK(flightrec - view - error, view_error)

void unpack_interrupt(void)
{
	is_interrupted = 1;
}

int unpack_is_interrupted(void)
{
	return is_interrupted;
}

static void note(struct unpacked *unpacked, char *text)
{
	g_ptr_array_add(unpacked->notes, text);
}

static gboolean fail_errno(GError **error, const char *what, const char *path)
{
	int err = errno;

	if (err == ENOSPC)
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM,
			"no room to unpack in %s; set TMPDIR to a folder with more", path);
	else
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM, "%s %s: %s", what, path,
			g_strerror(err));
	return FALSE;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path), 0;
}

void unpack_fini(struct unpacked *unpacked)
{
	if (unpacked->dir)
		nftw(unpacked->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	g_free(unpacked->dir);
	g_free(unpacked->state);
	if (unpacked->events)
		g_ptr_array_free(unpacked->events, TRUE);
	if (unpacked->notes)
		g_ptr_array_free(unpacked->notes, TRUE);
	*unpacked = (struct unpacked){ 0 };
}

static char *temporary_dir(GError **error)
{
	const char *base = g_getenv("TMPDIR");

	if (!base || !*base)
		base = access("/var/tmp", W_OK | X_OK) == 0 ? "/var/tmp" : "/tmp";
	char *dir = g_build_filename(base, "trace-view-XXXXXX", NULL);
	if (!g_mkdtemp(dir)) { /* mode 0700 */
		fail_errno(error, "cannot make a temporary folder in", base);
		g_free(dir);
		return NULL;
	}
	return dir;
}

/* Whether `name` stays inside the folder it is unpacked in. */
static gboolean name_is_safe(const char *name)
{
	g_auto(GStrv) parts = g_strsplit(name, "/", -1);

	if (!*name || *name == '/' || g_strv_length(parts) > MAX_DEPTH)
		return FALSE;
	for (char **part = parts; *part; part++)
		if (g_str_equal(*part, ".."))
			return FALSE;
	return TRUE;
}

/* LTTng's index repeats the packet headers; without it a file may be cut freely. */
static gboolean name_is_needed(const char *name)
{
	return !g_str_has_suffix(name, ".idx") && !g_str_has_prefix(name, "profiles/") &&
	       !g_str_equal(name, "profiles");
}

/* What the first bytes of a file that is no gzip say about it. */
static void describe_foreign(GError **error, const char *path, const uint8_t *head, ssize_t n)
{
	if (n == 0)
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT, "%s is empty", path);
	else if (n >= 5 && memcmp(head, "go 1.", 5) == 0)
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
			"%s is an execution trace of a Go program; open it with: go tool trace",
			path);
	else
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
			"%s is not a trace of trace-record (which is a gzip-compressed tar "
			"archive)",
			path);
}

static gboolean copy_data(struct archive *archive, int fd, uint64_t max_size, uint64_t *n_bytes,
	struct unpacked *out, const char *path, GError **error)
{
	char buffer[64 << 10];
	la_ssize_t n;

	while ((n = archive_read_data(archive, buffer, sizeof(buffer))) > 0) {
		*n_bytes += (uint64_t)n;
		if (*n_bytes > max_size) {
			g_autofree char *size =
				g_format_size_full(max_size, G_FORMAT_SIZE_IEC_UNITS);
			g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
				"%s unpacks to more than %s; --max-size=SIZE raises the limit",
				path, size);
			return FALSE;
		}
		if (is_interrupted) {
			g_set_error(error, VIEW_ERROR, VIEW_ERROR_INTERRUPTED, "interrupted");
			return FALSE;
		}
		for (la_ssize_t done = 0; done < n;) {
			ssize_t written = write(fd, buffer + done, (size_t)(n - done));
			if (written < 0 && errno == EINTR)
				continue;
			if (written < 0)
				return fail_errno(error, "cannot write to", out->dir);
			done += written;
		}
	}
	if (n < 0)
		out->is_cut = 1;
	return TRUE;
}

static gboolean unpack_entry(struct archive *archive, struct archive_entry *entry,
	uint64_t max_size, uint64_t *n_bytes, struct unpacked *out, const char *path,
	GError **error)
{
	const char *name = archive_entry_pathname(entry);
	mode_t type = archive_entry_filetype(entry);

	if (!name || !name_is_safe(name) || archive_entry_hardlink(entry) ||
		(type != AE_IFREG && type != AE_IFDIR)) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
			"%s is not a trace of trace-record: it holds %s '%s', which is refused",
			path, name && name_is_safe(name) ? "a link or special file" : "a path",
			name ? name : "");
		return FALSE;
	}
	if (!name_is_needed(name))
		return TRUE;
	g_autofree char *target = g_build_filename(out->dir, name, NULL);
	g_autofree char *parent = type == AE_IFDIR ? g_strdup(target) : g_path_get_dirname(target);
	if (g_mkdir_with_parents(parent, 0700) < 0)
		return fail_errno(error, "cannot make the folder", parent);
	if (type == AE_IFDIR)
		return TRUE;
	int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(error, "cannot make the file", target);
	gboolean ok = copy_data(archive, fd, max_size, n_bytes, out, path, error);
	if (close(fd) < 0 && ok)
		ok = fail_errno(error, "cannot write to", out->dir);
	return ok;
}

static gboolean unpack_archive(
	int fd, const char *path, uint64_t max_size, struct unpacked *out, GError **error)
{
	struct archive *archive = archive_read_new();
	struct gunzip *gunzip = gunzip_new(fd);
	struct archive_entry *entry;
	uint64_t n_bytes = 0, n_files = 0;
	gboolean ok = FALSE;
	int status;

	archive_read_support_format_tar(archive);
	if (gunzip_open_archive(gunzip, archive) != ARCHIVE_OK) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
			"%s is not a trace of trace-record: %s", path,
			archive_error_string(archive));
		goto out;
	}
	for (;;) {
		status = archive_read_next_header(archive, &entry);
		if (status == ARCHIVE_EOF)
			break;
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
			if (n_files == 0) {
				g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
					"%s is not a trace of trace-record, or nothing of it is "
					"left: %s",
					path, archive_error_string(archive));
				goto out;
			}
			out->is_cut = 1;
			break;
		}
		if (++n_files > UNPACK_MAX_FILES) {
			g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
				"%s holds more than %d files, so it is not a trace of trace-record",
				path, UNPACK_MAX_FILES);
			goto out;
		}
		if (!unpack_entry(archive, entry, max_size, &n_bytes, out, path, error))
			goto out;
		if (out->is_cut)
			break;
	}
	/* Damage, unlike a cut, may sit anywhere in what was unpacked, and babeltrace2 trusts what it reads. */
	if (gunzip_finish(gunzip) == GUNZIP_DAMAGED) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
			"%s is damaged: its checksum or compressed data are wrong", path);
		goto out;
	}
	if (out->is_cut)
		note(out,
			g_strdup_printf(
				"%s is cut short or damaged (%s); this is what could be read", path,
				archive_error_string(archive) ? archive_error_string(archive)
							      : "it ends early"));
	ok = TRUE;
out:
	archive_read_free(archive);
	gunzip_free(gunzip);
	return ok;
}

/* Mirrors the folder `from` as links, so that cutting a file never touches the user's. */
static gboolean mirror_dir(
	const char *from, const char *to, int depth, uint32_t *n_files, GError **error)
{
	GDir *dir = g_dir_open(from, 0, NULL);
	const char *name;

	if (!dir)
		return fail_errno(error, "cannot read the folder", from);
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *source = g_build_filename(from, name, NULL);
		g_autofree char *target = g_build_filename(to, name, NULL);
		GStatBuf st;
		gboolean ok = TRUE;
		if (g_lstat(source, &st) < 0 || !name_is_needed(name))
			continue;
		if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
			ok = g_mkdir(target, 0700) == 0
				     ? mirror_dir(source, target, depth + 1, n_files, error)
				     : fail_errno(error, "cannot make the folder", target);
		else if (S_ISREG(st.st_mode) && symlink(source, target) < 0)
			ok = fail_errno(error, "cannot make the link", target);
		if (ok && ++*n_files > UNPACK_MAX_FILES) {
			g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
				"%s holds more than %d files, so it is not a trace of trace-record",
				from, UNPACK_MAX_FILES);
			ok = FALSE;
		}
		if (!ok) {
			g_dir_close(dir);
			return FALSE;
		}
	}
	g_dir_close(dir);
	return TRUE;
}

/* Leaves only the first `size` bytes of `path`; a link is replaced by a copy of them. */
static gboolean cut_file(const char *path, uint64_t size, GError **error)
{
	GStatBuf st;

	if (g_lstat(path, &st) < 0)
		return fail_errno(error, "cannot read", path);
	if (!S_ISLNK(st.st_mode))
		return truncate(path, (off_t)size) == 0 || fail_errno(error, "cannot cut", path);
	int from = open(path, O_RDONLY | O_CLOEXEC);
	if (from < 0 || unlink(path) < 0) {
		if (from >= 0)
			close(from);
		return fail_errno(error, "cannot read", path);
	}
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	gboolean ok = to >= 0;
	while (ok && size > 0) {
		char buffer[64 << 10];
		ssize_t n = read(from, buffer, MIN(size, sizeof(buffer)));
		ok = n > 0 && write(to, buffer, (size_t)n) == n;
		size -= ok ? (uint64_t)n : 0;
	}
	if (!ok)
		fail_errno(error, "cannot copy a part of", path);
	close(from);
	if (to >= 0)
		close(to);
	return ok;
}

static gboolean check_streams(const char *trace, struct unpacked *out, GError **error)
{
	GDir *dir = g_dir_open(trace, 0, NULL);
	const char *name;
	gboolean ok = dir != NULL;

	while (ok && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(trace, name, NULL);
		struct packets packets;
		if (g_str_equal(name, "metadata") || *name == '.' ||
			!g_file_test(path, G_FILE_TEST_IS_REGULAR))
			continue;
		if (packets_check(path, &packets) < 0) {
			ok = fail_errno(error, "cannot read", path);
		} else if (packets.n_whole < packets.n_bytes) {
			note(out, g_strdup_printf(
					  "the stream %s is damaged or cut after %" G_GUINT64_FORMAT
					  " whole packets: %" G_GUINT64_FORMAT
					  " of its %" G_GUINT64_FORMAT " bytes are unreadable",
					  name, packets.n_packets,
					  packets.n_bytes - packets.n_whole, packets.n_bytes));
			ok = cut_file(path, packets.n_whole, error);
		}
	}
	if (dir)
		g_dir_close(dir);
	return ok;
}

/* Finds the folders below `path` that hold a `metadata` file. */
static gboolean find_traces(const char *path, int depth, struct unpacked *out, GError **error)
{
	g_autofree char *metadata = g_build_filename(path, "metadata", NULL);
	g_autofree char *base = g_path_get_basename(path);
	gboolean ok = TRUE;
	const char *name;

	if (g_file_test(metadata, G_FILE_TEST_IS_REGULAR)) {
		if (!check_streams(path, out, error))
			return FALSE;
		if (g_str_equal(base, "state") && !out->state)
			out->state = g_strdup(path);
		else
			g_ptr_array_add(out->events, g_strdup(path));
		return TRUE;
	}
	GDir *dir = g_dir_open(path, 0, NULL);
	while (ok && dir && depth < MAX_DEPTH && (name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);
		if (g_file_test(child, G_FILE_TEST_IS_DIR))
			ok = find_traces(child, depth + 1, out, error);
	}
	if (dir)
		g_dir_close(dir);
	return ok;
}

static gboolean fill(const char *path, uint64_t max_size, struct unpacked *out, GError **error)
{
	struct stat st;
	uint8_t head[8];
	gboolean ok = FALSE;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(error, "cannot open", path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		g_autofree char *full = g_canonicalize_filename(path, NULL);
		g_autofree char *base = g_path_get_basename(full);
		g_autofree char *root = g_build_filename(out->dir, base, NULL);
		uint32_t n_files = 0;
		close(fd);
		if (g_mkdir(root, 0700) < 0)
			return fail_errno(error, "cannot make the folder", root);
		return mirror_dir(full, root, 0, &n_files, error);
	}
	if (!S_ISREG(st.st_mode)) { /* a pipe: cannot be looked at twice */
		ok = unpack_archive(fd, path, max_size, out, error);
	} else {
		ssize_t n = pread(fd, head, sizeof(head), 0);
		if (n < 0)
			fail_errno(error, "cannot read", path);
		else if (n < 2 || head[0] != 0x1f || head[1] != 0x8b)
			describe_foreign(error, path, head, n);
		else
			ok = unpack_archive(fd, path, max_size, out, error);
	}
	close(fd);
	return ok;
}

gboolean unpack_open(const char *path, uint64_t max_size, struct unpacked *out, GError **error)
{
	struct unpacked unpacked = { .events = g_ptr_array_new_with_free_func(g_free),
		.notes = g_ptr_array_new_with_free_func(g_free) };

	unpacked.dir = temporary_dir(error);
	if (!unpacked.dir || !fill(path, max_size, &unpacked, error) ||
		!find_traces(unpacked.dir, 0, &unpacked, error))
		goto fail;
	if (!unpacked.state && !(unpacked.is_cut && unpacked.events->len > 0)) {
		if (unpacked.is_cut)
			g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
				"%s is cut short before anything of a trace could be read", path);
		else
			g_set_error(error, VIEW_ERROR, VIEW_ERROR_INPUT,
				"%s is not a trace of trace-record: it holds no state trace", path);
		goto fail;
	}
	if (!unpacked.state)
		note(&unpacked,
			g_strdup("the state trace is missing: no names of functions and threads, "
				 "and no account of what was lost"));
	*out = unpacked;
	return TRUE;
fail:
	unpack_fini(&unpacked);
	return FALSE;
}
