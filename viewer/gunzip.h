/* SPDX-License-Identifier: MIT */
/*
 * gzip decompression for libarchive that checks what libarchive does not: the checksum at the end. A file that
 * is cut and a file that is damaged are told apart, because the part before a cut is good and can be shown.
 */
#pragma once

#include <archive.h>

enum gunzip_state {
	GUNZIP_GOOD,	/* so far, or to the end with the right checksum */
	GUNZIP_CUT,	/* the input ends inside the compressed data; all before was good */
	GUNZIP_DAMAGED, /* what was given out may be wrong anywhere */
	GUNZIP_FAILED,	/* the input could not be read; errno was kept in the archive's error */
};

struct gunzip;

/* Reads from `fd`, which is borrowed, at its position. */
struct gunzip *gunzip_new(int fd);
void gunzip_free(struct gunzip *gunzip);

/* Opens `archive` on the decompressed data. Returns libarchive's status. */
int gunzip_open_archive(struct gunzip *gunzip, struct archive *archive);

/* Reads on to the end of the input, so that the checksum is seen, and returns how it went. */
enum gunzip_state gunzip_finish(struct gunzip *gunzip);
