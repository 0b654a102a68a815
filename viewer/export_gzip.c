/* SPDX-License-Identifier: MIT */
#include "viewer/export.h"

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* Quick rather than small: four fifths of what is to be won. */
#define LEVEL "wb3"

static ssize_t on_write(void *cookie, const char *bytes, size_t n)
{
	int written = gzwrite(cookie, bytes, (unsigned)MIN(n, 1u << 30));

	return written > 0 ? written : -1;
}

static int on_close(void *cookie)
{
	return gzclose(cookie) == Z_OK ? 0 : -1;
}

FILE *export_gzip(FILE *out)
{
	static const cookie_io_functions_t functions = { .write = on_write, .close = on_close };
	int fd = dup(fileno(out));
	gzFile file = fd >= 0 ? gzdopen(fd, LEVEL) : NULL;
	FILE *stream = file ? fopencookie(file, "w", functions) : NULL;

	if (stream)
		return stream;
	if (file)
		gzclose(file);
	else if (fd >= 0)
		close(fd);
	return NULL;
}
