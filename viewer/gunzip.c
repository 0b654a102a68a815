/* SPDX-License-Identifier: MIT */
/* zlib's inflate as a read callback of libarchive. Several gzip members in a row are one stream. */
#include "viewer/gunzip.h"

#include <errno.h>
#include <glib.h>
#include <unistd.h>
#include <zlib.h>

struct gunzip {
	z_stream stream;
	int fd;
	int is_end; /* behind the last member */
	enum gunzip_state state;
	uint8_t in[64 << 10], out[256 << 10];
};

struct gunzip *gunzip_new(int fd)
{
	struct gunzip *gunzip = g_new0(struct gunzip, 1);

	gunzip->fd = fd;
	/* 16 + 15: gzip with its checksum. Fails only without memory. */
	if (inflateInit2(&gunzip->stream, 16 + 15) != Z_OK)
		g_error("zlib: no memory");
	return gunzip;
}

void gunzip_free(struct gunzip *gunzip)
{
	if (!gunzip)
		return;
	inflateEnd(&gunzip->stream);
	g_free(gunzip);
}

/* Fetches more input. Returns 0 at its end and on errors, which set the state. */
static int fill(struct gunzip *gunzip)
{
	ssize_t n;

	do
		n = read(gunzip->fd, gunzip->in, sizeof(gunzip->in));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		gunzip->state = GUNZIP_FAILED;
	gunzip->stream.next_in = gunzip->in;
	gunzip->stream.avail_in = n > 0 ? (uInt)n : 0;
	return n > 0;
}

/* Decompresses up to a buffer. Returns its bytes; 0 at the end, good or not. */
static size_t gunzip_read(struct gunzip *gunzip)
{
	z_stream *stream = &gunzip->stream;

	stream->next_out = gunzip->out;
	stream->avail_out = sizeof(gunzip->out);
	while (stream->avail_out > 0 && !gunzip->is_end && gunzip->state == GUNZIP_GOOD) {
		if (stream->avail_in == 0 && !fill(gunzip)) {
			if (gunzip->state == GUNZIP_GOOD)
				gunzip->state = GUNZIP_CUT;
			break;
		}
		int status = inflate(stream, Z_NO_FLUSH);
		if (status == Z_STREAM_END) {
			/* Another member, or padding, or nothing. */
			gunzip->is_end = (stream->avail_in == 0 && !fill(gunzip)) ||
					 stream->next_in[0] != 0x1f;
			inflateReset(stream);
		} else if (status != Z_OK && status != Z_BUF_ERROR) {
			gunzip->state = GUNZIP_DAMAGED;
		}
	}
	return sizeof(gunzip->out) - stream->avail_out;
}

static la_ssize_t on_read(struct archive *archive, void *user, const void **buffer)
{
	struct gunzip *gunzip = user;
	size_t n = gunzip_read(gunzip);

	*buffer = gunzip->out;
	if (n > 0 || gunzip->state == GUNZIP_GOOD)
		return (la_ssize_t)n;
	if (gunzip->state == GUNZIP_FAILED)
		archive_set_error(archive, errno, "%s", g_strerror(errno));
	else
		archive_set_error(archive, EINVAL, "%s",
			gunzip->state == GUNZIP_CUT ? "its compressed data end early"
						    : "its compressed data are damaged");
	return ARCHIVE_FATAL;
}

int gunzip_open_archive(struct gunzip *gunzip, struct archive *archive)
{
	return archive_read_open(archive, gunzip, NULL, on_read, NULL);
}

enum gunzip_state gunzip_finish(struct gunzip *gunzip)
{
	while (!gunzip->is_end && gunzip->state == GUNZIP_GOOD)
		gunzip_read(gunzip);
	return gunzip->state;
}
