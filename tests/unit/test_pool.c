/* SPDX-License-Identifier: MIT */
/* Rows go in and come out, through the mapping and through a reopened file; damaged files are refused. */
#include "viewer/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

static const uint8_t widths[] = { 1, 2, 4, 6, 8 };
static const struct pool_schema schema = { .widths = widths, .n_columns = 5 };

static int new_file(void)
{
	return memfd_create("pool", MFD_CLOEXEC);
}

static struct pool_schema schema_of(struct pool_key key)
{
	return key.kind == 7 ? schema : (struct pool_schema){ .n_columns = 0 };
}

static void put(struct series *series, uint64_t row, uint64_t salt)
{
	uint64_t values[] = { (row + salt) & 0xff, (row * 3) & 0xffff, row ^ salt, row << 20,
		row * 0x9e3779b97f4a7c15ull };

	series_append(series, values);
}

static int is_right(const struct series *series, uint64_t row, uint64_t salt)
{
	return series_get(series, row, 0) == ((row + salt) & 0xff) &&
	       series_get(series, row, 1) == ((row * 3) & 0xffff) &&
	       series_get(series, row, 2) == (row ^ salt) &&
	       series_get(series, row, 3) == row << 20 &&
	       series_get(series, row, 4) == row * 0x9e3779b97f4a7c15ull;
}

/* Sizes at and around every border of a chunk. */
static const uint64_t sizes[] = { 0, 1, 63, 64, 65, 191, 192, 193, 447, 448, 959, 960, 961, 1983,
	1984, 1985, 20000 };
#define N_SIZES G_N_ELEMENTS(sizes)

static struct pool *filled(int fd)
{
	struct pool *pool = pool_new(fd);
	struct series *series[N_SIZES];

	for (uint32_t i = 0; i < N_SIZES; i++)
		series[i] = pool_add(pool, (struct pool_key){ 7, i, 1 }, schema);
	for (uint64_t row = 0; row < 20000; row++)
		for (uint32_t i = 0; i < N_SIZES; i++)
			if (row < sizes[i])
				put(series[i], row, i);
	return pool;
}

static void check_all(const struct pool *pool)
{
	unsigned n_wrong = 0;

	CHECK_INT(pool_n_series(pool), N_SIZES);
	for (uint32_t i = 0; i < N_SIZES; i++) {
		const struct series *series = pool_find(pool, (struct pool_key){ 7, i, 1 });

		CHECK(series != NULL);
		if (!series)
			continue;
		CHECK_INT(series_n(series), sizes[i]);
		for (uint64_t row = 0; row < sizes[i]; row++)
			n_wrong += !is_right(series, row, i);
		for (uint64_t row = 0; row < sizes[i];) {
			struct series_span span = series_span(series, row);

			n_wrong += span.first != row;
			row += span.n;
		}
	}
	CHECK_INT(n_wrong, 0);
	CHECK(pool_find(pool, (struct pool_key){ 7, 0, 2 }) == NULL);
}

static void test_rows(void)
{
	struct pool *pool = filled(new_file());
	uint64_t offset = pool_write(pool, "twelve bytes", 12), late;
	struct series *added;

	CHECK_INT(pool_seal(pool), 0);
	check_all(pool);
	CHECK(memcmp(pool_bytes(pool, offset, 12), "twelve bytes", 12) == 0);
	CHECK(pool_bytes(pool, pool_size(pool), 1) == NULL);
	CHECK(pool_bytes(pool, UINT64_MAX, 12) == NULL);
	/* More after the first seal. */
	added = pool_add(pool, (struct pool_key){ 7, 99, 1 }, schema);
	for (uint64_t row = 0; row < 3000; row++)
		put(added, row, 5);
	late = pool_write(pool, "late", 4);
	CHECK_INT(pool_seal(pool), 0);
	CHECK(is_right(added, 2999, 5) && is_right(added, 0, 5));
	CHECK(memcmp(pool_bytes(pool, late, 4), "late", 4) == 0);
	pool_free(pool);
}

static void test_wide_values(void)
{
	struct pool *pool = pool_new(new_file());
	struct series *series = pool_add(pool, (struct pool_key){ 7, 0, 0 }, schema);
	uint64_t values[] = { 5, 6, 1ull << 32, 1ull << 48, UINT64_MAX };

	series_append(series, values);
	CHECK_INT(pool_seal(pool), 0);
	CHECK(series_get(series, 0, 2) == UINT32_MAX);
	CHECK(series_get(series, 0, 3) == (1ull << 48) - 1);
	CHECK(series_get(series, 0, 4) == UINT64_MAX);
	pool_free(pool);
}

static void test_after(void)
{
	struct pool *pool = pool_new(new_file());
	struct series *series = pool_add(pool, (struct pool_key){ 7, 0, 0 }, schema);

	for (uint64_t row = 0; row < 5000; row++)
		put(series, row, 0);
	CHECK_INT(pool_seal(pool), 0);
	CHECK_INT(series_after(series, 3, 0), 1);
	CHECK_INT(series_after(series, 3, (100ull << 20) - 1), 100);
	CHECK_INT(series_after(series, 3, 100ull << 20), 101);
	CHECK_INT(series_after(series, 3, UINT64_MAX), 5000);
	pool_free(pool);
}

static int copy_fd(int fd, uint64_t n)
{
	int copy = new_file();
	g_autofree char *bytes = g_malloc(n);

	if (pread(fd, bytes, n, 0) != (ssize_t)n || pwrite(copy, bytes, n, 0) != (ssize_t)n)
		abort();
	return copy;
}

static void test_reopen(void)
{
	int fd = new_file(), again;
	struct pool *pool = filled(dup(fd)), *opened = NULL;
	uint64_t n;

	CHECK_INT(pool_finish(pool, 3), 0);
	n = pool_size(pool);
	pool_free(pool);
	again = copy_fd(fd, n);
	CHECK_INT(pool_open(again, 3, schema_of, &opened), 0);
	if (opened)
		check_all(opened);
	pool_free(opened);
	CHECK_INT(pool_open(copy_fd(fd, n), 4, schema_of, &opened), -EBADMSG);
	CHECK_INT(pool_open(copy_fd(fd, n - 1), 3, schema_of, &opened), -EBADMSG);
	CHECK_INT(pool_open(copy_fd(fd, 10), 3, schema_of, &opened), -EBADMSG);
	CHECK_INT(pool_open(new_file(), 3, schema_of, &opened), -EBADMSG);
	close(fd);
}

/* Whatever a byte becomes, opening and reading stay inside the mapping (the sanitizers watch). */
static void test_damaged(void)
{
	int fd = new_file();
	struct pool *pool = filled(dup(fd));
	unsigned n_refused = 0;
	uint64_t n;

	CHECK_INT(pool_finish(pool, 3), 0);
	n = pool_size(pool);
	pool_free(pool);
	srand(1);
	for (int i = 0; i < 300; i++) {
		int copy = copy_fd(fd, n);
		uint64_t at = n - 1 - (uint64_t)rand() % 2000;
		uint8_t byte = (uint8_t)rand();
		struct pool *opened = NULL;

		if (pwrite(copy, &byte, 1, (off_t)at) != 1)
			abort();
		if (pool_open(copy, 3, schema_of, &opened) != 0) {
			n_refused++;
			continue;
		}
		for (uint32_t k = 0; k < pool_n_series(opened); k++) {
			struct series *series = pool_series(opened, k);

			for (uint64_t row = 0; row < series_n(series); row += 7)
				series_get(series, row, 4);
		}
		pool_free(opened);
	}
	CHECK(n_refused > 10);
	close(fd);
}

static void test_disk_full(void)
{
	int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	struct pool *pool = filled(fd);

	CHECK_INT(pool_seal(pool), -ENOSPC);
	pool_free(pool);
}

int main(void)
{
	CASE(test_rows, "rows are read as they were appended");
	CASE(test_wide_values, "a value too large for its column is the largest one");
	CASE(test_after, "an ascending column can be searched");
	CASE(test_reopen, "a finished file can be opened by the same version");
	CASE(test_damaged, "a damaged file is refused, or read inside its bounds");
	CASE(test_disk_full, "a full disk is an error of the seal");
	return CHECK_DONE();
}
