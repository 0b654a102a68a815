/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "fixture_trace.h"
#include "derive_text.h"

#define CALLS                                                            \
	HEAD "1100ms 10 wait stack=20 kind=mutex obj=1 dur=10ms\n"       \
	     "1200ms 10 wait stack=20 kind=cond obj=2 dur=20ms\n"        \
	     "1050ms 11 wait stack=21 kind=join obj=3 dur=500ms\n"       \
	     "1300ms 10 call stack=20 call=recv ret=1 dur=3ms\n"         \
	     "1310ms 10 call stack=20 call=epoll_wait ret=1 dur=4ms\n"   \
	     "1320ms 10 call stack=20 call=epoll_wait ret=0 dur=0\n"     \
	     "1400ms 10 call stack=21 call=read ret=1 dur=5ms\n"         \
	     "1410ms 10 path stack=21 call=open ret=1 dur=6ms path=/x\n" \
	     "1500ms 10 call stack=21 call=nanosleep ret=0 dur=50ms\n"

static void sync_is_lock_waits(void)
{
	derive("sync", CALLS);
	CHECK_INT(back->n_sample, 2);
	CHECK_INT(value_of("waiter", 0), 2);
	CHECK_INT(value_of("waiter", 1), 30000000);
	CHECK_INT(value_of("other", 1), 50000000); /* clipped to the window */
	CHECK_STR(profile_text(back, back->period_type->type), "trace");
	CHECK_INT(back->time_nanos, 1001000000000);
	CHECK_INT(back->duration_nanos, 0);
	end();
}

static void net_is_waiting_for_the_network(void)
{
	derive("net", CALLS);
	CHECK_INT(back->n_sample, 1);
	CHECK_INT(value_of("waiter", 0), 2);
	CHECK_INT(value_of("waiter", 1), 7000000);
	end();
}

static void syscall_is_the_rest_without_sleep(void)
{
	derive("syscall", CALLS);
	CHECK_INT(back->n_sample, 1);
	CHECK_INT(value_of("other", 0), 2);
	CHECK_INT(value_of("other", 1), 11000000);
	end();
}

static void the_program_is_the_first_mapping(void)
{
	derive("sync", CALLS);
	CHECK_INT(back->n_mapping, 2);
	CHECK_STR(profile_text(back, back->mapping[0]->filename), "/opt/app");
	CHECK_STR(profile_text(back, back->mapping[0]->build_id), "11");
	CHECK(back->mapping[0]->has_functions);
	CHECK(!back->mapping[1]->has_functions); /* 0x510 has no name */
	end();
}

static void addresses_are_inside_the_call(void)
{
	derive("sync", CALLS);
	CHECK_INT(back->location[0]->address, 0x10ff);
	CHECK_INT(back->location[0]->mapping_id, 1);
	const Perftools__Profiles__Function *function =
		back->function[back->location[0]->line[0]->function_id - 1];
	CHECK_STR(profile_text(back, function->system_name), "_Z6waiterv");
	end();
}

static void alloc_scales_and_labels(void)
{
	derive("alloc", HEAD "0 0 state:live addr=0x100 size=416 stack=20\n"
			     "1100ms 10 sample stack=20 addr=0x100 size=416 rate=524288\n"
			     "1100ms 10 sample stack=21 addr=0x200 size=80 rate=524288\n"
			     "1200ms 10 free stack=21 addr=0x200 size=80\n");
	CHECK_INT(back->n_sample_type, 4);
	CHECK_INT(value_of("waiter", 0), 1260);
	CHECK_INT(value_of("waiter", 1), 524496);
	CHECK_INT(value_of("waiter", 3), 524496);
	CHECK_INT(value_of("other", 0), 6554);
	CHECK_INT(value_of("other", 1), 524328);
	CHECK_INT(value_of("other", 2), 0);
	CHECK_STR(profile_text(back, back->period_type->type), "space");
	CHECK_INT(back->period, 524288);
	CHECK_STR(profile_text(back, back->sample[0]->label[0]->key), "bytes");
	CHECK_INT(back->sample[0]->label[0]->num, 416);
	end();
}

/* Process 2 runs the same program elsewhere; process 3 another one where process 1 has its own. */
#define PROCESSES                                                                              \
	HEAD "0 0 state:process proc=2 pid=78 exe=/opt/app\n"                                  \
	     "0 0 state:module proc=2 start=0x7000 end=0x8000 path=/opt/app build_id=11\n"     \
	     "0 0 state:stack proc=2 id=20 frames=0x7100\n"                                    \
	     "0 0 state:symbol proc=2 addr=0x7100 func=waiter system_name=_Z6waiterv\n"        \
	     "0 0 state:process proc=3 pid=79 exe=/opt/foreign\n"                              \
	     "0 0 state:module proc=3 start=0x1000 end=0x2000 path=/opt/foreign build_id=33\n" \
	     "0 0 state:stack proc=3 id=20 frames=0x1100\n"                                    \
	     "0 0 state:symbol proc=3 addr=0x1100 func=foreign\n"                              \
	     "0 0 state:stack proc=3 id=21 frames=0x9999\n"                                    \
	     "0 0 state:stack proc=2 id=21 frames=0x9999\n"                                    \
	     "1100ms 10 wait stack=20 obj=1 dur=90ms\n"                                        \
	     "1100ms 20 wait proc=2 stack=20 obj=1 dur=20ms\n"                                 \
	     "1100ms 30 wait proc=3 stack=20 obj=1 dur=10ms\n"                                 \
	     "1100ms 30 wait proc=3 stack=21 obj=1 dur=1ms\n"                                  \
	     "1100ms 30 wait proc=2 stack=21 obj=1 dur=1ms\n"

static void addresses_of_processes_do_not_mix(void)
{
	derive("sync", PROCESSES);
	CHECK_STR(profile_text(back, back->mapping[0]->filename), "/opt/app");
	CHECK_INT(value_of("waiter", 1), 110000000);
	CHECK_INT(value_of("foreign", 1), 10000000);
	size_t n_app = 0;
	for (size_t i = 0; i < back->n_mapping; i++)
		n_app += strcmp(profile_text(back, back->mapping[i]->filename), "/opt/app") == 0;
	CHECK_INT(n_app, 1);
	/* waiter (both), its caller, foreign, and 0x9999 of either process. */
	CHECK_INT(back->n_location, 5);
	for (size_t i = 0; i < back->n_location; i++) {
		CHECK(back->location[i]->address != 0);
		for (size_t j = 0; j < i; j++)
			CHECK(back->location[i]->address != back->location[j]->address);
	}
	for (size_t i = 0; i < back->n_location; i++) {
		const Perftools__Profiles__Location *at = back->location[i];
		if (at->mapping_id)
			CHECK(at->address >= back->mapping[at->mapping_id - 1]->memory_start &&
				at->address < back->mapping[at->mapping_id - 1]->memory_limit);
	}
	for (size_t i = 0; i < back->n_sample; i++)
		CHECK_STR(profile_text(back, back->sample[i]->label[0]->key), "pid");
	end();
}

static void waits_without_a_stack_are_not_dropped(void)
{
	derive("sync", HEAD "1100ms 10 wait obj=1 dur=1ms\n1200ms 10 wait stack=1 obj=1 dur=2ms\n");
	CHECK_INT(value_of("[no stack]", 1), 1000000);
	CHECK_INT(value_of("[stack table full]", 1), 2000000);
	CHECK(back->location[0]->address != back->location[1]->address);
	end();
}

static void an_unknown_type_is_unknown(void)
{
	CHECK(derive_find("goroutine") == NULL);
	CHECK(derive_find("") == NULL);
	CHECK(derive_find("sync") == &derive_sync);
}

int main(void)
{
	CASE(sync_is_lock_waits, "sync: all lock waits, clipped to the window, by waiter");
	CASE(net_is_waiting_for_the_network,
		"net: calls that wait for the network, not empty ones");
	CASE(syscall_is_the_rest_without_sleep, "syscall: all other calls without sleeping");
	CASE(the_program_is_the_first_mapping, "the program is mapping 1, names said truthfully");
	CASE(addresses_are_inside_the_call, "addresses are return addresses minus 1");
	CASE(alloc_scales_and_labels, "alloc: scaled as Go scales, labelled with the size");
	CASE(addresses_of_processes_do_not_mix, "several processes: one address, one place");
	CASE(waits_without_a_stack_are_not_dropped,
		"values without a stack keep a bracketed frame");
	CASE(an_unknown_type_is_unknown, "only known names name a derivation");
	return CHECK_DONE();
}
