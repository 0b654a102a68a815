/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "fixture_trace.h"
#include "viewer/thread_state.h"

static struct trace *trace;
static struct thread_states *states;

static void run(const char *text)
{
	trace = trace_new();
	states = thread_states_new();
	struct trace_pass pass = thread_states_pass(states);
	fixture_run(trace, text, &pass, 1);
	thread_states_finish(states, trace);
}

static const struct thread_time *of(uint32_t tid)
{
	return thread_states_get(states, trace_find_thread(trace, 0, tid, UINT64_MAX / 2));
}

static void end(void)
{
	thread_states_free(states);
	trace_free(trace);
}

#define WINDOW                                                     \
	"0 0 state:receipt key=window.begin_ns value=1000000000\n" \
	"0 0 state:receipt key=window.end_ns value=2000000000\n"   \
	"0 0 state:process pid=77 start=500ms\n"

static void states_and_rest_sum_to_presence(void)
{
	run(WINDOW "0 10 state:thread start=500ms cpu=100ms\n"
		   "0 11 state:thread start=1200ms end=1700ms cpu=-1\n"
		   "1100ms 10 wait kind=mutex dur=50ms\n"
		   "1200ms 10 call call=poll dur=60ms\n"
		   "1300ms 10 call call=read dur=10ms\n"
		   "1400ms 11 call call=nanosleep dur=100ms\n");
	CHECK_INT(of(10)->present_ns, 1000000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_MUTEX], 50000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_POLL], 60000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_FILE], 10000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_RUNNING], 880000000);
	CHECK_INT(of(11)->present_ns, 500000000);
	CHECK_INT(of(11)->state_ns[FR_STATE_SLEEP], 100000000);
	CHECK_INT(of(11)->state_ns[FR_STATE_RUNNING], 400000000);
	end();
}

static void waits_are_clipped_to_the_window(void)
{
	run(WINDOW "0 10 state:thread start=500ms\n"
		   "1100ms 10 wait kind=cond dur=700ms\n"
		   "900ms 10 wait kind=sem dur=10ms\n"
		   "2300ms 10 wait kind=join dur=400ms\n");
	CHECK_INT(of(10)->state_ns[FR_STATE_COND], 100000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_SEM], 0);
	CHECK_INT(of(10)->state_ns[FR_STATE_JOIN], 100000000);
	CHECK_INT(trace->n_outside, 1);
	end();
}

static void nested_time_counts_once(void)
{
	run(WINDOW "0 10 state:thread start=500ms\n"
		   "1100ms 10 call call=write dur=10ms\n"
		   "1150ms 10 call call=syscall dur=20ms\n"
		   "1200ms 10 call call=poll dur=200ms\n"
		   "1210ms 10 call call=read dur=5ms\n");
	CHECK_INT(of(10)->state_ns[FR_STATE_FILE], 15000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_SYSCALL], 20000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_POLL], 170000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_RUNNING], 795000000);
	end();
}

static void many_nested_calls_stay_bounded(void)
{
	g_autoptr(GString) text = g_string_new(WINDOW "0 10 state:thread start=500ms\n");

	for (int i = 0; i < 100; i++)
		g_string_append_printf(text, "%dms 10 call call=write dur=1ms\n", 1100 + 2 * i);
	g_string_append(text, "1400ms 10 call call=poll dur=350ms\n");
	run(text->str);
	CHECK_INT(of(10)->state_ns[FR_STATE_FILE], 100000000);
	CHECK_INT(of(10)->state_ns[FR_STATE_POLL], 250000000);
	end();
}

static void open_waits_count_to_the_end(void)
{
	run(WINDOW "0 10 state:thread start=500ms state=mutex since=1400ms obj=0x10\n"
		   "0 11 state:thread start=500ms state=poll since=600ms\n");
	CHECK_INT(of(10)->state_ns[FR_STATE_MUTEX], 600000000);
	CHECK_INT(of(10)->open_ns, 600000000);
	CHECK_INT(of(11)->state_ns[FR_STATE_POLL], 1000000000);
	CHECK_INT(of(11)->state_ns[FR_STATE_RUNNING], 0);
	end();
}

static void a_reused_tid_is_two_threads(void)
{
	run(WINDOW "0 10 state:thread start=1000ms end=1300ms name=first\n"
		   "0 10 state:thread start=1500ms name=second\n"
		   "1200ms 10 call call=read dur=1ms\n"
		   "1700ms 10 call call=read dur=2ms\n");
	uint32_t first = trace_find_thread(trace, 0, 10, 1200000000);
	uint32_t second = trace_find_thread(trace, 0, 10, 1700000000);
	CHECK_STR(trace_thread_name(trace, first), "first");
	CHECK_STR(trace_thread_name(trace, second), "second");
	CHECK_INT(thread_states_get(states, first)->state_ns[FR_STATE_FILE], 1000000);
	CHECK_INT(thread_states_get(states, second)->state_ns[FR_STATE_FILE], 2000000);
	end();
}

int main(void)
{
	CASE(states_and_rest_sum_to_presence,
		"states and the rest add up to the thread's presence");
	CASE(waits_are_clipped_to_the_window, "only the part of a wait inside the window counts");
	CASE(nested_time_counts_once, "time of a call inside another counts once, for the inner");
	CASE(many_nested_calls_stay_bounded, "any number of nested calls counts once");
	CASE(open_waits_count_to_the_end, "a wait not over at the end counts up to it");
	CASE(a_reused_tid_is_two_threads, "threads that had the same tid in turn are told apart");
	return CHECK_DONE();
}
