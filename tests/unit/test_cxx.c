/* SPDX-License-Identifier: MIT */
/* C++: its allocations in the heap profile, and the scopes of flightrec.hpp. */
#include "check.h"
#include "cxx_cases.h"
#include "flightrec.h"
#include "traced_heap.h"

static void every_form_of_new_is_seen(void)
{
	unsigned long bytes;
	struct heap before, after;
	unsigned n;

	set_rate(1);
	before = heap_now();
	n = cxx_new(&bytes);
	after = since(&before);
	CHECK_INT(after.raw_live_n, n);
	CHECK_INT(after.raw_live_bytes, bytes);
	cxx_delete();
	after = since(&before);
	CHECK_INT(after.raw_n, n);
	CHECK_INT(after.raw_live_n, 0);
	CHECK_INT(after.raw_live_bytes, 0);
}

static void inside(void)
{
	char value[16] = "";

	CHECK_INT(flightrec_label_get("kind", value, sizeof(value)), 5);
	CHECK_STR(value, "outer");
	CHECK_INT(flightrec_profile_count(flightrec_profile_lookup("cxx")), 2);
}

static void outside(void)
{
	char value[16];

	CHECK_INT(flightrec_label_get("kind", value, sizeof(value)), -1);
	CHECK_INT(flightrec_profile_count(flightrec_profile_lookup("cxx")), 0);
}

static void scopes_end(void)
{
	cxx_scopes(inside, outside);
}

int main(int argc, char **argv)
{
	static const struct fr_control control = { .alloc_rate = 524288, .stack_depth = 64 };

	(void)argc;
	traced_start(argv, &control);
	CASE(every_form_of_new_is_seen, "every form of new and delete, aligned and sized");
	CASE(scopes_end, "what a scope began ends with it");
	return CHECK_DONE();
}
