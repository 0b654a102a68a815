/* SPDX-License-Identifier: MIT */
/*
 * Tiles are made top-down: one tile over the whole lane, then its halves, as long as more than DENSE intervals fall
 * into each. Tiles are in the order of (level, index), for bisection.
 */
#include "viewer/tile.h"

#define DENSE 512

static const uint8_t widths[TILE_N_COLUMNS] = {
	[TILE_LEVEL] = 1,
	[TILE_INDEX] = 6,
	[TILE_OFFSET] = 8,
};

const struct pool_schema tile_schema = { .widths = widths, .n_columns = TILE_N_COLUMNS };

struct pool_key tile_key(struct pool_key lane)
{
	lane.kind += LANE_KIND_END;
	return lane;
}

unsigned tile_level(uint64_t dur_ns, size_t n)
{
	unsigned level = 0;

	while (level < TILE_MAX_LEVEL && (uint64_t)n << level < dur_ns)
		level++;
	return level;
}

/* A bucket while it is filled. */
struct sum {
	uint64_t ns[LANE_N_STATES];
	uint64_t states;  /* bit set of those that are not 0 */
	uint64_t covered; /* all of ns */
	uint32_t count;
};

static void sum_flush(struct sum *sum, unsigned level, struct tile_cell *cell)
{
	uint64_t best_ns = 0, share;
	unsigned best = LANE_N_STATES;

	if (!sum->count)
		return;
	while (sum->states) {
		unsigned state = (unsigned)__builtin_ctzll(sum->states);

		sum->states &= sum->states - 1;
		if (best == LANE_N_STATES || sum->ns[state] > best_ns) {
			best_ns = sum->ns[state];
			best = state;
		}
		sum->ns[state] = 0;
	}
	if ((1ull << level) - sum->covered > best_ns) {
		best_ns = (1ull << level) - sum->covered;
		best = LANE_STATE_GAP;
	}
	sum->covered = 0;
	/* Rounded up: what is there is to be seen. */
	share = (best_ns * 255 + (1ull << level) - 1) >> level;
	cell->state = (uint8_t)best;
	cell->share = (uint8_t)CLAMP(share, 1, 255);
	cell->count = (uint16_t)MIN(sum->count, UINT16_MAX);
	sum->count = 0;
}

/* Cells from the rows themselves. */
static void sum_rows(const struct series *lane, unsigned level, uint64_t first, size_t n,
	struct tile_cell *cells)
{
	uint64_t begin = first << level, end = (first + n) << level;
	uint64_t row = lane_find(lane, begin), n_rows = series_n(lane), at = first;
	struct sum sum = { .count = 0 };

	memset(cells, 0, n * sizeof(*cells));
	while (row < n_rows) {
		struct series_span span = series_span(lane, row);

		for (uint64_t i = row - span.first; i < span.n; i++, row++) {
			uint64_t from = pool_load(span.columns[LANE_START], 6, i);
			uint64_t to = from + pool_load(span.columns[LANE_DUR], 6, i);
			unsigned state = span.columns[LANE_STATE][i] % LANE_N_STATES;

			if (from >= end)
				goto out;
			from = MAX(from, begin);
			to = MIN(to, end);
			do {
				uint64_t bucket = from >> level;
				uint64_t stop = MIN(to, (bucket + 1) << level);

				if (bucket != at) {
					sum_flush(&sum, level, &cells[at - first]);
					at = bucket;
				}
				sum.ns[state] += stop - from;
				sum.states |= 1ull << state;
				sum.covered += stop - from;
				sum.count++;
				from = stop;
			} while (from < to);
		}
	}
out:
	sum_flush(&sum, level, &cells[at - first]);
}

/* The tile's offset, 0 when there is none. */
static uint64_t find_tile(const struct series *tiles, unsigned level, uint64_t index)
{
	uint64_t low = 0, high = tiles ? series_n(tiles) : 0;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct series_span span = series_span(tiles, middle);
		uint64_t i = middle - span.first;
		uint64_t at_level = pool_load(span.columns[TILE_LEVEL], 1, i);
		uint64_t at_index = pool_load(span.columns[TILE_INDEX], 6, i);

		if (at_level == level && at_index == index)
			return pool_load(span.columns[TILE_OFFSET], 8, i);
		/* Levels descend: the whole comes first. */
		if (at_level > level || (at_level == level && at_index < index))
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

void tile_view(const struct pool *pool, const struct series *lane, unsigned level, uint64_t first,
	size_t n, struct tile_cell *cells_out)
{
	const struct series *tiles = pool_find(pool, tile_key(series_key(lane)));

	while (n) {
		size_t inside = (size_t)(first % TILE_CELLS);
		size_t part = MIN(n, TILE_CELLS - inside);
		uint64_t offset = find_tile(tiles, level, first / TILE_CELLS);
		const struct tile_cell *cells =
			offset ? pool_bytes(pool, offset, TILE_CELLS * sizeof(*cells)) : NULL;

		if (cells)
			memcpy(cells_out, cells + inside, part * sizeof(*cells));
		else
			sum_rows(lane, level, first, part, cells_out);
		first += part;
		n -= part;
		cells_out += part;
	}
}

/* Rows that begin inside the tile; as many as DENSE or more is dense. */
static int is_dense(const struct series *lane, unsigned level, uint64_t index)
{
	uint64_t begin = (index * TILE_CELLS) << level, end = ((index + 1) * TILE_CELLS) << level;
	uint64_t from = begin ? series_after(lane, LANE_START, begin - 1) : 0;
	uint64_t row = from + DENSE;

	return row < series_n(lane) && series_get(lane, row, LANE_START) < end;
}

static void add_tile(struct pool *pool, const struct series *lane, struct series *tiles,
	unsigned level, uint64_t index)
{
	struct tile_cell cells[TILE_CELLS];
	uint64_t row[TILE_N_COLUMNS] = { [TILE_LEVEL] = level, [TILE_INDEX] = index };

	sum_rows(lane, level, index * TILE_CELLS, TILE_CELLS, cells);
	row[TILE_OFFSET] = pool_write(pool, cells, sizeof(cells));
	series_append(tiles, row);
}

void tile_build(struct pool *pool, const struct series *lane)
{
	GArray *now = g_array_new(FALSE, FALSE, sizeof(uint64_t)), *next;
	uint64_t n = series_n(lane), end, index = 0;
	struct series *tiles = NULL;
	struct lane_row last;
	unsigned level;

	if (n > DENSE) {
		last = lane_get(lane, n - 1);
		end = last.start_ns + last.dur_ns;
		level = tile_level(end + 1, TILE_CELLS);
		g_array_append_val(now, index);
		tiles = pool_add(pool, tile_key(series_key(lane)), tile_schema);
		/* Down to the level at which a bucket is a ns. */
		for (;; level--) {
			next = g_array_new(FALSE, FALSE, sizeof(uint64_t));
			for (guint i = 0; i < now->len; i++) {
				uint64_t at = g_array_index(now, uint64_t, i);

				if (!is_dense(lane, level, at))
					continue;
				add_tile(pool, lane, tiles, level, at);
				for (uint64_t half = 2 * at; half < 2 * at + 2; half++)
					g_array_append_val(next, half);
			}
			g_array_unref(now);
			now = next;
			if (level == 0 || now->len == 0)
				break;
		}
	}
	g_array_unref(now);
}
