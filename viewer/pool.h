/* SPDX-License-Identifier: MIT */
/*
 * Columns of numbers in one file: what an index of a trace is made of. A series is a list of rows, appended to in any
 * interleaving with other series, and kept as chunks of columns; memory holds the chunk that each series fills, at
 * most 1024 rows, the rest is on disk. Once sealed the file is mapped and never changes: what is read costs page cache only.
 * Host byte order, same version of the program only: an index is a cache, not a format. Single-threaded until sealed;
 * then any number of threads may read.
 */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <string.h>

#define POOL_MAX_COLUMNS 12

/* Bytes of each column: 1, 2, 4, 6 or 8; larger values are cut to the widest that fits. */
struct pool_schema {
	const uint8_t *widths;
	uint32_t n_columns;
};

/* What a series is of: any three numbers, unique in a pool. */
struct pool_key {
	uint32_t kind, a, b;
};

struct pool;
struct series;

/*
 * An empty pool in the file `fd` (taken over; read and write, empty). NULL is never returned; errors of the disk are
 * kept until pool_seal().
 */
struct pool *pool_new(int fd);
/* Closes. Views into it end here. NULL is fine. */
void pool_free(struct pool *pool);

/* Adds a series; the schema's array is borrowed for good. */
struct series *pool_add(struct pool *pool, struct pool_key key, struct pool_schema schema);

/* Appends a row of schema.n_columns values. */
void series_append(struct series *series, const uint64_t *values);

/* Appends bytes that are no rows; returns where they are (pool_bytes()). 8-aligned. */
uint64_t pool_write(struct pool *pool, const void *bytes, size_t n);

/*
 * Writes what is still in memory and maps the file. Returns 0 or the first -errno. May be called again after more was
 * appended: series may be added to a sealed pool and filled, not those of before.
 */
int pool_seal(struct pool *pool);

/*
 * Opens what was sealed with `version` (a number of the caller's). Returns 0, -errno, or -EBADMSG when the file is
 * another version's, cut, or not one: every offset is checked, so that no reading leaves the mapping. fd is taken over.
 * `schema_of` gives the schema of a series that is found; one without columns refuses it.
 */
int pool_open(int fd, uint32_t version, struct pool_schema (*schema_of)(struct pool_key key),
	struct pool **pool_out);

/* Writes the directory, after which pool_open() can read the file. Returns 0 or -errno. */
int pool_finish(struct pool *pool, uint32_t version);

/* The series of that key, NULL: none. */
struct series *pool_find(const struct pool *pool, struct pool_key key);
/* All of them, in the order in which they were added. */
uint32_t pool_n_series(const struct pool *pool);
struct series *pool_series(const struct pool *pool, uint32_t index);
struct pool_key series_key(const struct series *series);

/* Bytes of the file so far. */
uint64_t pool_size(const struct pool *pool);

/* `n` bytes at an offset from pool_write(), NULL when they are not inside. Sealed pools only. */
const void *pool_bytes(const struct pool *pool, uint64_t offset, size_t n);

/* Rows; also while it is filled. */
uint64_t series_n(const struct series *series);

/* A number that the user of a series keeps with it while it is filled; 0 at first. */
uint64_t series_end(const struct series *series);
void series_set_end(struct series *series, uint64_t end);

/* A run of rows whose columns lie side by side. */
struct series_span {
	const uint8_t *columns[POOL_MAX_COLUMNS]; /* 8 bytes may be read at any element */
	uint64_t first;				  /* row */
	uint32_t n;
};

/* The span that holds `row`, which must exist. Sealed pools only. */
struct series_span series_span(const struct series *series, uint64_t row);

/* One value. For single look-ups: a loop takes spans. */
uint64_t series_get(const struct series *series, uint64_t row, unsigned column);

/*
 * The first row whose value in `column` is greater than `value`, or series_n(): by bisection, so the column must
 * be ascending.
 */
uint64_t series_after(const struct series *series, unsigned column, uint64_t value);

/* Element `i` of a column of `width` bytes. */
static inline uint64_t pool_load(const uint8_t *column, unsigned width, uint64_t i)
{
	uint64_t value;

	memcpy(&value, column + i * width, sizeof(value));
	return width == 8 ? value : value & ((1ull << width * 8) - 1);
}
