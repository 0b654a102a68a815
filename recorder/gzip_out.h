/* SPDX-License-Identifier: MIT */
/*
 * Compresses into a file as gzip, fast rather than small: by ISA-L where it was there when this was built (five times
 * the speed of zlib at the same size), else by zlib at level 1.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct gzip_out;

enum gzip_flush {
	GZIP_MORE,  /* as it comes */
	GZIP_FLUSH, /* all so far is in the file and can be read back */
	GZIP_END,   /* and the member of gzip is complete; nothing may follow */
};

/* Writes to `fd`, borrowed. */
struct gzip_out *gzip_out_new(int fd);
/* NULL is fine. */
void gzip_out_free(struct gzip_out *out);

/* Returns 0 or the first -errno; after that nothing is written. */
int gzip_out_write(struct gzip_out *out, const void *data, size_t n, enum gzip_flush flush);

/* Bytes in the file. */
uint64_t gzip_out_bytes(const struct gzip_out *out);
