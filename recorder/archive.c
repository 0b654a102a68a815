/* SPDX-License-Identifier: MIT */
/*
 * libarchive makes the tar; its bytes are compressed here and not by libarchive's own filter, because that has
 * no flush: the streams must be safe before symbols are looked up.
 */
#include "recorder/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/gzip_out.h"

#define BUFFER_SIZE (128u << 10)

struct archive_out {
	int err; /* first -errno; nothing is written after it */
	int is_finished, is_given_up;
	int64_t mtime;
	struct archive *tar;		  /* owned */
	struct gzip_out *gzip;		  /* owned */
	unsigned char plain[BUFFER_SIZE]; /* of the file being added */
};

static int pack(struct archive_out *out, const void *data, size_t n, enum gzip_flush flush)
{
	int err = gzip_out_write(out->gzip, data, n, flush);

	if (!out->err)
		out->err = err;
	return out->err;
}

/*
 * Callback of libarchive. It never fails: libarchive leaks what it holds after an error, so what
 * comes after the first one, or after giving up, is dropped here.
 */
static la_ssize_t on_bytes(struct archive *tar, void *data, const void *buffer, size_t n)
{
	struct archive_out *out = data;

	(void)tar;
	if (!out->err && !out->is_given_up)
		pack(out, buffer, n, GZIP_MORE);
	return (la_ssize_t)n;
}

struct archive_out *archive_out_new(int fd, int64_t mtime)
{
	struct archive_out *out = g_new0(struct archive_out, 1);

	out->gzip = gzip_out_new(fd);
	out->mtime = mtime;
	out->tar = archive_write_new();
	if (!out->tar)
		g_error("no memory for an archive");
	archive_write_set_format_pax_restricted(out->tar);
	/* No blocks: every byte reaches the compressor at once. */
	archive_write_set_bytes_per_block(out->tar, 0);
	archive_write_set_bytes_in_last_block(out->tar, 1);
	if (archive_write_open(out->tar, out, NULL, on_bytes, NULL) != ARCHIVE_OK)
		out->err = -EIO;
	return out;
}

static int check(struct archive_out *out, la_ssize_t ret)
{
	if (ret < ARCHIVE_WARN && !out->err)
		out->err = archive_errno(out->tar) > 0 ? -archive_errno(out->tar) : -EIO;
	return out->err;
}

static int add_header(struct archive_out *out, const char *name, uint64_t size)
{
	struct archive_entry *entry = archive_entry_new();
	int err;

	archive_entry_set_pathname(entry, name);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_mtime(entry, (time_t)out->mtime, 0);
	err = check(out, archive_write_header(out->tar, entry));
	archive_entry_free(entry);
	return err;
}

int archive_out_add_fd(struct archive_out *out, const char *name, int from_fd, uint64_t n_bytes)
{
	uint64_t at = 0;

	if (!out->err)
		add_header(out, name, n_bytes);
	while (!out->err && at < n_bytes) {
		size_t want = (size_t)MIN(n_bytes - at, sizeof(out->plain));
		ssize_t got = pread(from_fd, out->plain, want, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			out->err = got < 0 ? -errno : -EIO;
			break;
		}
		check(out, archive_write_data(out->tar, out->plain, (size_t)got));
		at += (uint64_t)got;
	}
	return out->err;
}

int archive_out_add(struct archive_out *out, const char *name, const void *data, size_t n)
{
	if (!out->err)
		add_header(out, name, n);
	if (!out->err && n)
		check(out, archive_write_data(out->tar, data, n));
	return out->err;
}

int archive_out_flush(struct archive_out *out)
{
	if (!out->err)
		check(out, archive_write_finish_entry(out->tar));
	if (!out->err)
		pack(out, NULL, 0, GZIP_FLUSH);
	return out->err;
}

int archive_out_pause(struct archive_out *out, uint64_t *n_bytes_out)
{
	if (!out->err)
		check(out, archive_write_finish_entry(out->tar));
	/* A whole member of gzip: readers take several in a row for one. */
	if (!out->err)
		pack(out, NULL, 0, GZIP_END);
	out->is_given_up = 1;
	*n_bytes_out = gzip_out_bytes(out->gzip);
	return out->err;
}

int archive_out_finish(struct archive_out *out, uint64_t *n_bytes_out)
{
	if (!out->err)
		check(out, archive_write_close(out->tar));
	if (!out->err)
		pack(out, NULL, 0, GZIP_END);
	out->is_finished = !out->err;
	if (n_bytes_out)
		*n_bytes_out = gzip_out_bytes(out->gzip);
	return out->err;
}

void archive_out_free(struct archive_out *out)
{
	if (!out)
		return;
	out->is_given_up = !out->is_finished;
	archive_write_free(out->tar);
	gzip_out_free(out->gzip);
	g_free(out);
}
