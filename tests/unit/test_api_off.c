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
	CHECK_INT(errno, 77);
}

int main(void)
{
	unsetenv("FLIGHTREC_DIR");
	CASE(ids_are_given_and_ends_ignored, "without a recorder everything is a harmless no-op");
	return CHECK_DONE();
}
