/* SPDX-License-Identifier: MIT */
/* Lanes: cells from afar, rows from near, and all that is known of one. */
#include "viewer/api.h"

#include <stdlib.h>

#include "proto/schema.h"

#define MAX_LANES 1024
#define MAX_CELLS (1u << 24)
#define MAX_ROWS 20000

/* "KIND.A.B" at *text; goes behind it and the comma after. */
static const struct series *parse_lane(const struct index *index, const char **text, int *is_bad)
{
	uint32_t numbers[3] = { 0, 0, 0 };

	for (int i = 0; i < 3; i++) {
		char *end;
		uint64_t value = g_ascii_strtoull(*text, &end, 10);

		if (end == *text || value > UINT32_MAX) {
			*is_bad = 1;
			return NULL;
		}
		numbers[i] = (uint32_t)value;
		*text = end;
		if (**text == '.' && i < 2)
			(*text)++;
	}
	if (**text == ',')
		(*text)++;
	else if (**text)
		*is_bad = 1;
	if (numbers[0] == 0 || numbers[0] >= LANE_KIND_END)
		*is_bad = 1;
	return *is_bad ? NULL : index_lane(index, numbers[0], numbers[1], numbers[2]);
}

GByteArray *api_cells(const struct api_request *request, const char **why_out)
{
	const struct index *index = request->indexed->index;
	const char *lanes = request->query(request->user, "lanes");
	int64_t level = api_number(request, "level", -1), first = api_number(request, "first", 0);
	int64_t n = api_number(request, "n", 0);
	GByteArray *bytes;
	int n_lanes = 0, is_bad = 0;

	if (!lanes || level < 0 || level > TILE_MAX_LEVEL || first < 0 || n <= 0 || n > 16384 ||
		first > INT64_MAX >> level) {
		*why_out = "cells need lanes, level (0 to 48), first, and n (1 to 16384)";
		return NULL;
	}
	bytes = g_byte_array_new();
	while (*lanes && n_lanes++ < MAX_LANES && bytes->len < MAX_CELLS) {
		const struct series *lane = parse_lane(index, &lanes, &is_bad);
		size_t size = (size_t)n * sizeof(struct tile_cell);
		guint at = bytes->len;

		if (is_bad) {
			*why_out = "a lane is KIND.A.B, lanes are separated by commas";
			g_byte_array_unref(bytes);
			return NULL;
		}
		g_byte_array_set_size(bytes, at + (guint)size);
		memset(bytes->data + at, 0, size);
		if (lane)
			tile_view(index->pool, lane, (unsigned)level, (uint64_t)first, (size_t)n,
				(struct tile_cell *)(void *)(bytes->data + at));
	}
	return bytes;
}

/* What stands in a row: the type of a region, the call, the lock. */
static const char *label_of(const struct index *index, struct pool_key key, struct lane_row row)
{
	if (row.arg == INDEX_NONE)
		return "";
	if (key.kind == LANE_REGION)
		return row.arg < series_n(index->tables[INDEX_REGION])
			       ? strings_get(index->trace->strings,
					 (uint32_t)series_get(
						 index->tables[INDEX_REGION], row.arg, REGION_TYPE))
			       : "";
	if (key.kind == LANE_CPU)
		return row.arg < index->trace->threads->len
			       ? trace_thread_name(index->trace, row.arg)
			       : "";
	if (row.state >= FR_STATE_SLEEP && row.state < FR_STATE_EXITED &&
		row.arg < series_n(index->tables[INDEX_SYSCALL]))
		return event_call_name(
			(uint32_t)series_get(index->tables[INDEX_SYSCALL], row.arg, CALL_CALL));
	return row.state < FR_STATE_N ? event_state_name(row.state) : "";
}

static const struct series *lane_of(const struct api_request *request, const char **why_out)
{
	const char *text = request->query(request->user, "lane");
	const struct series *lane;
	int is_bad = 0;

	lane = text ? parse_lane(request->indexed->index, &text, &is_bad) : NULL;
	if (!lane)
		*why_out = "there is no such lane";
	return lane;
}

json_t *api_rows(const struct api_request *request, const char **why_out)
{
	const struct index *index = request->indexed->index;
	const struct series *lane = lane_of(request, why_out);
	int64_t max = api_number(request, "max", 2000);
	json_t *start, *dur, *state, *arg, *label;
	uint64_t from, to, row;
	int64_t n = 0;

	if (!lane)
		return NULL;
	max = CLAMP(max, 1, MAX_ROWS);
	api_range(request, &from, &to);
	start = json_array();
	dur = json_array();
	state = json_array();
	arg = json_array();
	label = json_array();
	for (row = lane_find(lane, from); row < series_n(lane) && n < max; row++, n++) {
		struct lane_row at = lane_get(lane, row);

		if (at.start_ns >= to)
			break;
		json_array_append_new(start, json_integer((json_int_t)at.start_ns));
		json_array_append_new(dur, json_integer((json_int_t)at.dur_ns));
		json_array_append_new(state, json_integer(at.state));
		json_array_append_new(arg, json_integer(at.arg));
		json_array_append_new(label, api_text(label_of(index, series_key(lane), at)));
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b}", "start", start, "dur", dur, "state",
		state, "arg", arg, "label", label, "is_cut", n == max);
}

static json_t *thread_or_null(uint64_t thread)
{
	return thread == INDEX_NONE ? json_null() : json_integer((json_int_t)thread);
}

/* One value of a table as people read it. */
static json_t *cell_of(const struct index *index, const struct index_column *column, uint64_t value)
{
	g_autofree char *hex = NULL;

	switch ((enum index_column_kind)column->kind) {
	case INDEX_STRING:
		return api_text(strings_get(index->trace->strings, (uint32_t)value));
	case INDEX_LOCK:
		return json_string(event_lock_name((uint32_t)value));
	case INDEX_CALL:
		return json_string(event_call_name((uint32_t)value));
	case INDEX_HEX:
		hex = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);
		return json_string(hex);
	case INDEX_THREAD:
		return thread_or_null(value);
	case INDEX_SIGNED:
		return json_integer(column->width == 4 ? (int32_t)value : (json_int_t)value);
	default:
		return json_integer((json_int_t)value);
	}
}

/* A row of a table as an object, stacks as frames. */
static json_t *table_row(const struct index *index, enum index_table_id id, uint64_t row)
{
	const struct index_table *table = &index_tables[id];
	json_t *object = json_object();

	if (row >= series_n(index->tables[id]))
		return object;
	json_object_set_new(object, "table", json_string(table->name));
	for (uint32_t i = 0; i < table->n_columns; i++) {
		uint64_t value = series_get(index->tables[id], row, i);

		if (table->columns[i].kind == INDEX_STACK)
			json_object_set_new(
				object, table->columns[i].name, api_frames(index, (uint32_t)value));
		else
			json_object_set_new(object, table->columns[i].name,
				cell_of(index, &table->columns[i], value));
	}
	return object;
}

/* Who woke a call up, when it is known: the `woken` row that ends where the call does. */
static json_t *waker_of(const struct index *index, uint32_t thread, uint64_t end)
{
	const struct series *table = index->tables[INDEX_WOKEN];
	uint64_t row = end ? series_after(table, INDEX_END, end - 1) : 0;

	for (; row < series_n(table) && series_get(table, row, INDEX_END) <= end + 10000; row++)
		if (series_get(table, row, WOKEN_THREAD) == thread)
			return table_row(index, INDEX_WOKEN, row);
	return json_null();
}

/* What a thread still waited for at the end of the window has no event: what its definition says. */
static json_t *open_wait(const struct index *index, uint32_t id, uint8_t state)
{
	const struct thread *thread = trace_thread(index->trace, id);
	uint32_t holder = thread->holder ? trace_find_thread(index->trace, thread->process,
						   thread->holder, index->trace->end_ns)
					 : INDEX_NONE;
	g_autofree char *obj = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", thread->obj);

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b}", "table", "wait", "kind",
		event_state_name(state), "obj", obj, "holder", thread_or_null(holder),
		"holder_stack",
		holder == INDEX_NONE ? json_array()
				     : api_frames(index, trace_thread(index->trace, holder)->stack),
		"is_open", 1);
}

json_t *api_at(const struct api_request *request, const char **why_out)
{
	const struct index *index = request->indexed->index;
	const struct series *lane = lane_of(request, why_out);
	int64_t time = api_number(request, "time", -1);
	struct pool_key key;
	struct lane_row row;
	json_t *object;
	uint64_t i;
	int is_lock;

	if (!lane)
		return NULL;
	key = series_key(lane);
	i = time < 0 ? series_n(lane) : lane_find(lane, (uint64_t)time);
	if (i == series_n(lane) || (row = lane_get(lane, i)).start_ns > (uint64_t)time) {
		*why_out = "nothing is recorded there";
		return NULL;
	}
	is_lock = row.state >= FR_STATE_MUTEX && row.state <= FR_STATE_ONCE;
	object = json_pack("{s:I, s:I, s:i, s:o, s:o}", "start", (json_int_t)row.start_ns, "dur",
		(json_int_t)row.dur_ns, "state", (int)row.state, "label",
		api_text(label_of(index, key, row)), "frames", api_frames(index, row.stack));
	if (key.kind == LANE_REGION) {
		json_object_set_new(object, "row", table_row(index, INDEX_REGION, row.arg));
	} else if (key.kind == LANE_CPU) {
		json_object_set_new(object, "thread", thread_or_null(row.arg));
	} else if (row.arg == INDEX_NONE && is_lock && i + 1 == series_n(lane)) {
		json_object_set_new(object, "row", open_wait(index, key.a, row.state));
	} else if (row.arg != INDEX_NONE) {
		json_object_set_new(object, "row",
			table_row(index, is_lock ? INDEX_WAIT : INDEX_SYSCALL, row.arg));
		if (!is_lock)
			json_object_set_new(
				object, "woken", waker_of(index, key.a, row.start_ns + row.dur_ns));
	}
	return object;
}
