/* SPDX-License-Identifier: MIT */
/* Moments: logs, what began and ended; values of counters in time; and rows of SQL. */
#include "viewer/api.h"

#include "viewer/sql.h"

#define MAX_MARKS 5000
#define MAX_SQL_ROWS 10000
#define SQL_LIMIT_NS 30000000000ull

static void add_logs(const struct index *index, uint64_t from, uint64_t to, json_t *list)
{
	const struct series *table = index->tables[INDEX_LOG];

	for (uint64_t row = from ? series_after(table, INDEX_END, from - 1) : 0;
		row < series_n(table) && json_array_size(list) < MAX_MARKS; row++) {
		uint64_t time = series_get(table, row, INDEX_END);

		if (time >= to)
			return;
		json_array_append_new(
			list, json_pack("{s:I, s:I, s:o, s:o}", "time", (json_int_t)time, "thread",
				      (json_int_t)series_get(table, row, LOG_THREAD), "category",
				      api_text(strings_get(index->trace->strings,
					      (uint32_t)series_get(table, row, LOG_CATEGORY))),
				      "message",
				      api_text(strings_get(index->trace->strings,
					      (uint32_t)series_get(table, row, LOG_MESSAGE)))));
	}
}

static void add_tasks(const struct index *index, uint64_t from, uint64_t to, json_t *list)
{
	const struct series *table = index->tables[INDEX_TASK];

	for (uint64_t row = from ? series_after(table, INDEX_END, from - 1) : 0;
		row < series_n(table) && json_array_size(list) < MAX_MARKS; row++) {
		uint64_t end = series_get(table, row, INDEX_END);
		uint64_t dur = series_get(table, row, INDEX_DUR);
		uint64_t thread = series_get(table, row, TASK_THREAD);

		if (end - dur >= to)
			continue;
		json_array_append_new(
			list, json_pack("{s:I, s:I, s:o, s:s, s:I, s:b}", "start",
				      (json_int_t)(end - dur), "dur", (json_int_t)dur, "type",
				      api_text(strings_get(index->trace->strings,
					      (uint32_t)series_get(table, row, TASK_TYPE))),
				      "kind", "task", "thread",
				      thread == INDEX_NONE ? (json_int_t)-1 : (json_int_t)thread,
				      "is_open", (int)series_get(table, row, TASK_IS_OPEN)));
	}
}

json_t *api_marks(const struct api_request *request, const char **why_out)
{
	json_t *logs = json_array(), *tasks = json_array();
	uint64_t from, to;

	(void)why_out;
	api_range(request, &from, &to);
	add_logs(request->indexed->index, from, to, logs);
	add_tasks(request->indexed->index, from, to, tasks);
	return json_pack("{s:o, s:o}", "logs", logs, "tasks", tasks);
}

json_t *api_counter(const struct api_request *request, const char **why_out)
{
	const struct index *index = request->indexed->index;
	const struct series *table = index->tables[INDEX_COUNTER];
	int64_t name = api_number(request, "name", -1);
	json_t *times = json_array(), *values = json_array();
	uint64_t from, to;

	(void)why_out;
	api_range(request, &from, &to);
	for (uint64_t row = from ? series_after(table, INDEX_END, from - 1) : 0;
		row < series_n(table) && json_array_size(times) < MAX_MARKS; row++) {
		uint64_t time = series_get(table, row, INDEX_END);

		if (time >= to)
			break;
		if ((int64_t)series_get(table, row, COUNTER_NAME) != name)
			continue;
		json_array_append_new(times, json_integer((json_int_t)time));
		json_array_append_new(
			values, json_integer((json_int_t)series_get(table, row, COUNTER_VALUE)));
	}
	return json_pack("{s:o, s:o}", "times", times, "values", values);
}

struct sql_answer {
	json_t *columns, *rows;
	int is_cut;
};

static int on_row(void *user, int n, const char *const *values, const int *types)
{
	struct sql_answer *answer = user;
	json_t *row;

	if (!types) {
		json_array_clear(answer->columns);
		json_array_clear(answer->rows);
		for (int i = 0; i < n; i++)
			json_array_append_new(answer->columns, api_text(values[i]));
		return 0;
	}
	if (json_array_size(answer->rows) == MAX_SQL_ROWS) {
		answer->is_cut = 1;
		return 1;
	}
	row = json_array();
	for (int i = 0; i < n; i++)
		json_array_append_new(
			row, types[i] == SQLITE_NULL ? json_null()
			     : types[i] == SQLITE_INTEGER
				     ? json_integer(g_ascii_strtoll(values[i], NULL, 10))
			     : types[i] == SQLITE_FLOAT ? json_real(g_ascii_strtod(values[i], NULL))
							: api_text(values[i]));
	json_array_append_new(answer->rows, row);
	return 0;
}

json_t *api_sql(const struct indexed *indexed, const char *text, const char **why_out)
{
	struct sql_answer answer = { json_array(), json_array(), 0 };
	g_autoptr(GError) error = NULL;
	struct sql *sql = sql_open(indexed->index, &error);
	json_t *object;

	(void)why_out;
	if (sql) {
		sql_set_limit(sql, SQL_LIMIT_NS);
		sql_run(sql, text, on_row, &answer, &error);
		sql_close(sql);
	}
	object = json_pack("{s:o, s:o, s:b}", "columns", answer.columns, "rows", answer.rows,
		"is_cut", answer.is_cut);
	if (error)
		json_object_set_new(object, "error", api_text(error->message));
	return object;
}
