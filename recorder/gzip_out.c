/* SPDX-License-Identifier: MIT */
#include "recorder/gzip_out.h"

#include <errno.h>
#include <glib.h>
#ifdef FLIGHTREC_HAS_ISAL
#include <isa-l/igzip_lib.h>
#else
#include <zlib.h>
#endif

#include "common/fs.h"

#define LEVEL 1
#define BUFFER_SIZE (128u << 10)
/* Compressors count input in 32 bits. */
#define INPUT_LIMIT (1u << 30)

struct gzip_out {
	int fd, err;
	uint64_t n_bytes;
	unsigned char packed[BUFFER_SIZE];
#ifdef FLIGHTREC_HAS_ISAL
	struct isal_zstream stream;
	uint8_t level[ISAL_DEF_LVL1_DEFAULT];
#else
	z_stream stream;
#endif
};

#ifdef FLIGHTREC_HAS_ISAL
static void begin(struct gzip_out *out)
{
	isal_deflate_init(&out->stream);
	out->stream.level = LEVEL;
	out->stream.level_buf = out->level;
	out->stream.level_buf_size = sizeof(out->level);
	out->stream.gzip_flag = IGZIP_GZIP;
}

static void end(struct gzip_out *out)
{
	(void)out;
}

/* One step. True when there is more to come out. */
static int step(struct gzip_out *out, enum gzip_flush flush)
{
	out->stream.flush = flush == GZIP_FLUSH ? SYNC_FLUSH : NO_FLUSH;
	out->stream.end_of_stream = flush == GZIP_END;
	if (isal_deflate(&out->stream) != COMP_OK)
		out->err = -EIO;
	if (flush == GZIP_END)
		return out->stream.internal_state.state != ZSTATE_END;
	return out->stream.avail_in > 0 || out->stream.avail_out == 0;
}
#else
static void begin(struct gzip_out *out)
{
	/* 32 KiB window, gzip header and trailer. */
	if (deflateInit2(&out->stream, LEVEL, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		g_error("no memory for a compressor");
}

static void end(struct gzip_out *out)
{
	deflateEnd(&out->stream);
}

static int step(struct gzip_out *out, enum gzip_flush flush)
{
	static const int modes[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };
	int ret = deflate(&out->stream, modes[flush]);

	if (ret != Z_OK && ret != Z_STREAM_END && ret != Z_BUF_ERROR)
		out->err = -EIO;
	return out->stream.avail_out == 0;
}
#endif

struct gzip_out *gzip_out_new(int fd)
{
	struct gzip_out *out = g_new0(struct gzip_out, 1);

	out->fd = fd;
	begin(out);
	return out;
}

void gzip_out_free(struct gzip_out *out)
{
	if (!out)
		return;
	end(out);
	g_free(out);
}

static void write_part(struct gzip_out *out, const void *data, uint32_t n, enum gzip_flush flush)
{
	int is_more;

	out->stream.next_in = (unsigned char *)(uintptr_t)data;
	out->stream.avail_in = n;
	do {
		size_t done;

		out->stream.next_out = out->packed;
		out->stream.avail_out = sizeof(out->packed);
		is_more = step(out, flush);
		done = sizeof(out->packed) - out->stream.avail_out;
		if (!out->err)
			out->err = fs_write_all(out->fd, out->packed, done);
		out->n_bytes += done;
	} while (is_more && !out->err);
}

int gzip_out_write(struct gzip_out *out, const void *data, size_t n, enum gzip_flush flush)
{
	const char *bytes = data;

	while (n > INPUT_LIMIT && !out->err) {
		write_part(out, bytes, INPUT_LIMIT, GZIP_MORE);
		bytes += INPUT_LIMIT;
		n -= INPUT_LIMIT;
	}
	if (!out->err && (n || flush != GZIP_MORE))
		write_part(out, bytes, (uint32_t)n, flush);
	return out->err;
}

uint64_t gzip_out_bytes(const struct gzip_out *out)
{
	return out->n_bytes;
}
