/* SPDX-License-Identifier: MIT */
/* Lanes and what they look like from afar, against sums made the simple way. */
#include "viewer/lane.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"
#include "viewer/tile.h"

#define N_ROWS 30000

struct fixture {
	struct pool *pool;
	struct series *lane;
	struct lane_row rows[N_ROWS];
	uint64_t end;
};

static struct fixture fixture;

/* Bursts of short intervals, long ones between, gaps. */
static void fixture_make(unsigned seed, int n_rows)
{
	struct fixture *f = &fixture;
	uint64_t at = 1000;

	srand(seed);
	f->pool = pool_new(memfd_create("lane", MFD_CLOEXEC));
	f->lane = pool_add(f->pool, (struct pool_key){ LANE_THREAD, 1, 0 }, lane_schema);
	for (int i = 0; i < n_rows; i++) {
		int is_burst = (i / 1000) % 2;
		uint64_t scale = is_burst ? 50 : 200000;
		struct lane_row *row = &f->rows[i];

		at += (uint64_t)rand() % scale;
		*row = (struct lane_row){
			.start_ns = at,
			.dur_ns = (uint64_t)rand() % scale,
			.stack = (uint32_t)i,
			.arg = (uint32_t)i * 2,
			.state = (uint8_t)(rand() % 20),
		};
		at += row->dur_ns;
		lane_append(f->lane, *row);
	}
	f->end = at;
	pool_seal(f->pool);
	tile_build(f->pool, f->lane);
	pool_seal(f->pool);
}

static struct tile_cell simple_cell(uint64_t begin, unsigned level, int n_rows)
{
	uint64_t end = begin + (1ull << level), ns[LANE_N_STATES] = { 0 }, best_ns = 0;
	uint64_t covered = 0;
	struct tile_cell cell = { 0 };
	uint32_t count = 0;
	int best = -1, any = -1;

	for (int i = 0; i < n_rows; i++) {
		const struct lane_row *row = &fixture.rows[i];
		uint64_t row_end = row->start_ns + row->dur_ns;
		int is_in = row->dur_ns ? row->start_ns < end && row_end > begin
					: row->start_ns >= begin && row->start_ns < end;

		if (!is_in)
			continue;
		ns[row->state] += MIN(row_end, end) - MAX(row->start_ns, begin);
		covered += MIN(row_end, end) - MAX(row->start_ns, begin);
		count++;
		if (any < 0 || row->state < any)
			any = row->state;
	}
	if (!count)
		return cell;
	for (int i = 0; i < LANE_N_STATES; i++)
		if (ns[i] > best_ns) {
			best_ns = ns[i];
			best = i;
		}
	if ((1ull << level) - covered > best_ns) {
		best_ns = (1ull << level) - covered;
		best = LANE_STATE_GAP;
	}
	cell.state = (uint8_t)(best < 0 ? any : best);
	cell.share = (uint8_t)CLAMP((best_ns * 255 + (1ull << level) - 1) >> level, 1, 255);
	cell.count = (uint16_t)MIN(count, UINT16_MAX);
	return cell;
}

static void test_rows(void)
{
	struct lane_row row;

	fixture_make(1, 5000);
	CHECK_INT(series_n(fixture.lane), 5000);
	row = lane_get(fixture.lane, 4321);
	CHECK(memcmp(&row.start_ns, &fixture.rows[4321].start_ns, sizeof(uint64_t)) == 0);
	CHECK_INT(row.dur_ns, fixture.rows[4321].dur_ns);
	CHECK_INT(row.stack, 4321);
	CHECK_INT(row.arg, 8642);
	CHECK_INT(row.state, fixture.rows[4321].state);
	CHECK_INT(lane_find(fixture.lane, 0), 0);
	CHECK_INT(lane_find(fixture.lane, fixture.rows[100].start_ns), 100);
	CHECK_INT(lane_find(fixture.lane,
			  fixture.rows[2100].start_ns + fixture.rows[2100].dur_ns - 1),
		2100);
	CHECK_INT(lane_find(fixture.lane, fixture.end + 1), 5000);
	pool_free(fixture.pool);
}

static void test_overlaps(void)
{
	struct pool *pool = pool_new(memfd_create("lane", MFD_CLOEXEC));
	struct series *lane = pool_add(pool, (struct pool_key){ LANE_THREAD, 0, 0 }, lane_schema);

	CHECK_INT(lane_append(lane, (struct lane_row){ .start_ns = 10, .dur_ns = 10 }), 0);
	CHECK_INT(lane_append(lane, (struct lane_row){ .start_ns = 15, .dur_ns = 10 }), 1);
	CHECK_INT(lane_append(lane, (struct lane_row){ .start_ns = 5, .dur_ns = 3 }), 1);
	CHECK_INT(lane_append(lane, (struct lane_row){ .start_ns = 25, .dur_ns = 1 }), 0);
	pool_seal(pool);
	CHECK_INT(series_n(lane), 3);
	CHECK_INT(lane_get(lane, 1).start_ns, 20);
	CHECK_INT(lane_get(lane, 1).dur_ns, 5);
	CHECK_INT(lane_get(lane, 2).start_ns, 25);
	pool_free(pool);
}

static void test_cells(void)
{
	struct tile_cell cells[700];
	unsigned n_wrong = 0, n_filled = 0;

	fixture_make(2, N_ROWS);
	for (unsigned level = 4; level <= 33; level++) {
		uint64_t n_buckets = (fixture.end >> level) + 2;
		size_t n = (size_t)MIN(n_buckets, G_N_ELEMENTS(cells));
		uint64_t first = n_buckets > n ? ((uint64_t)rand() * 77777) % (n_buckets - n) : 0;

		tile_view(fixture.pool, fixture.lane, level, first, n, cells);
		/* The simple way is slow: a sample of them. */
		for (size_t i = 0; i < n; i += 13) {
			struct tile_cell want = simple_cell((first + i) << level, level, N_ROWS);

			n_filled += want.share > 0;
			n_wrong += want.state != cells[i].state || want.share != cells[i].share ||
				   want.count != cells[i].count;
		}
	}
	CHECK_INT(n_wrong, 0);
	CHECK(n_filled > 300);
	pool_free(fixture.pool);
}

static void test_levels(void)
{
	CHECK_INT(tile_level(0, 100), 0);
	CHECK_INT(tile_level(100, 100), 0);
	CHECK_INT(tile_level(101, 100), 1);
	CHECK_INT(tile_level(1ull << 40, 256), 32);
	CHECK_INT(tile_level(UINT64_MAX, 1), TILE_MAX_LEVEL);
}

int main(void)
{
	CASE(test_rows, "rows are found by number and by time");
	CASE(test_overlaps, "what overlaps is cut");
	CASE(test_cells, "cells are the sums of the rows, from tiles and without");
	CASE(test_levels, "a level covers what is asked");
	return CHECK_DONE();
}
