/* SPDX-License-Identifier: MIT */
/* Queries over small traces written as text: the right rows, and nothing but reading. */
#include "viewer/sql.h"

#include "check.h"
#include "index_fixture.h"

#define TRACE                                                                        \
	"0 0 state:receipt key=window.begin_ns value=1000\n"                         \
	"0 0 state:receipt key=window.end_ns value=1000000\n"                        \
	"0 0 state:process pid=77 start=500 exe=/opt/app\n"                          \
	"0 10 state:thread start=500 name=main\n"                                    \
	"0 11 state:thread start=500 name=worker\n"                                  \
	"0 0 state:module start=0x1000 end=0x2000 path=/opt/app\n"                   \
	"0 0 state:stack id=20 frames=0x1100,0x1300\n"                               \
	"0 0 state:stack id=21 frames=0x1200\n"                                      \
	"0 0 state:symbol addr=0x1100 func=waiter file=a.c line=7\n"                 \
	"0 0 state:symbol addr=0x1200 func=holder file=b.c line=9\n"                 \
	"2000 10 wait stack=20 kind=mutex obj=1 dur=100 holder=11 holder_stack=21\n" \
	"3000 11 call stack=21 call=write fd=3 ret=-4 dur=200\n"                     \
	"4000 10 path stack=20 call=open fd=-1 ret=7 dur=300 path=/etc/x\n"          \
	"5000 10 call stack=20 call=write fd=3 ret=5 dur=400\n"                      \
	"6000 11 log category=net message=hello\n"

static GString *result;

static int on_row(void *user, int n, const char *const *values, const int *types)
{
	(void)user;
	if (!types)
		return 0;
	for (int i = 0; i < n; i++)
		g_string_append_printf(
			result, "%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
	g_string_append_c(result, '\n');
	return 0;
}

static struct trace *trace;
static struct index *indexed;
static struct sql *sql;

static void setup(void)
{
	trace = trace_new();
	trace->begin_ns = 1000;
	indexed = index_fixture(trace, TRACE, 1);
	sql = sql_open(indexed, NULL);
	result = g_string_new(NULL);
}

static void teardown(void)
{
	g_string_free(result, TRUE);
	sql_close(sql);
	index_free(indexed);
	trace_free(trace);
}

static const char *ask(const char *query)
{
	g_autoptr(GError) error = NULL;

	g_string_truncate(result, 0);
	if (!sql_run(sql, query, on_row, NULL, &error))
		g_string_printf(result, "error: %s", error->message);
	return result->str;
}

static void test_tables(void)
{
	CHECK_STR(ask("SELECT ts, dur, end, call, fd, ret, path FROM syscall"),
		"1800|200|2000|write|3|-4|\n2700|300|3000|open|-1|7|/etc/x\n"
		"3600|400|4000|write|3|5|\n");
	CHECK_STR(ask("SELECT kind, dur, holder FROM wait"), "mutex|100|1\n");
	CHECK_STR(ask("SELECT message FROM log"), "hello\n");
	CHECK_STR(ask("SELECT tid, name FROM thread ORDER BY id"), "10|main\n11|worker\n");
	CHECK_STR(ask("SELECT pid, exe FROM process"), "77|/opt/app\n");
	CHECK_STR(ask("SELECT value FROM receipt WHERE key = 'window.end_ns'"), "1000000\n");
}

static void test_bounds(void)
{
	CHECK_STR(ask("SELECT ts FROM syscall WHERE thread = 0"), "2700\n3600\n");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE thread = 7"), "");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE thread = -1"), "");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE end >= 3000"), "2700\n3600\n");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE end > 3000"), "3600\n");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE end < 3000"), "1800\n");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE ts >= 2700"), "2700\n3600\n");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE ts < 2700"), "1800\n");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE rowid = 1"), "2700\n");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE rowid = 1 AND thread = 1"), "");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE rowid = 99"), "");
	CHECK_STR(ask("SELECT ts FROM syscall WHERE rowid = -5"), "");
	CHECK_STR(ask("SELECT ts, state FROM slice WHERE thread = 0 AND ts > 900"),
		"2700|file\n3600|file\n");
	CHECK_STR(ask("SELECT ts, state FROM slice WHERE thread = 0 AND ts <= 2700"),
		"900|mutex\n2700|file\n");
	CHECK_STR(ask("SELECT ts FROM slice WHERE end BETWEEN 2000 AND 3000"), "2700\n1800\n");
	CHECK_STR(ask("SELECT end FROM syscall ORDER BY end"), "2000\n3000\n4000\n");
	CHECK_STR(ask("SELECT end FROM syscall ORDER BY end DESC"), "4000\n3000\n2000\n");
}

static void test_joins(void)
{
	CHECK_STR(ask("SELECT c.call FROM slice s JOIN syscall c ON c.rowid = s.syscall ORDER BY "
		      "s.ts"),
		"write\nopen\nwrite\n");
	CHECK_STR(ask("SELECT w.obj FROM slice s JOIN wait w ON w.rowid = s.wait"), "1\n");
	CHECK_STR(ask("SELECT f.function, f.file, f.line FROM wait w JOIN frame f ON f.stack = "
		      "w.holder_stack WHERE f.level = 0"),
		"holder|b.c|9\n");
	CHECK_STR(ask("SELECT t.name, count(*) FROM syscall c JOIN thread t ON t.id = c.thread "
		      "GROUP BY 1 ORDER BY 1"),
		"main|2\nworker|1\n");
	CHECK_STR(ask("SELECT state, sum(dur) FROM slice GROUP BY state ORDER BY 1"),
		"file|900\nmutex|100\n");
}

static void test_refused(void)
{
	CHECK(strstr(ask("DELETE FROM thread"), "can only be read"));
	CHECK(strstr(ask("ATTACH 'x.db' AS y"), "can only be read"));
	CHECK(strstr(ask("CREATE TABLE q(a)"), "can only be read"));
	CHECK(strstr(ask("PRAGMA writable_schema=1"), "can only be read"));
	CHECK(strstr(ask("SELECT load_extension('x')"), "error"));
	CHECK(strstr(ask("SELECT nonesuch FROM syscall"), "no such column"));
	CHECK(strstr(ask("  "), "no statement"));
	CHECK(strstr(ask("SELEC 1"), "syntax error"));
	/* And the trace is still whole. */
	CHECK_STR(ask("SELECT count(*) FROM thread"), "2\n");
}

static void test_limit(void)
{
	sql_set_limit(sql, 50000000);
	CHECK(strstr(ask("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "
			 "max(i) FROM n"),
		"took longer"));
	CHECK_STR(ask("SELECT 1"), "1\n");
}

int main(void)
{
	setup();
	CASE(test_tables, "tables hold what the events said");
	CASE(test_bounds, "bounds of a query are exact");
	CASE(test_joins, "slices, waits, calls, stacks and threads join");
	CASE(test_refused, "nothing can be changed, and mistakes are said");
	CASE(test_limit, "a query ends at its limit");
	teardown();
	return CHECK_DONE();
}
