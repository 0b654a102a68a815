/* SPDX-License-Identifier: MIT */
/*
 * The chunks of a series double from 64 rows to 1024 and stay at that: a row's chunk is arithmetic, and a thread that
 * does little costs little. The file: chunks and bytes in the order in which they were written, then the directory, then
 * the tail. Loads of narrow columns read 8 bytes, so every chunk is followed by at least 8 more.
 */
#include "viewer/pool.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIN_ROWS 64u
#define MIN_SHIFT 6
#define MAX_ROWS 1024u
/* Rows of all chunks below MAX_ROWS: 64 + 128 + 256 + 512. */
#define SMALL_ROWS (MAX_ROWS - MIN_ROWS)
#define N_SMALL 4
#define BUFFER_BYTES (1u << 20)
#define SLACK 8
#define MAGIC 0x314c4f4f50524c46ull
#define MAX_SERIES (1u << 22)

struct series {
	struct pool *pool; /* borrowed */
	struct pool_key key;
	struct pool_schema schema;
	uint32_t row_bytes;
	uint64_t n;	    /* rows */
	uint64_t end;	    /* the user's */
	GArray *offsets;    /* uint64_t per chunk that is on disk */
	uint8_t *open;	    /* owned; the chunk being filled; NULL none */
	uint32_t n_open;    /* rows in it */
	uint32_t open_size; /* rows it takes */
};

struct pool {
	int fd;
	uint64_t size; /* bytes appended, the buffer included */
	uint8_t *buffer;
	size_t n_buffer;
	int error; /* the first -errno */
	GPtrArray *series;
	GHashTable *by_key;
	const uint8_t *map;
	uint64_t map_bytes;
};

/* The tail; before it the directory: per series struct entry and its offsets. */
struct tail {
	uint64_t directory, n_series, magic;
	uint32_t version, pad;
};

struct entry {
	struct pool_key key;
	uint32_t n_columns;
	uint64_t n;
};

static guint key_hash(gconstpointer data)
{
	const struct pool_key *key = data;

	return key->kind * 0x9e3779b1u ^ key->a * 0x85ebca6bu ^ key->b * 0xc2b2ae35u;
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, sizeof(struct pool_key)) == 0;
}

static uint32_t chunk_rows(uint64_t chunk)
{
	return chunk < N_SMALL ? MIN_ROWS << chunk : MAX_ROWS;
}

static uint64_t chunk_first(uint64_t chunk)
{
	return chunk < N_SMALL ? (MIN_ROWS << chunk) - MIN_ROWS
			       : SMALL_ROWS + (chunk - N_SMALL) * MAX_ROWS;
}

static uint64_t chunk_of(uint64_t row)
{
	if (row >= SMALL_ROWS)
		return N_SMALL + (row - SMALL_ROWS) / MAX_ROWS;
	return (uint64_t)(63 - __builtin_clzll(row + MIN_ROWS)) - MIN_SHIFT;
}

static void series_free(void *data)
{
	struct series *series = data;

	g_array_unref(series->offsets);
	g_free(series->open);
	g_free(series);
}

static struct pool *pool_make(int fd)
{
	struct pool *pool = g_new0(struct pool, 1);

	pool->fd = fd;
	pool->series = g_ptr_array_new_with_free_func(series_free);
	pool->by_key = g_hash_table_new(key_hash, key_equal);
	return pool;
}

struct pool *pool_new(int fd)
{
	struct pool *pool = pool_make(fd);

	pool->buffer = g_malloc(BUFFER_BYTES);
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	if (pool->map)
		munmap((void *)(uintptr_t)pool->map, pool->map_bytes);
	g_hash_table_unref(pool->by_key);
	g_ptr_array_unref(pool->series);
	g_free(pool->buffer);
	close(pool->fd);
	g_free(pool);
}

struct series *pool_add(struct pool *pool, struct pool_key key, struct pool_schema schema)
{
	struct series *series = g_new0(struct series, 1);

	g_assert(schema.n_columns > 0 && schema.n_columns <= POOL_MAX_COLUMNS);
	series->pool = pool;
	series->key = key;
	series->schema = schema;
	series->offsets = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	for (uint32_t i = 0; i < schema.n_columns; i++)
		series->row_bytes += schema.widths[i];
	g_ptr_array_add(pool->series, series);
	g_hash_table_insert(pool->by_key, &series->key, series);
	return series;
}

static void put_out(struct pool *pool, const uint8_t *bytes, size_t n)
{
	while (n && !pool->error) {
		ssize_t done = write(pool->fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			pool->error = done < 0 ? -errno : -EIO;
			return;
		}
		bytes += done;
		n -= (size_t)done;
	}
}

static void flush(struct pool *pool)
{
	put_out(pool, pool->buffer, pool->n_buffer);
	pool->n_buffer = 0;
}

static void append(struct pool *pool, const void *bytes, size_t n)
{
	/* Nothing may come without a place. */
	if (!n)
		return;
	if (pool->n_buffer + n > BUFFER_BYTES)
		flush(pool);
	if (n > BUFFER_BYTES) {
		put_out(pool, bytes, n);
	} else {
		memcpy(pool->buffer + pool->n_buffer, bytes, n);
		pool->n_buffer += n;
	}
	pool->size += n;
}

static void align(struct pool *pool)
{
	static const uint8_t zeros[8];

	append(pool, zeros, (8 - pool->size % 8) % 8);
}

uint64_t pool_write(struct pool *pool, const void *bytes, size_t n)
{
	uint64_t offset;

	align(pool);
	offset = pool->size;
	append(pool, bytes, n);
	return offset;
}

/* Columns of a full chunk lie as in memory; those of the last one are closed up. */
static void chunk_write(struct series *series)
{
	struct pool *pool = series->pool;
	const uint8_t *column = series->open;
	uint64_t offset;

	align(pool);
	offset = pool->size;
	for (uint32_t i = 0; i < series->schema.n_columns; i++) {
		append(pool, column, (size_t)series->n_open * series->schema.widths[i]);
		column += (size_t)series->open_size * series->schema.widths[i];
	}
	g_array_append_val(series->offsets, offset);
	series->n_open = 0;
}

static void chunk_open(struct series *series)
{
	uint32_t rows = chunk_rows(series->offsets->len);

	if (rows != series->open_size || !series->open)
		series->open = g_realloc(series->open, (size_t)rows * series->row_bytes + SLACK);
	series->open_size = rows;
}

void series_append(struct series *series, const uint64_t *values)
{
	uint8_t *column;

	if (series->n_open == 0)
		chunk_open(series);
	column = series->open;
	for (uint32_t i = 0; i < series->schema.n_columns; i++) {
		unsigned width = series->schema.widths[i];
		uint8_t *place = column + (size_t)series->n_open * width;
		uint64_t value = values[i];

		if (width == 6 && value >> 48)
			value = (1ull << 48) - 1;
		if (width == 4 && value >> 32)
			value = UINT32_MAX;
		switch (width) {
		case 1:
			*place = (uint8_t)value;
			break;
		case 2:
			memcpy(place, &value, 2);
			break;
		case 4:
			memcpy(place, &value, 4);
			break;
		case 6:
			memcpy(place, &value, 6);
			break;
		default:
			memcpy(place, &value, 8);
		}
		column += (size_t)series->open_size * width;
	}
	series->n++;
	if (++series->n_open == series->open_size)
		chunk_write(series);
}

static int map_file(struct pool *pool)
{
	void *map = mmap(NULL, pool->size, PROT_READ, MAP_SHARED, pool->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	pool->map = map;
	pool->map_bytes = pool->size;
	return 0;
}

int pool_seal(struct pool *pool)
{
	static const uint8_t zeros[SLACK];

	for (guint i = 0; i < pool->series->len; i++) {
		struct series *series = g_ptr_array_index(pool->series, i);

		if (series->n_open)
			chunk_write(series);
		g_free(series->open);
		series->open = NULL;
	}
	append(pool, zeros, SLACK);
	flush(pool);
	if (pool->error)
		return pool->error;
	if (pool->map)
		munmap((void *)(uintptr_t)pool->map, pool->map_bytes);
	pool->map = NULL;
	return map_file(pool);
}

int pool_finish(struct pool *pool, uint32_t version)
{
	struct tail tail = { .n_series = pool->series->len, .magic = MAGIC, .version = version };
	int err = pool_seal(pool);

	if (err)
		return err;
	align(pool);
	tail.directory = pool->size;
	for (guint i = 0; i < pool->series->len; i++) {
		const struct series *series = g_ptr_array_index(pool->series, i);
		struct entry entry = {
			.key = series->key,
			.n_columns = series->schema.n_columns,
			.n = series->n,
		};

		append(pool, &entry, sizeof(entry));
		append(pool, series->offsets->data, series->offsets->len * sizeof(uint64_t));
	}
	append(pool, &tail, sizeof(tail));
	flush(pool);
	return pool->error;
}

/* Bytes of chunk `chunk` of a series of n rows. */
static uint64_t chunk_bytes(const struct series *series, uint64_t chunk)
{
	return MIN(chunk_rows(chunk), series->n - chunk_first(chunk)) * series->row_bytes;
}

/* One series of the directory at *at; false when anything leads outside. */
static bool read_entry(struct pool *pool, uint64_t *at, uint64_t end,
	struct pool_schema (*schema_of)(struct pool_key key))
{
	struct pool_schema schema;
	struct series *series;
	struct entry entry;
	uint64_t n_chunks;

	if (end - *at < sizeof(entry))
		return false;
	memcpy(&entry, pool->map + *at, sizeof(entry));
	*at += sizeof(entry);
	schema = schema_of(entry.key);
	if (schema.n_columns == 0 || schema.n_columns != entry.n_columns ||
		entry.n > pool->map_bytes || pool_find(pool, entry.key))
		return false;
	n_chunks = entry.n ? chunk_of(entry.n - 1) + 1 : 0;
	if ((end - *at) / sizeof(uint64_t) < n_chunks)
		return false;
	series = pool_add(pool, entry.key, schema);
	series->n = entry.n;
	g_array_append_vals(series->offsets, pool->map + *at, (guint)n_chunks);
	*at += n_chunks * sizeof(uint64_t);
	for (uint64_t i = 0; i < n_chunks; i++) {
		uint64_t offset = g_array_index(series->offsets, uint64_t, i);

		if (offset > end || end - offset < chunk_bytes(series, i) + SLACK)
			return false;
	}
	return true;
}

static bool read_directory(
	struct pool *pool, uint32_t version, struct pool_schema (*schema_of)(struct pool_key key))
{
	uint64_t end = pool->map_bytes - sizeof(struct tail), at;
	struct tail tail;

	g_assert(pool->map);
	memcpy(&tail, pool->map + end, sizeof(tail));
	if (tail.magic != MAGIC || tail.version != version || tail.n_series > MAX_SERIES ||
		tail.directory > end)
		return false;
	at = tail.directory;
	for (uint64_t i = 0; i < tail.n_series; i++)
		if (!read_entry(pool, &at, end, schema_of))
			return false;
	return true;
}

int pool_open(int fd, uint32_t version, struct pool_schema (*schema_of)(struct pool_key key),
	struct pool **pool_out)
{
	struct pool *pool = pool_make(fd);
	struct stat st;
	int err = fstat(fd, &st) < 0 ? -errno : 0;

	if (!err && (uint64_t)st.st_size < sizeof(struct tail))
		err = -EBADMSG;
	if (!err) {
		pool->size = (uint64_t)st.st_size;
		err = map_file(pool);
	}
	if (!err && !read_directory(pool, version, schema_of))
		err = -EBADMSG;
	if (err) {
		pool_free(pool);
		return err;
	}
	*pool_out = pool;
	return 0;
}

struct series *pool_find(const struct pool *pool, struct pool_key key)
{
	return g_hash_table_lookup(pool->by_key, &key);
}

uint32_t pool_n_series(const struct pool *pool)
{
	return pool->series->len;
}

struct series *pool_series(const struct pool *pool, uint32_t index)
{
	return g_ptr_array_index(pool->series, index);
}

struct pool_key series_key(const struct series *series)
{
	return series->key;
}

uint64_t pool_size(const struct pool *pool)
{
	return pool->size;
}

const void *pool_bytes(const struct pool *pool, uint64_t offset, size_t n)
{
	if (!pool->map || offset > pool->map_bytes || pool->map_bytes - offset < n)
		return NULL;
	return pool->map + offset;
}

uint64_t series_n(const struct series *series)
{
	return series->n;
}

uint64_t series_end(const struct series *series)
{
	return series->end;
}

void series_set_end(struct series *series, uint64_t end)
{
	series->end = end;
}

struct series_span series_span(const struct series *series, uint64_t row)
{
	uint64_t chunk = chunk_of(row);
	struct series_span span = { .first = chunk_first(chunk) };
	const uint8_t *column;

	g_assert(row < series->n && series->pool->map);
	column = series->pool->map + g_array_index(series->offsets, uint64_t, chunk);
	span.n = (uint32_t)MIN(chunk_rows(chunk), series->n - span.first);
	for (uint32_t i = 0; i < series->schema.n_columns; i++) {
		span.columns[i] = column;
		column += (size_t)span.n * series->schema.widths[i];
	}
	return span;
}

uint64_t series_get(const struct series *series, uint64_t row, unsigned column)
{
	struct series_span span = series_span(series, row);

	return pool_load(span.columns[column], series->schema.widths[column], row - span.first);
}

uint64_t series_after(const struct series *series, unsigned column, uint64_t value)
{
	uint64_t low = 0, high = series->n;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (series_get(series, middle, column) <= value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
