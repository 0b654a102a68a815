/* SPDX-License-Identifier: MIT */
/* The index of small traces written as text: what is in its lanes and tables. */
#include "viewer/index.h"

#include "check.h"
#include "index_fixture.h"
#include "proto/schema.h"

#define HEAD                                                 \
	"0 0 state:receipt key=window.begin_ns value=1000\n" \
	"0 0 state:receipt key=window.end_ns value=10000\n"  \
	"0 0 state:process pid=77 start=500 exe=/opt/app\n"  \
	"0 10 state:thread start=500 name=main\n"            \
	"0 0 state:stack id=20 frames=0x1100\n"              \
	"0 0 state:stack id=21 frames=0x1200\n"

static struct trace *trace;
static struct index *indexed;

static void make(const char *text)
{
	trace = trace_new();
	/* The window is known when the definitions are. */
	trace->begin_ns = 1000;
	indexed = index_fixture(trace, text, 1);
	CHECK(indexed != NULL);
}

static void end(void)
{
	index_free(indexed);
	trace_free(trace);
}

static uint32_t thread_of(uint32_t tid)
{
	for (guint i = 0; i < trace->threads->len; i++)
		if (trace_thread(trace, i)->tid == tid)
			return i;
	return UINT32_MAX;
}

static uint64_t value(enum index_table_id table, uint64_t row, unsigned column)
{
	return series_get(indexed->tables[table], row, column);
}

static void check_row(
	const struct series *lane, uint64_t i, uint64_t start, uint64_t dur, int state)
{
	struct lane_row row = lane_get(lane, i);

	CHECK_INT(row.start_ns, start);
	CHECK_INT(row.dur_ns, dur);
	CHECK_INT(row.state, state);
}

static void test_nested(void)
{
	const struct series *lane;

	/* A write in a signal handler inside a poll, which arrives after it. */
	make(HEAD "2000 10 wait stack=20 kind=mutex obj=1 dur=100\n"
		  "4000 10 call stack=21 call=write ret=1 dur=200\n"
		  "4500 10 call stack=21 call=write ret=1 dur=100\n"
		  "5000 10 call stack=20 call=poll ret=1 dur=2000\n"
		  "6000 10 call stack=20 call=read ret=1 dur=500\n");
	lane = index_lane(indexed, LANE_THREAD, thread_of(10), 0);
	CHECK(lane != NULL);
	if (lane) {
		CHECK_INT(series_n(lane), 7);
		check_row(lane, 0, 900, 100, FR_STATE_MUTEX);
		check_row(lane, 1, 2000, 800, FR_STATE_POLL);
		check_row(lane, 2, 2800, 200, FR_STATE_FILE);
		check_row(lane, 3, 3000, 400, FR_STATE_POLL);
		check_row(lane, 4, 3400, 100, FR_STATE_FILE);
		check_row(lane, 5, 3500, 500, FR_STATE_POLL);
		check_row(lane, 6, 4500, 500, FR_STATE_FILE);
		/* All pieces of the poll lead to its row. */
		CHECK_INT(lane_get(lane, 3).arg, lane_get(lane, 1).arg);
		CHECK_INT(value(INDEX_SYSCALL, lane_get(lane, 3).arg, CALL_CALL), FR_CALL_poll);
		CHECK_INT(value(INDEX_SYSCALL, lane_get(lane, 3).arg, INDEX_DUR), 2000);
	}
	CHECK_INT(series_n(indexed->tables[INDEX_SYSCALL]), 4);
	CHECK_INT(series_n(indexed->tables[INDEX_WAIT]), 1);
	CHECK_INT(indexed->n_cut, 0);
	end();
}

static void test_user(void)
{
	const struct series *outer, *inner;

	make(HEAD "1500 10 task_begin task=5 parent=0 type=request\n"
		  "1600 10 region_begin task=5 type=parse stack=20\n"
		  "1700 10 region_begin task=5 type=lex stack=21\n"
		  "1900 10 region_end task=5 type=lex dur=200\n"
		  "2000 10 log task=5 category=net message=hello\n"
		  "2100 10 region_end task=5 type=parse dur=500\n"
		  "2200 10 counter name=queue value=-3\n"
		  "2300 10 region_begin task=5 type=late stack=20\n"
		  "2400 10 task_begin task=6 parent=5 type=sub\n"
		  "2500 10 task_end task=5\n"
		  "2600 10 task_end task=9\n");
	outer = index_lane(indexed, LANE_REGION, thread_of(10), 0);
	inner = index_lane(indexed, LANE_REGION, thread_of(10), 1);
	CHECK(outer && inner);
	if (outer && inner) {
		CHECK_INT(series_n(outer), 2);
		CHECK_INT(lane_get(outer, 0).start_ns, 600);
		CHECK_INT(lane_get(outer, 0).dur_ns, 500);
		CHECK_INT(lane_get(inner, 0).start_ns, 700);
		/* Open to the end of the window. */
		CHECK_INT(lane_get(outer, 1).start_ns, 1300);
		CHECK_INT(lane_get(outer, 1).dur_ns, 9000 - 1300);
		CHECK_INT(value(INDEX_REGION, lane_get(outer, 1).arg, REGION_IS_OPEN), 1);
		CHECK_STR(strings_get(trace->strings, (uint32_t)value(INDEX_REGION,
							      lane_get(inner, 0).arg, REGION_TYPE)),
			"lex");
	}
	CHECK_INT(series_n(indexed->tables[INDEX_TASK]), 3);
	CHECK_INT(value(INDEX_TASK, 0, TASK_ID), 5);
	CHECK_INT(value(INDEX_TASK, 0, INDEX_DUR), 1000);
	CHECK_INT(value(INDEX_TASK, 0, TASK_IS_OPEN), 0);
	/* Began before the window. */
	CHECK_INT(value(INDEX_TASK, 1, TASK_ID), 9);
	CHECK_INT(value(INDEX_TASK, 1, TASK_THREAD), INDEX_NONE);
	CHECK_INT(value(INDEX_TASK, 2, TASK_ID), 6);
	CHECK_INT(value(INDEX_TASK, 2, TASK_IS_OPEN), 1);
	CHECK_INT((int64_t)value(INDEX_COUNTER, 0, COUNTER_VALUE), -3);
	CHECK_STR(strings_get(trace->strings, (uint32_t)value(INDEX_LOG, 0, LOG_MESSAGE)), "hello");
	end();
}

static void test_open_wait(void)
{
	const struct series *lane;

	make("0 0 state:receipt key=window.begin_ns value=1000\n"
	     "0 0 state:receipt key=window.end_ns value=10000\n"
	     "0 0 state:process pid=77 start=500 exe=/opt/app\n"
	     "0 10 state:thread start=500 name=main state=mutex since=9000 obj=1 stack=20\n"
	     "2000 10 wait stack=20 kind=mutex obj=1 dur=100\n");
	lane = index_lane(indexed, LANE_THREAD, thread_of(10), 0);
	CHECK(lane && series_n(lane) == 2);
	if (lane && series_n(lane) == 2) {
		check_row(lane, 1, 8000, 1000, FR_STATE_MUTEX);
		CHECK_INT(lane_get(lane, 1).arg, INDEX_NONE);
	}
	end();
}

static void test_schemas(void)
{
	for (int i = 0; i < INDEX_N_TABLES; i++) {
		struct pool_schema schema =
			index_schema_of(index_table_key((enum index_table_id)i));

		CHECK_INT(schema.n_columns, index_tables[i].n_columns);
		CHECK_STR(index_tables[i].columns[INDEX_END].name, "end");
		CHECK_STR(index_tables[i].columns[INDEX_DUR].name, "dur");
		CHECK_INT(index_tables[i].columns[2].kind, INDEX_THREAD);
	}
	CHECK_INT(index_schema_of((struct pool_key){ .kind = 50 }).n_columns, 0);
}

int main(void)
{
	CASE(test_nested, "nested calls become disjoint pieces in order");
	CASE(test_user, "regions nest, tasks and regions may stay open");
	CASE(test_open_wait, "what a thread still waits for reaches the window's end");
	CASE(test_schemas, "every table begins alike");
	return CHECK_DONE();
}
