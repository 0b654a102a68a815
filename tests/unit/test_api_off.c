/* SPDX-License-Identifier: MIT */
/* flightrec.h in a program that nobody traces: linked, and harmless. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "flightrec.h"

static void ids_are_given_and_ends_ignored(void)
{
	flightrec_task_t a, b;

	errno = 77;
	CHECK_INT(flightrec_is_enabled(), 0);
	a = flightrec_task_begin(0, "a");
	b = flightrec_task_begin(a, "b");
	CHECK(a != 0 && b != 0 && a != b);
	CHECK_INT(flightrec_task_enter(a), 0);
	CHECK_INT(flightrec_region_begin(a, "r"), 0);
	flightrec_region_end(0);
	flightrec_region_end(12345);
	flightrec_task_end(b);
	flightrec_task_end(b);
	flightrec_task_end(0);
	flightrec_log(a, "category", "message");
	flightrec_logf(a, "category", "%d%%", 5);
	flightrec_counter("depth", -3);
	CHECK_INT(flightrec_label_push("k", "v"), -1);
	flightrec_label_pop(-1);
	flightrec_label_pop(3);
	flightrec_thread_name("name");
	CHECK_INT(flightrec_trigger("reason"), -ENOTCONN);
	CHECK_INT(flightrec_trigger(NULL), -ENOTCONN);
	CHECK_INT(errno, 77);
}

static int never(void *argument, const char *key, const char *value)
{
	(void)argument;
	(void)key;
	(void)value;
	abort();
}

static void labels_and_allocations_are_ignored(void)
{
	char value[4] = "x";

	errno = 77;
	CHECK_INT(flightrec_labels_get(), 0);
	CHECK_INT(flightrec_labels_set(5), 0);
	flightrec_label_clear();
	CHECK_INT(flightrec_label_get("k", value, sizeof(value)), -1);
	CHECK_INT(flightrec_label_each(never, NULL), 0);
	flightrec_alloc(value, 1 << 30);
	flightrec_alloc(value, SIZE_MAX);
	flightrec_free(value);
	flightrec_free(NULL);
	CHECK_INT(errno, 77);
}

static void nobody_can_be_asked(void)
{
	errno = 0;
	CHECK(flightrec_profile_new("mine") == NULL);
	CHECK_INT(errno, ENOTCONN);
	errno = 77;
	CHECK(flightrec_profile_lookup("heap") == NULL);
	CHECK(flightrec_profile_next(NULL) == NULL);
	CHECK_INT(flightrec_profile_add(NULL, "key", 0), -ENOTCONN);
	flightrec_profile_remove(NULL, "key");
	CHECK_INT(flightrec_profile_count(NULL), 0);
	CHECK_STR(flightrec_profile_name(NULL), "");
	CHECK_INT(flightrec_profile_write("heap", 1, 0), -ENOTCONN);
	CHECK_INT(flightrec_heap_profile_write(1), -ENOTCONN);
	CHECK_INT(flightrec_cpu_profile_start(1, 0), -ENOTCONN);
	CHECK_INT(flightrec_cpu_profile_stop(), 0);
	CHECK_INT(flightrec_trace_start(1), -ENOTCONN);
	CHECK_INT(flightrec_trace_stop(), 0);
	CHECK_INT(flightrec_set_block_rate(1), -ENOTCONN);
	CHECK_INT(flightrec_set_mutex_fraction(-1), -ENOTCONN);
	CHECK_INT(flightrec_set_alloc_rate(1), -ENOTCONN);
	CHECK_INT(flightrec_recorder_is_enabled(), 0);
	CHECK_INT(flightrec_recorder_start(1000), -ENOTCONN);
	CHECK_INT(flightrec_recorder_stop(), -ENOTCONN);
	CHECK_INT(flightrec_recorder_snapshot(1), -ENOTCONN);
	CHECK_INT(errno, 77);
}

int main(void)
{
	unsetenv("FLIGHTREC_DIR");
	CASE(ids_are_given_and_ends_ignored, "without a recorder everything is a harmless no-op");
	CASE(labels_and_allocations_are_ignored, "labels and allocations are ignored");
	CASE(nobody_can_be_asked, "what needs a recorder says that there is none");
	return CHECK_DONE();
}
