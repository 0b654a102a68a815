/* SPDX-License-Identifier: MIT */
/* A heap of sources, one per lane and table; each tells when its next item is. */
#include "viewer/export_walk.h"

#include "proto/schema.h"

struct source {
	const struct series *series;
	struct export_item next;
	uint64_t row;
};

struct walk {
	GArray *heap; /* struct source; the earliest first */
};

/* Ends before begins and rows; among ends the deeper region, among begins the outer one. */
static int is_before(const struct source *a, const struct source *b)
{
	const struct export_item *x = &a->next, *y = &b->next;
	int x_ends = x->what == EXPORT_END, y_ends = y->what == EXPORT_END;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns;
	if (x_ends != y_ends)
		return x_ends;
	return x_ends ? x->lane.b > y->lane.b : x->lane.b < y->lane.b;
}

static void swap(GArray *heap, guint i, guint k)
{
	struct source *sources = (struct source *)(void *)heap->data, kept = sources[i];

	sources[i] = sources[k];
	sources[k] = kept;
}

static void sink(GArray *heap, guint i)
{
	const struct source *sources = (const struct source *)(const void *)heap->data;

	for (;;) {
		guint least = i;

		for (guint k = 2 * i + 1; k <= 2 * i + 2 && k < heap->len; k++)
			if (is_before(&sources[k], &sources[least]))
				least = k;
		if (least == i)
			return;
		swap(heap, i, least);
		i = least;
	}
}

/* Reads what is at the source's row. 0: it has no more. */
static int load(struct source *source)
{
	struct export_item *item = &source->next;

	if (source->row >= series_n(source->series))
		return 0;
	if (item->what == EXPORT_ROW) {
		item->row = source->row;
		item->time_ns = series_get(source->series, source->row, INDEX_END);
	} else {
		item->what = EXPORT_BEGIN;
		item->interval = lane_get(source->series, source->row);
		item->time_ns = item->interval.start_ns;
	}
	return 1;
}

static int advance(struct source *source)
{
	if (source->next.what == EXPORT_BEGIN) {
		source->next.what = EXPORT_END;
		source->next.time_ns += source->next.interval.dur_ns;
		return 1;
	}
	source->row++;
	return load(source);
}

static void add_lanes(struct walk *walk, const struct export_part *part)
{
	const struct pool *pool = part->index->pool;

	for (uint32_t i = 0; i < pool_n_series(pool); i++) {
		struct series *series = pool_series(pool, i);
		struct source source = { .series = series, .next.lane = series_key(series) };

		if (source.next.lane.kind < LANE_THREAD || source.next.lane.kind >= LANE_KIND_END ||
			(source.next.lane.kind != LANE_CPU &&
				!export_wants(part, source.next.lane.a)))
			continue;
		if (load(&source))
			g_array_append_val(walk->heap, source);
	}
}

void export_walk(const struct export_part *part, uint32_t tables,
	int (*fn)(void *user, const struct export_item *item), void *user)
{
	struct walk walk = { g_array_new(FALSE, FALSE, sizeof(struct source)) };

	add_lanes(&walk, part);
	for (int i = 0; i < INDEX_N_TABLES; i++) {
		struct source source = { .series = part->index->tables[i],
			.next = { .what = EXPORT_ROW, .table = (enum index_table_id)i } };

		if (tables >> i & 1 && load(&source))
			g_array_append_val(walk.heap, source);
	}
	for (guint i = walk.heap->len / 2; i-- > 0;)
		sink(walk.heap, i);
	while (walk.heap->len) {
		struct source *first = &g_array_index(walk.heap, struct source, 0);

		if (fn(user, &first->next))
			break;
		if (!advance(first)) {
			swap(walk.heap, 0, walk.heap->len - 1);
			g_array_set_size(walk.heap, walk.heap->len - 1);
		}
		sink(walk.heap, 0);
	}
	g_array_unref(walk.heap);
}

uint64_t export_get(
	const struct index *index, enum index_table_id table, uint64_t row, unsigned column)
{
	return series_get(index->tables[table], row, column);
}

static int is_wait_state(uint8_t state)
{
	return state >= FR_STATE_MUTEX && state <= FR_STATE_ONCE;
}

const char *export_name(const struct index *index, const struct export_item *item)
{
	const struct lane_row *row = &item->interval;

	if (item->lane.kind == LANE_REGION) {
		if (row->arg >= series_n(index->tables[INDEX_REGION]))
			return "region";
		return strings_get(index->trace->strings,
			(uint32_t)export_get(index, INDEX_REGION, row->arg, REGION_TYPE));
	}
	if (item->lane.kind == LANE_CPU)
		return row->arg < index->trace->threads->len
			       ? trace_thread_name(index->trace, row->arg)
			       : "?";
	if (row->state == LANE_STATE_RUNNABLE)
		return "runnable";
	if (row->state == LANE_STATE_BLOCKED)
		return "blocked";
	if (row->state < FR_STATE_N && !is_wait_state(row->state) &&
		row->arg < series_n(index->tables[INDEX_SYSCALL]))
		return event_call_name(
			(uint32_t)export_get(index, INDEX_SYSCALL, row->arg, CALL_CALL));
	return event_state_name(row->state);
}
