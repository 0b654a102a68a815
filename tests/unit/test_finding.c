/* SPDX-License-Identifier: MIT */
/* Each rule on a small story that it must speak of, and on a healthy twin of which it must not. */
#include "viewer/finding.h"

#include "check.h"
#include "index_fixture.h"

/* A window from 1 s to 2 s; stacks 20 waiter, 21 unlocker, 22 unlocker's call, 23 creator, 24 fib nine times. */
#define HEAD                                                                                    \
	"0 0 state:receipt key=window.begin_ns value=1000000000\n"                              \
	"0 0 state:receipt key=window.end_ns value=2000000000\n"                                \
	"0 0 state:process pid=77 start=500ms exe=/opt/app\n"                                   \
	"0 0 state:module start=0x1000 end=0x9000 path=/opt/app build_id=11\n"                  \
	"0 0 state:stack id=20 frames=0x1100,0x1700\n"                                          \
	"0 0 state:symbol addr=0x1100 func=waiter\n"                                            \
	"0 0 state:stack id=21 frames=0x1200,0x1700\n"                                          \
	"0 0 state:symbol addr=0x1200 func=holder\n"                                            \
	"0 0 state:stack id=22 frames=0x1300,0x1208,0x1700\n"                                   \
	"0 0 state:symbol addr=0x1208 func=holder\n"                                            \
	"0 0 state:symbol addr=0x1300 func=journal\n"                                           \
	"0 0 state:stack id=23 frames=0x1400\n"                                                 \
	"0 0 state:symbol addr=0x1400 func=submit\n"                                            \
	"0 0 state:stack id=24 frames=0x1500,0x1500,0x1500,0x1500,0x1500,0x1500,0x1500,0x1500," \
	"0x1500\n"                                                                              \
	"0 0 state:symbol addr=0x1500 func=fib\n"                                               \
	"0 0 state:stack id=25 frames=0x1500\n"                                                 \
	"0 0 state:stack id=26 frames=0x1600,0x1700\n"                                          \
	"0 0 state:symbol addr=0x1600 func=serve\n"                                             \
	"0 0 state:symbol addr=0x1700 func=main\n"
#define THREADS                                      \
	"0 10 state:thread start=600ms name=alice\n" \
	"0 11 state:thread start=600ms name=bob\n"   \
	"0 12 state:thread start=600ms name=carol\n"

static struct trace *trace;
static struct index *indexed;
static struct findings *findings;

static void find(const char *definitions, const char *events)
{
	g_autofree char *head = g_strconcat(HEAD, definitions, NULL);

	trace = trace_new();
	fixture_define(trace, head);
	trace->begin_ns = 1000000000;
	trace->end_ns = 2000000000;
	indexed = index_fixture(trace, events, 0);
	CHECK(indexed != NULL);
	findings = findings_new(indexed);
}

static void end(void)
{
	findings_free(findings);
	index_free(indexed);
	trace_free(trace);
}

static const struct finding *of(const char *rule)
{
	for (guint i = 0; i < findings->list->len; i++) {
		const struct finding *finding = &g_array_index(findings->list, struct finding, i);

		if (g_str_equal(finding->rule, rule))
			return finding;
	}
	return NULL;
}

/* The rule speaks, so severely, and of these words. */
static void check_says(
	const char *rule, enum finding_severity severity, const char *a, const char *b)
{
	const struct finding *finding = of(rule);

	CHECK(finding != NULL);
	if (!finding)
		return;
	CHECK_INT(finding->severity, severity);
	CHECK(strstr(finding->title, a) || strstr(finding->text, a));
	CHECK(strstr(finding->text, b) != NULL);
	if (!strstr(finding->text, b))
		printf("# %s: %s\n", rule, finding->text);
}

static void test_lock(void)
{
	find(THREADS,
		"1500ms 11 call stack=22 call=fdatasync fd=5 ret=0 dur=390ms\n"
		"1510ms 10 wait stack=20 kind=mutex obj=0xa dur=400ms holder=11 holder_stack=21\n"
		"1520ms 12 wait stack=20 kind=mutex obj=0xa dur=10ms holder=10 holder_stack=20\n");
	check_says(
		"contended-lock", FINDING_HIGH, "waiter", "bob (11), for one, held it at holder");
	check_says("contended-lock", FINDING_HIGH, "mutex", "41 % of the window");
	check_says("blocking-under-lock", FINDING_HIGH, "fdatasync", "journal");
	CHECK(of("convoy") == NULL);
	CHECK(of("lock-order") == NULL);
	end();
	/* The same call before the lock was taken: its stack has nothing of who let go. */
	find(THREADS,
		"1500ms 11 call stack=26 call=fdatasync fd=5 ret=0 dur=390ms\n"
		"1510ms 10 wait stack=20 kind=mutex obj=0xa dur=5ms holder=11 holder_stack=21\n"
		"1600ms 10 wait stack=20 kind=cond obj=0xb dur=600ms holder=11 holder_stack=21\n");
	CHECK(of("contended-lock") == NULL);
	CHECK(of("blocking-under-lock") == NULL);
	end();
}

static void test_convoy(void)
{
	g_autoptr(GString) text = g_string_new(NULL);

	/* Five in line, always. */
	for (int i = 0; i < 100; i++)
		g_string_append_printf(text,
			"%dms %d wait stack=20 kind=mutex obj=0xa dur=50ms holder=11 "
			"holder_stack=21\n",
			1050 + 9 * i, 10 + i % 3);
	find(THREADS, text->str);
	check_says("convoy", FINDING_MEDIUM, "waiter", "up to 6 waited");
	end();
	/* One at a time. */
	g_string_truncate(text, 0);
	for (int i = 0; i < 100; i++)
		g_string_append_printf(text,
			"%dms %d wait stack=20 kind=mutex obj=0xa dur=4ms holder=11 "
			"holder_stack=21\n",
			1050 + 9 * i, 10 + i % 3);
	find(THREADS, text->str);
	CHECK(of("contended-lock") != NULL);
	CHECK(of("convoy") == NULL);
	end();
}

static void test_order(void)
{
	/* bob waits for B with A held, and carol for A with B held. */
#define AB                                                                                \
	"1300ms 11 wait stack=22 kind=mutex obj=0xb dur=50ms holder=12 holder_stack=21\n" \
	"1310ms 10 wait stack=20 kind=mutex obj=0xa dur=100ms holder=11 holder_stack=21\n"
	find(THREADS, AB
		"1500ms 12 wait stack=22 kind=mutex obj=0xa dur=50ms holder=11 holder_stack=21\n"
		"1510ms 10 wait stack=20 kind=mutex obj=0xb dur=100ms holder=12 holder_stack=21\n");
	check_says("lock-order", FINDING_MEDIUM, "both orders", "0xa");
	end();
	find(THREADS, AB);
	CHECK(of("contended-lock") != NULL);
	CHECK(of("lock-order") == NULL);
	end();
}

static void test_deadlock(void)
{
#define STUCK(tid, name, object, other)                                                         \
	"0 " tid " state:thread start=600ms name=" name " state=mutex since=1500ms obj=" object \
	" holder=" other " stack=20\n"
	find(STUCK("10", "alice", "0xb", "11") STUCK("11", "bob", "0xa", "10")
			STUCK("12", "carol", "0xa", "10"),
		"1200ms 10 name name=alice\n");
	check_says("deadlock", FINDING_HIGH, "2 threads wait for each other in waiter",
		"nor can 1 other");
	end();
	/* A chain ends. */
	find(STUCK("10", "alice", "0xb", "11") STUCK(
		     "11", "bob", "0xa", "12") "0 12 state:thread start=600ms name=carol\n",
		"1200ms 10 name name=alice\n");
	CHECK(of("deadlock") == NULL);
	end();
}

static void test_calls(void)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (int i = 0; i < 20; i++)
		g_string_append_printf(text,
			"%dms 10 call stack=26 call=recv fd=7 ret=10 dur=1ms\n"
			"%dms 10 call stack=22 call=fsync fd=5 ret=0 dur=15ms\n"
			"%dms 11 call stack=20 call=fsync fd=5 ret=0 dur=15ms\n",
			1010 + 40 * i, 1030 + 40 * i, 1031 + 40 * i);
	find(THREADS, text->str);
	check_says("fsync-on-request", FINDING_HIGH, "journal", "20 times");
	/* bob serves nobody. */
	for (guint i = 0; i < findings->list->len; i++)
		CHECK(!strstr(
			g_array_index(findings->list, struct finding, i).text, "fsync at waiter"));
	end();
	g_string_truncate(text, 0);
	for (int i = 0; i < 3000; i++)
		g_string_append_printf(text,
			"%dus 10 call stack=20 call=read fd=5 ret=1 dur=1us\n"
			"%dus 11 call stack=22 call=read fd=6 ret=-11 dur=1us\n"
			"%dus 12 call stack=26 call=read fd=8 ret=4096 dur=1us\n",
			1000010 + 300 * i, 1000011 + 300 * i, 1000012 + 300 * i);
	find(THREADS, text->str);
	check_says("tiny-calls", FINDING_LOW, "waiter", "3000 times a second");
	check_says("failing-calls", FINDING_LOW, "journal", "100 %");
	CHECK_INT(findings->list->len, 2);
	end();
}

static void add_worker(GString *text, int tid, int start_ms)
{
	g_string_append_printf(text,
		"0 %d state:thread start=%dms creator=10 creator_stack=23 name=w state=cond "
		"since=%dms obj=0xc stack=20\n",
		tid, start_ms, start_ms + 1);
}

static void test_threads(void)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (int i = 0; i < 25; i++)
		add_worker(text, 100 + i, 1010 + 30 * i);
	find(text->str, "1200ms 100 name name=w\n");
	check_says("sleeping-workers", FINDING_HIGH, "waiter", "submit");
	end();
	/* A pool is made at once. */
	g_string_truncate(text, 0);
	for (int i = 0; i < 25; i++)
		add_worker(text, 100 + i, 1010 + i);
	find(text->str, "1200ms 100 name name=w\n");
	CHECK_INT(findings->list->len, 0);
	end();
	g_string_truncate(text, 0);
	for (int i = 0; i < 60; i++)
		g_string_append_printf(text,
			"0 %d state:thread start=%dms end=%dms creator=10 creator_stack=23 "
			"name=s\n",
			100 + i, 1010 + i, 1020 + i);
	find(text->str, "1200ms 100 name name=w\n");
	check_says("thread-churn", FINDING_MEDIUM, "submit", "60 threads");
	end();
}

static void test_heap(void)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (int i = 0; i < 40; i++)
		g_string_append_printf(text,
			"%dms 10 sample stack=20 kind=malloc addr=%d size=100000 rate=1\n"
			"%dms 10 sample stack=22 kind=malloc addr=%d size=100000 rate=1\n"
			"%dms 10 free stack=22 addr=%d size=100000 age=1ms\n",
			1010 + 20 * i, 1000 + i, 1010 + 20 * i, 2000 + i, 1011 + 20 * i, 2000 + i);
	find(THREADS, text->str);
	check_says("leak", FINDING_MEDIUM, "waiter", "3.81 MiB");
	CHECK_INT(findings->list->len, 1);
	end();
}

static void test_cpu(void)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (int i = 0; i < 60; i++)
		g_string_append_printf(
			text, "%dms 10 cpu:sample stack=24 weight=10000000\n", 1010 + 10 * i);
	find(THREADS, text->str);
	check_says("recursion", FINDING_MEDIUM, "fib calls itself", "9 times");
	end();
	for (char *at = text->str; (at = strstr(at, "stack=24"));)
		memcpy(at, "stack=25", 8);
	find(THREADS, text->str);
	CHECK(of("recursion") == NULL);
	check_says("cpu", FINDING_LOW, "fib", "60 % of one CPU");
	end();
	find("0 10 state:thread start=600ms name=alice cpu=300000000 delay=200000000\n",
		"1200ms 10 name name=a\n");
	check_says("runnable-wait", FINDING_MEDIUM, "processor", "40 %");
	end();
	find("0 10 state:thread start=600ms name=alice cpu=300000000 delay=20000000\n",
		"1200ms 10 name name=a\n");
	CHECK_INT(findings->list->len, 0);
	end();
}

static void test_end(void)
{
	find(THREADS "1900ms 10 state:crash signal=11 addr=0x8 stack=20\n",
		"1200ms 10 name name=a\n");
	check_says("crash", FINDING_HIGH, "waiter", "signal 11");
	CHECK_INT(of("crash")->time_ns, 900000000);
	end();
}

static void test_json(void)
{
	json_t *list;

	find(STUCK("10", "alice", "0xb", "11") STUCK("11", "bob", "0xa", "10"),
		"1200ms 10 name name=alice\n");
	list = findings_json(findings);
	CHECK_INT(json_array_size(list), 1);
	CHECK_STR(json_string_value(json_object_get(json_array_get(list, 0), "severity")), "high");
	CHECK_INT(json_integer_value(json_object_get(json_array_get(list, 0), "time")), 500000000);
	CHECK_STR(json_string_value(json_object_get(json_array_get(list, 0), "site")), "waiter");
	json_decref(list);
	end();
}

int main(void)
{
	CASE(test_lock, "a contended lock, and what was done under it");
	CASE(test_convoy, "threads in line");
	CASE(test_order, "two locks in both orders");
	CASE(test_deadlock, "threads that wait in a circle");
	CASE(test_calls, "fsync for requests, small calls, failing calls");
	CASE(test_threads, "workers that pile up, threads of short life");
	CASE(test_heap, "memory that grows");
	CASE(test_cpu, "recursion, CPU time, too few cores");
	CASE(test_end, "a crash");
	CASE(test_json, "findings as JSON");
	return CHECK_DONE();
}
