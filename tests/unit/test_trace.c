/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "fixture_trace.h"

static struct trace *trace;

static void run(const char *text)
{
	trace = trace_new();
	fixture_run(trace, text, NULL, 0);
}

static const char *site(uint32_t process, uint32_t id)
{
	return strings_get(
		trace->strings, stacks_site(&trace->stacks, trace_stack(trace, process, id)));
}

#define MODULES                                                             \
	"0 0 state:process pid=7 exe=/opt/app\n"                            \
	"0 0 state:module start=0x1000 end=0x2000 base=0x0 path=/opt/app\n" \
	"0 0 state:module start=0x5000 end=0x6000 base=0x4000 path=/lib/libc.so.6\n"

static void a_site_is_the_innermost_own_function(void)
{
	run(MODULES "0 0 state:stack id=20 frames=0x5010,0x1100,0x1200\n"
		    "0 0 state:symbol addr=0x5010 func=pthread_mutex_lock\n"
		    "0 0 state:symbol addr=0x1100 depth=1 func=outer file=/src/a.cc line=9\n"
		    "0 0 state:symbol addr=0x1100 depth=0 func=std::mutex::lock file=/usr/mutex "
		    "line=1\n"
		    "0 0 state:symbol addr=0x1200 func=main file=/src/a.cc line=20\n");
	CHECK_STR(site(0, 20), "outer (a.cc:9)");
	trace_free(trace);
}

static void a_nameless_frame_is_module_and_offset(void)
{
	run(MODULES "0 0 state:stack id=20 frames=0x1101,0x1200\n"
		    "0 0 state:stack id=21 frames=0x5010\n"
		    "0 0 state:stack id=22 frames=0x9001\n");
	CHECK_STR(site(0, 20), "app+0x1100");
	CHECK_STR(site(0, 21), "libc.so.6+0x100f");
	CHECK_STR(site(0, 22), "0x9000");
	CHECK_STR(site(0, 0), "[no stack]");
	CHECK_STR(site(0, 1), "[stack table full]");
	CHECK_STR(site(0, 4711), "[stack 4711 is not in the trace]");
	trace_free(trace);
}

static void definitions_may_come_in_any_order(void)
{
	run("0 0 state:symbol addr=0x1100 func=late\n"
	    "0 0 state:stack id=20 frames=0x1100\n" MODULES);
	CHECK_STR(site(0, 20), "late");
	trace_free(trace);
}

static void an_address_of_two_modules_is_unknown(void)
{
	run("0 0 state:process pid=7 exe=/opt/app\n"
	    "0 0 state:module start=0x1000 end=0x9000 base=0x0 load=1 unload=5 path=/opt/old.so\n"
	    "0 0 state:module start=0x2000 end=0x3000 base=0x0 load=6 path=/opt/new.so\n"
	    "0 0 state:module start=0xa000 end=0xb000 base=0x0 load=1 unload=5 path=/opt/back.so\n"
	    "0 0 state:module start=0xa000 end=0xb000 base=0x0 load=6 path=/opt/back.so\n"
	    "0 0 state:stack id=20 frames=0x2501\n"
	    "0 0 state:stack id=21 frames=0x4001\n"
	    "0 0 state:stack id=22 frames=0xa501\n");
	CHECK_STR(site(0, 20), "0x2500");
	CHECK_STR(site(0, 21), "old.so+0x4000");
	CHECK_STR(site(0, 22), "back.so+0xa500");
	trace_free(trace);
}

static void events_of_an_unknown_process_are_kept(void)
{
	run("1s 5 call proc=9 call=read dur=10\n"
	    "1s 6 start proc=8 name=worker\n"
	    "2s 6 process proc=8 pid=800 exe=/bin/x\n");
	CHECK_INT(trace->n_events, 3);
	CHECK_INT(trace->processes->len, 2);
	CHECK_INT(trace_process(trace, 0)->pid, 0);
	CHECK_INT(trace_process(trace, 0)->is_defined, 0);
	CHECK_INT(trace_process(trace, 1)->pid, 800);
	CHECK_STR(trace_thread_name(trace, trace_find_thread(trace, 1, 6, 2000000000)), "worker");
	CHECK_STR(trace_thread_name(trace, trace_find_thread(trace, 0, 5, 2000000000)), "unknown");
	trace_free(trace);
}

static void undefined_threads_with_one_tid_are_told_apart(void)
{
	run("1s 6 start name=first\n2s 6 exit cpu=1\n3s 6 start name=second\n4s 6 call "
	    "call=read\n");
	CHECK_INT(trace->threads->len, 2);
	CHECK_STR(trace_thread_name(trace, trace_find_thread(trace, 0, 6, 1500000000)), "first");
	CHECK_STR(trace_thread_name(trace, trace_find_thread(trace, 0, 6, 4000000000)), "second");
	trace_free(trace);
}

int main(void)
{
	CASE(a_site_is_the_innermost_own_function, "a site skips libc and inlined std:: functions");
	CASE(a_nameless_frame_is_module_and_offset, "what has no name is shown as what is known");
	CASE(definitions_may_come_in_any_order, "symbols, stacks and modules come in any order");
	CASE(an_address_of_two_modules_is_unknown,
		"an address that two modules held over time is unknown");
	CASE(events_of_an_unknown_process_are_kept, "events of a process without definition stay");
	CASE(undefined_threads_with_one_tid_are_told_apart,
		"exit and start part threads of one tid");
	return CHECK_DONE();
}
