/* SPDX-License-Identifier: MIT */
/*
 * Virtual tables over the series of an index: each table of index_table.h, and `slice`, all lanes of threads. What a
 * query asks of `end`, `ts` and `thread` is used to read less: rows of a table are in the order of `end`, those of a
 * lane in that of `ts`; a lane is one thread.
 */
#include <string.h>

#include "proto/schema.h"
#include "viewer/sql_internal.h"

/* What a query may bound; each is a bit of idxNum and an argument, in this order. */
enum bound { BOUND_ROW, BOUND_THREAD, BOUND_FROM, BOUND_TO, BOUND_N };

struct source {
	const struct index *index; /* borrowed */
	int table;		   /* enum index_table_id; -1: slice */
};

struct table {
	sqlite3_vtab base;
	const struct source *source; /* borrowed */
};

struct cursor {
	sqlite3_vtab_cursor base;
	const struct series *series; /* read now; NULL: at the end */
	struct series_span span;
	uint64_t row, end_row;	 /* the next, and where to stop in this series */
	uint64_t from_ns, to_ns; /* bounds of `end` (tables) or of overlap (slice) */
	int64_t thread;		 /* wanted, -1: all */
	uint32_t lane;		 /* slice: next thread to look at */
};

/* First columns of every virtual table; then those of the index. */
enum { SQL_TS, SQL_FIRST };

static const char *const slice_columns[] = { "ts", "dur", "end", "thread", "state", "stack", "wait",
	"syscall" };
enum {
	SLICE_TS,
	SLICE_DUR,
	SLICE_END,
	SLICE_THREAD,
	SLICE_STATE,
	SLICE_STACK,
	SLICE_WAIT,
	SLICE_CALL
};

static int is_slice(const struct source *source)
{
	return source->table < 0;
}

static const char *column_type(enum index_column_kind kind)
{
	switch (kind) {
	case INDEX_STRING:
	case INDEX_LOCK:
	case INDEX_CALL:
	case INDEX_ALLOC_KIND:
	case INDEX_WHAT:
		return "TEXT";
	default:
		return "INTEGER";
	}
}

static char *declaration(const struct source *source)
{
	GString *text = g_string_new("CREATE TABLE x(");

	if (is_slice(source)) {
		for (size_t i = 0; i < G_N_ELEMENTS(slice_columns); i++)
			g_string_append_printf(text, "%s\"%s\" %s", i ? "," : "", slice_columns[i],
				i == SLICE_STATE ? "TEXT" : "INTEGER");
	} else {
		const struct index_table *table = &index_tables[source->table];

		g_string_append(text, "ts INTEGER");
		for (uint32_t i = 0; i < table->n_columns; i++)
			g_string_append_printf(text, ",\"%s\" %s", table->columns[i].name,
				column_type((enum index_column_kind)table->columns[i].kind));
	}
	g_string_append_c(text, ')');
	return g_string_free(text, FALSE);
}

static int table_connect(sqlite3 *db, void *user, int argc, const char *const *argv,
	sqlite3_vtab **table_out, char **error_out)
{
	g_autofree char *text = declaration(user);
	struct table *table;
	int rc = sqlite3_declare_vtab(db, text);

	(void)argc;
	(void)argv;
	(void)error_out;
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
	table = sqlite3_malloc(sizeof(*table));
	if (!table)
		return SQLITE_NOMEM;
	memset(table, 0, sizeof(*table));
	table->source = user;
	*table_out = &table->base;
	return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *table)
{
	sqlite3_free(table);
	return SQLITE_OK;
}

/* Which bound a constraint is, or BOUND_N; `op` as SQLite has it. */
static int bound_of(const struct source *source, int column, int op)
{
	int thread = is_slice(source) ? SLICE_THREAD : SQL_FIRST + 2;
	int end = is_slice(source) ? SLICE_END : SQL_FIRST + INDEX_END;
	int ts = is_slice(source) ? SLICE_TS : SQL_TS;

	/* A slice leads to the row of its wait or call. */
	if (column < 0 && op == SQLITE_INDEX_CONSTRAINT_EQ && !is_slice(source))
		return BOUND_ROW;
	if (column == thread && op == SQLITE_INDEX_CONSTRAINT_EQ)
		return BOUND_THREAD;
	/* What begins late enough ends late enough, too. */
	if ((column == end || column == ts) &&
		(op == SQLITE_INDEX_CONSTRAINT_GE || op == SQLITE_INDEX_CONSTRAINT_GT))
		return BOUND_FROM;
	if ((column == end || (is_slice(source) && column == ts)) &&
		(op == SQLITE_INDEX_CONSTRAINT_LE || op == SQLITE_INDEX_CONSTRAINT_LT))
		return BOUND_TO;
	return BOUND_N;
}

static int table_best(sqlite3_vtab *base, sqlite3_index_info *info)
{
	const struct source *source = ((struct table *)base)->source;
	int chosen[BOUND_N] = { -1, -1, -1, -1 }, n = 0;
	double cost = 1e7;

	for (int i = 0; i < info->nConstraint; i++) {
		int bound = bound_of(source, info->aConstraint[i].iColumn, info->aConstraint[i].op);

		if (bound < BOUND_N && info->aConstraint[i].usable && chosen[bound] < 0)
			chosen[bound] = i;
	}
	/* SQLite looks again at every row: values may be NULL or fractions. */
	for (int bound = 0; bound < BOUND_N; bound++) {
		if (chosen[bound] < 0)
			continue;
		info->idxNum |= 1 << bound;
		info->aConstraintUsage[chosen[bound]].argvIndex = ++n;
		cost /= bound == BOUND_ROW ? 1e7 : bound == BOUND_THREAD ? 50 : 4;
	}
	info->estimatedCost = cost;
	info->estimatedRows = (sqlite3_int64)cost;
	/* A table comes in the order of `end`; slices by thread, then time. */
	if (info->nOrderBy == 1 && !info->aOrderBy[0].desc &&
		info->aOrderBy[0].iColumn ==
			(is_slice(source) ? SLICE_THREAD : SQL_FIRST + INDEX_END))
		info->orderByConsumed = 1;
	return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *table, sqlite3_vtab_cursor **cursor_out)
{
	struct cursor *cursor = sqlite3_malloc(sizeof(*cursor));

	(void)table;
	if (!cursor)
		return SQLITE_NOMEM;
	memset(cursor, 0, sizeof(*cursor));
	*cursor_out = &cursor->base;
	return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *cursor)
{
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static const struct source *source_of(const struct cursor *cursor)
{
	return ((const struct table *)cursor->base.pVtab)->source;
}

/* Slice: goes on to the next thread that has rows in the bounds. */
static void next_lane(struct cursor *cursor)
{
	const struct source *source = source_of(cursor);
	const struct index *index = source->index;

	cursor->series = NULL;
	while (!cursor->series && cursor->lane < index->trace->threads->len) {
		uint32_t lane = cursor->lane++;
		const struct series *series;

		if (cursor->thread >= 0 && cursor->thread != lane)
			continue;
		series = index_lane(index, LANE_THREAD, lane, 0);
		if (!series)
			continue;
		cursor->row = lane_find(series, cursor->from_ns ? cursor->from_ns - 1 : 0);
		cursor->end_row = series_after(series, LANE_START, cursor->to_ns);
		if (cursor->row < cursor->end_row)
			cursor->series = series;
	}
	if (cursor->series)
		cursor->span = series_span(cursor->series, cursor->row);
}

/* Table: stops at the next row of the wanted thread. */
static void settle(struct cursor *cursor)
{
	for (; cursor->row < cursor->end_row; cursor->row++) {
		uint64_t i = cursor->row - cursor->span.first;

		if (i >= cursor->span.n) {
			cursor->span = series_span(cursor->series, cursor->row);
			i = 0;
		}
		if (cursor->thread < 0 ||
			(int64_t)pool_load(cursor->span.columns[2], 4, i) == cursor->thread)
			return;
	}
	cursor->series = NULL;
}

static int cursor_filter(
	sqlite3_vtab_cursor *base, int bounds, const char *text, int argc, sqlite3_value **argv)
{
	struct cursor *cursor = (struct cursor *)base;
	const struct source *source = source_of(cursor);
	int64_t values[BOUND_N] = { -1, -1, 0, INT64_MAX };
	int n = 0;

	(void)text;
	for (int bound = 0; bound < BOUND_N && n < argc; bound++)
		if (bounds & 1 << bound)
			values[bound] = sqlite3_value_int64(argv[n++]);
	cursor->series = NULL;
	cursor->thread = values[BOUND_THREAD];
	cursor->from_ns = (uint64_t)MAX(values[BOUND_FROM], 0);
	cursor->to_ns = (uint64_t)MAX(values[BOUND_TO], 0);
	/* No such thread. */
	if ((bounds & 1 << BOUND_THREAD) && cursor->thread < 0)
		return SQLITE_OK;
	if (is_slice(source)) {
		cursor->lane = cursor->thread > 0 ? (uint32_t)MIN(cursor->thread, UINT32_MAX) : 0;
		next_lane(cursor);
		return SQLITE_OK;
	}
	cursor->series = source->index->tables[source->table];
	cursor->row =
		cursor->from_ns ? series_after(cursor->series, INDEX_END, cursor->from_ns - 1) : 0;
	cursor->end_row = series_after(cursor->series, INDEX_END, cursor->to_ns);
	if (bounds & 1 << BOUND_ROW) {
		uint64_t row = (uint64_t)values[BOUND_ROW];

		/* Not outside of what else is asked. */
		cursor->end_row = row < cursor->end_row ? row + 1 : 0;
		cursor->row = MAX(cursor->row, row);
	}
	if (cursor->row < cursor->end_row)
		cursor->span = series_span(cursor->series, cursor->row);
	settle(cursor);
	return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)base;

	cursor->row++;
	if (!is_slice(source_of(cursor)))
		settle(cursor);
	else if (cursor->row >= cursor->end_row)
		next_lane(cursor);
	else if (cursor->row - cursor->span.first >= cursor->span.n)
		cursor->span = series_span(cursor->series, cursor->row);
	return SQLITE_OK;
}

static int cursor_eof(sqlite3_vtab_cursor *base)
{
	return ((struct cursor *)base)->series == NULL;
}

static void give_text(sqlite3_context *context, const char *text)
{
	sqlite3_result_text(context, text, -1, SQLITE_STATIC);
}

static void give(sqlite3_context *context, const struct index *index,
	const struct index_column *column, uint64_t value)
{
	switch ((enum index_column_kind)column->kind) {
	case INDEX_STRING:
		give_text(context, strings_get(index->trace->strings, (uint32_t)value));
		break;
	case INDEX_LOCK:
		give_text(context, event_lock_name((uint32_t)value));
		break;
	case INDEX_CALL:
		give_text(context, event_call_name((uint32_t)value));
		break;
	case INDEX_ALLOC_KIND: {
		const char *name = event_enum_name(SHOW_ALLOC, value);

		give_text(context, name ? name : "other");
		break;
	}
	case INDEX_WHAT: {
		static const char *const names[] = { "start", "exit", "name", "label" };

		give_text(context, value < G_N_ELEMENTS(names) ? names[value] : "other");
		break;
	}
	case INDEX_THREAD:
		if (value == INDEX_NONE)
			sqlite3_result_null(context);
		else
			sqlite3_result_int64(context, (sqlite3_int64)value);
		break;
	case INDEX_SIGNED:
		sqlite3_result_int64(
			context, column->width == 4 ? (int32_t)value : (sqlite3_int64)value);
		break;
	default:
		sqlite3_result_int64(context, (sqlite3_int64)value);
	}
}

static const char *state_name(unsigned state)
{
	if (state == LANE_STATE_RUNNABLE)
		return "runnable";
	return state == LANE_STATE_BLOCKED ? "blocked" : event_state_name(state);
}

static void slice_column(sqlite3_context *context, const struct cursor *cursor, int column)
{
	struct lane_row row = lane_get(cursor->series, cursor->row);
	int is_lock = row.state >= FR_STATE_MUTEX && row.state <= FR_STATE_ONCE;

	switch (column) {
	case SLICE_TS:
		sqlite3_result_int64(context, (sqlite3_int64)row.start_ns);
		break;
	case SLICE_DUR:
		sqlite3_result_int64(context, (sqlite3_int64)row.dur_ns);
		break;
	case SLICE_END:
		sqlite3_result_int64(
			context, (sqlite3_int64)row.start_ns + (sqlite3_int64)row.dur_ns);
		break;
	case SLICE_THREAD:
		sqlite3_result_int64(context, series_key(cursor->series).a);
		break;
	case SLICE_STATE:
		give_text(context, state_name(row.state));
		break;
	case SLICE_STACK:
		sqlite3_result_int64(context, row.stack);
		break;
	case SLICE_WAIT:
	case SLICE_CALL:
		if (row.arg == INDEX_NONE || row.state >= FR_STATE_EXITED ||
			is_lock != (column == SLICE_WAIT))
			sqlite3_result_null(context);
		else
			sqlite3_result_int64(context, row.arg);
		break;
	default:
		sqlite3_result_null(context);
	}
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	struct cursor *cursor = (struct cursor *)base;
	const struct source *source = source_of(cursor);
	const struct index_table *table;
	uint64_t i = cursor->row - cursor->span.first;

	if (is_slice(source)) {
		slice_column(context, cursor, column);
		return SQLITE_OK;
	}
	table = &index_tables[source->table];
	if (column == SQL_TS) {
		uint64_t end = pool_load(cursor->span.columns[INDEX_END], 6, i);
		/* Of a free `dur` is an age, and may be older than the trace. */
		uint64_t dur = source->table == INDEX_FREE
				       ? 0
				       : pool_load(cursor->span.columns[INDEX_DUR],
						 table->columns[INDEX_DUR].width, i);

		sqlite3_result_int64(context, (sqlite3_int64)(end - dur));
		return SQLITE_OK;
	}
	column -= SQL_FIRST;
	give(context, source->index, &table->columns[column],
		pool_load(cursor->span.columns[column], table->columns[column].width, i));
	return SQLITE_OK;
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *row_out)
{
	*row_out = (sqlite3_int64)((struct cursor *)base)->row;
	return SQLITE_OK;
}

/* Eponymous: the tables are there without being created. */
static sqlite3_module module = {
	.xConnect = table_connect,
	.xDisconnect = table_disconnect,
	.xBestIndex = table_best,
	.xOpen = cursor_open,
	.xClose = cursor_close,
	.xFilter = cursor_filter,
	.xNext = cursor_next,
	.xEof = cursor_eof,
	.xColumn = cursor_column,
	.xRowid = cursor_rowid,
};

static const char *table_name(int table)
{
	return table < 0 ? "slice" : index_tables[table].name;
}

int sql_register_tables(sqlite3 *db, const struct index *index)
{
	int rc = SQLITE_OK;

	for (int i = -1; i < INDEX_N_TABLES && rc == SQLITE_OK; i++) {
		struct source *source = g_new(struct source, 1);

		*source = (struct source){ index, i };
		rc = sqlite3_create_module_v2(db, table_name(i), &module, source, g_free);
	}
	/* Tables connect at their first use, which the authorizer would refuse later. */
	for (int i = -1; i < INDEX_N_TABLES && rc == SQLITE_OK; i++) {
		g_autofree char *text =
			g_strdup_printf("SELECT 1 FROM \"%s\" LIMIT 0", table_name(i));

		rc = sqlite3_exec(db, text, NULL, NULL, NULL);
	}
	return rc;
}

void sql_describe_tables(
	void (*fn)(void *user, const char *table, const char *column, const char *about),
	void *user)
{
	for (size_t i = 0; i < G_N_ELEMENTS(slice_columns); i++)
		fn(user, "slice", slice_columns[i],
			i == 0 ? "states of threads but running, in which they waited" : "");
	for (int i = 0; i < INDEX_N_TABLES; i++) {
		fn(user, index_tables[i].name, "ts", index_tables[i].about);
		for (uint32_t k = 0; k < index_tables[i].n_columns; k++)
			fn(user, index_tables[i].name, index_tables[i].columns[k].name, "");
	}
}
