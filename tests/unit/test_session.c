/* SPDX-License-Identifier: MIT */
#include "recorder/session.h"

#include "check.h"

static struct session fresh(void)
{
	return (struct session){ 0 };
}

static void test_life(void)
{
	struct session session = fresh();
	uint64_t id = 0;

	CHECK_INT(session_begin(&session, SESSION_RUN, 100, &id), 0);
	CHECK_INT(id, 1);
	CHECK_INT(session.state, SESSION_STARTING);
	CHECK(!session_is_due(&session, 1000));
	CHECK_INT(session_started(&session, id, 1000), 0);
	CHECK(!session_is_due(&session, 1099));
	CHECK(session_is_due(&session, 1100));
	CHECK_INT(session.reason, SESSION_END_DURATION);
	CHECK_INT(session_ending(&session, id), 0);
	CHECK(!session_is_due(&session, 2000));
	CHECK_INT(session_finished(&session, id), 0);
	CHECK_INT(session.state, SESSION_IDLE);
}

static void test_one_at_a_time(void)
{
	struct session session = fresh();
	uint64_t id = 0, other = 77;

	CHECK_INT(session_begin(&session, SESSION_RUN, 0, &id), 0);
	CHECK_INT(session_begin(&session, SESSION_PPROF, 0, &other), SESSION_E_BUSY);
	session_started(&session, id, 1);
	CHECK_INT(session_begin(&session, SESSION_RUN, 0, &other), SESSION_E_BUSY);
	session_end(&session, id, SESSION_END_STOP);
	session_ending(&session, id);
	CHECK_INT(session_begin(&session, SESSION_RUN, 0, &other), SESSION_E_BUSY);
	session_finished(&session, id);
	CHECK_INT(other, 77);
	CHECK_INT(session_begin(&session, SESSION_RUN, 0, &other), 0);
	CHECK_INT(other, 2);
}

static void test_stale_end(void)
{
	struct session session = fresh();
	uint64_t first = 0, second = 0;

	session_begin(&session, SESSION_RUN, 100, &first);
	session_started(&session, first, 0);
	session_end(&session, first, SESSION_END_STOP);
	session_ending(&session, first);
	session_finished(&session, first);
	session_begin(&session, SESSION_RUN, 1000, &second);
	session_started(&session, second, 50);
	/* The first one's deadline, timer and client have no power over the second. */
	CHECK(!session_is_due(&session, 100));
	CHECK_INT(session_end(&session, first, SESSION_END_DISCONNECT), SESSION_E_STALE);
	CHECK_INT(session_finished(&session, first), SESSION_E_STALE);
	CHECK(!session_is_due(&session, 100));
	CHECK_INT(session.state, SESSION_RECORDING);
	CHECK(session_is_due(&session, 1050));
}

static void test_first_reason_counts(void)
{
	struct session session = fresh();
	uint64_t id = 0;

	session_begin(&session, SESSION_RUN, 100, &id);
	session_started(&session, id, 0);
	CHECK_INT(session_end(&session, id, SESSION_END_SIZE_CAP), 0);
	CHECK_INT(session_end(&session, id, SESSION_END_STOP), SESSION_E_ENDING);
	CHECK(session_is_due(&session, 500));
	CHECK_INT(session.reason, SESSION_END_SIZE_CAP);
}

static void test_end_while_starting(void)
{
	struct session session = fresh();
	uint64_t id = 0;

	session_begin(&session, SESSION_PPROF, 0, &id);
	CHECK_INT(session_end(&session, id, SESSION_END_EXIT), 0);
	CHECK(!session_is_due(&session, 1));
	session_started(&session, id, 1);
	CHECK(session_is_due(&session, 1));
	CHECK_INT(session.reason, SESSION_END_EXIT);
}

static void test_no_limit(void)
{
	struct session session = fresh();
	uint64_t id = 0;

	session_begin(&session, SESSION_TRACE, 0, &id);
	session_started(&session, id, 1);
	CHECK(!session_is_due(&session, UINT64_MAX));
}

static void test_failed_start(void)
{
	struct session session = fresh();
	uint64_t id = 0, next = 0;

	session_begin(&session, SESSION_RUN, 5, &id);
	CHECK_INT(session_finished(&session, id), 0);
	CHECK_INT(session_started(&session, id, 1), SESSION_E_STALE);
	CHECK_INT(session_begin(&session, SESSION_RUN, 5, &next), 0);
	CHECK(next != id);
}

static void test_idle(void)
{
	struct session session = fresh();

	CHECK_INT(session_end(&session, 0, SESSION_END_STOP), SESSION_E_STALE);
	CHECK_INT(session_ending(&session, 0), SESSION_E_STALE);
	CHECK_INT(session_finished(&session, 0), SESSION_E_STALE);
	CHECK(!session_is_due(&session, UINT64_MAX));
}

static void test_names(void)
{
	CHECK_STR(session_end_name(SESSION_END_DURATION), "duration");
	CHECK_STR(session_end_name(SESSION_END_STOP), "stop");
	CHECK_STR(session_end_name(SESSION_END_EXIT), "exit");
	CHECK_STR(session_end_name(SESSION_END_SIZE_CAP), "size_cap");
	CHECK_STR(session_end_name(SESSION_END_DISK_FULL), "disk_full");
	CHECK_STR(session_end_name(SESSION_END_DISCONNECT), "disconnect");
}

int main(void)
{
	CASE(test_life, "a recording starts, ends on time, is packed and over");
	CASE(test_one_at_a_time, "a second recording is refused until the first is over");
	CASE(test_stale_end, "timer, stop and client of one recording never end another");
	CASE(test_first_reason_counts, "the first reason to end counts");
	CASE(test_end_while_starting, "an end that comes during the start takes effect after it");
	CASE(test_no_limit, "a recording without a limit does not end by time");
	CASE(test_failed_start, "a failed start leaves the recorder free");
	CASE(test_idle, "an idle recorder has nothing to end");
	CASE(test_names, "reasons have the words of the schema");
	return CHECK_DONE();
}
