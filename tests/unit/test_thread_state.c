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

/* All that the scheduler did to a thread, in ms. */
static void check_sched(uint32_t tid, uint64_t run_ms, uint64_t runnable_ms, uint64_t blocked_ms)
{
	const struct thread_time *time = of(tid);
	uint64_t blocked = 0;

	for (int i = 0; i < FR_STATE_N; i++)
		blocked += time->blocked_ns[i];
	CHECK_INT(time->run_ns, run_ms * 1000000);
	CHECK_INT(time->runnable_ns, runnable_ms * 1000000);
	CHECK_INT(blocked, blocked_ms * 1000000);
	CHECK_INT(time->run_ns + time->runnable_ns + blocked, time->present_ns);
}

static void records_tell_running_runnable_and_blocked(void)
{
	run(WINDOW "0 10 state:thread start=500ms state=poll since=1890ms cpu=805ms delay=15ms\n"
		   "1100ms 10 switch_out cpu=0\n"
		   "1150ms 10 wakeup cpu=0 waker_tid=11\n"
		   "1160ms 10 switch_in cpu=1\n"
		   "1170ms 10 wait kind=mutex dur=80ms\n"
		   "1300ms 10 switch_out cpu=1 is_preempted=1\n"
		   "1305ms 10 switch_in cpu=1\n"
		   "1400ms 10 switch_out cpu=1\n"
		   "1430ms 10 switch_in cpu=0\n"
		   "1900ms 10 switch_out cpu=0\n"
		   "2100ms 10 switch_in cpu=7\n");
	CHECK_INT(of(10)->blocked_ns[FR_STATE_MUTEX], 50000000);
	CHECK_INT(of(10)->blocked_ns[FR_STATE_RUNNING], 30000000);
	CHECK_INT(of(10)->blocked_ns[FR_STATE_POLL], 100000000);
	check_sched(10, 805, 15, 180);
	CHECK_INT(of(10)->state_ns[FR_STATE_MUTEX], 80000000);
	CHECK_INT(of(10)->sched, THREAD_SCHED_EXACT);
	CHECK_INT(of(10)->counts.n_voluntary, 3);
	CHECK_INT(of(10)->counts.n_involuntary, 1);
	CHECK_INT(of(10)->counts.n_cpus, 3);
	CHECK_INT(of(10)->counts.n_migrations, 2);
	end();
}

static void a_wait_from_before_the_window_keeps_its_switches(void)
{
	run(WINDOW "0 10 state:thread start=500ms\n"
		   "900ms 10 switch_out cpu=0\n1100ms 10 wakeup cpu=0\n1110ms 10 switch_in cpu=0\n"
		   "1120ms 10 wait kind=cond dur=250ms\n");
	CHECK_INT(of(10)->blocked_ns[FR_STATE_COND], 100000000);
	check_sched(10, 890, 10, 100);
	end();
}

/* The event was written 30 us after its duration was taken. */
static void a_late_stamp_does_not_lose_the_switch(void)
{
	run(WINDOW "0 10 state:thread start=500ms\n"
		   "1100ms 10 switch_out cpu=0\n1200ms 10 switch_in cpu=0\n"
		   "1200050us 10 call call=usleep dur=100020us\n");
	CHECK_INT(of(10)->blocked_ns[FR_STATE_SLEEP], 100000000);
	check_sched(10, 900, 0, 100);
	end();
}

static void nested_calls_divide_the_switches(void)
{
	run(WINDOW "0 10 state:thread start=500ms\n"
		   "1010ms 10 switch_in cpu=0\n"
		   "1100ms 10 switch_out cpu=0\n1110ms 10 switch_in cpu=0\n"
		   "1120ms 10 switch_out cpu=0\n1140ms 10 switch_in cpu=0\n"
		   "1145ms 10 call call=write dur=30ms\n"
		   "1150ms 10 switch_out cpu=0\n1190ms 10 switch_in cpu=0\n"
		   "1200ms 10 call call=poll dur=110ms\n");
	CHECK_INT(of(10)->blocked_ns[FR_STATE_FILE], 20000000);
	CHECK_INT(of(10)->blocked_ns[FR_STATE_POLL], 50000000);
	check_sched(10, 920, 0, 80); /* 10 ms before its first record, in no call */
	end();
}

/* Thread 11 was in its call, running, until it went off at some time before its first record. */
static void a_first_switch_in_belongs_to_the_call_it_ends(void)
{
	run(WINDOW "0 11 state:thread start=500ms\n"
		   "1010ms 12 switch_out cpu=0\n"
		   "1200ms 11 call call=read dur=1ms\n"
		   "1500ms 11 switch_in cpu=0\n"
		   "1510ms 11 call call=recv dur=210ms\n");
	CHECK_INT(of(11)->blocked_ns[FR_STATE_NET], 200000000);
	CHECK_INT(of(11)->blocked_ns[FR_STATE_FILE], 0);
	check_sched(11, 800, 0, 200);
	end();
}

static void who_let_in_tells_when_it_was_ready(void)
{
	run(WINDOW "0 10 state:thread start=500ms\n0 11 state:thread start=500ms\n"
		   "1100ms 10 switch_out cpu=0\n1200ms 10 switch_in cpu=0\n"
		   "1201ms 10 wait kind=mutex dur=110ms wake=41ms\n"
		   "1300ms 11 switch_out cpu=0\n1400ms 11 switch_in cpu=0\n"
		   "1410ms 11 call call=read dur=120ms\n"
		   "1410ms 11 woken call=read dur=120ms waker=10 wake=30ms\n");
	CHECK_INT(of(10)->blocked_ns[FR_STATE_MUTEX], 60000000);
	check_sched(10, 900, 40, 60);
	CHECK_INT(of(11)->blocked_ns[FR_STATE_FILE], 80000000);
	check_sched(11, 900, 20, 80);
	end();
}

/* Without wakeups, what the run queue took is known in sum only. */
static void totals_correct_the_records(void)
{
	run(WINDOW "0 10 state:thread start=500ms cpu=800ms delay=50ms\n"
		   "1100ms 10 switch_out cpu=0\n1250ms 10 switch_in cpu=0\n"
		   "1251ms 10 call call=recv dur=155ms\n"
		   "1300ms 10 switch_out cpu=0\n1350ms 10 switch_in cpu=0\n"
		   "1351ms 10 call call=poll dur=55ms\n");
	CHECK_INT(of(10)->blocked_ns[FR_STATE_NET], 112500000);
	CHECK_INT(of(10)->blocked_ns[FR_STATE_POLL], 37500000);
	check_sched(10, 800, 50, 150);
	end();
}

static void totals_alone_give_shares(void)
{
	run(WINDOW "0 10 state:thread start=500ms cpu=300ms delay=100ms slices=7 voluntary=5 "
		   "involuntary=2\n"
		   "0 11 state:thread start=500ms cpu=900ms delay=0\n"
		   "1500ms 10 call call=recv dur=300ms\n"
		   "1900ms 10 wait kind=cond dur=100ms\n"
		   "1900ms 11 call call=read dur=900ms\n");
	CHECK_INT(of(10)->sched, THREAD_SCHED_TOTALS);
	CHECK_INT(of(10)->blocked_ns[FR_STATE_NET], 300000000);
	CHECK_INT(of(10)->blocked_ns[FR_STATE_COND], 100000000);
	CHECK_INT(of(10)->blocked_ns[FR_STATE_RUNNING], 200000000);
	check_sched(10, 300, 100, 600);
	CHECK_INT(of(11)->blocked_ns[FR_STATE_FILE], 100000000);
	check_sched(11, 900, 0, 100);
	end();
}

static void a_lost_record_does_not_swallow_the_thread(void)
{
	run(WINDOW "0 10 state:thread start=500ms\n"
		   "1100ms 10 switch_out cpu=0\n"
		   "1200ms 10 call call=recv dur=110ms\n" /* it came back, unseen */
		   "1400ms 10 switch_in cpu=0\n"
		   "1500ms 10 switch_in cpu=0\n"
		   "1600ms 10 switch_out cpu=0\n1700ms 10 switch_out cpu=0\n"
		   "1800ms 10 switch_in cpu=0\n");
	CHECK_INT(of(10)->counts.n_missing, 4);
	CHECK_INT(of(10)->blocked_ns[FR_STATE_NET], 100000000);
	check_sched(10, 700, 0, 300);
	end();
}

static void any_number_of_switches_stays_bounded(void)
{
	g_autoptr(GString) text = g_string_new(WINDOW "0 10 state:thread start=500ms\n");

	for (int i = 0; i < 20000; i++)
		g_string_append_printf(text,
			"%dus 10 switch_out cpu=0 is_preempted=1\n%dus 10 switch_in cpu=0\n",
			1000000 + 40 * i, 1000010 + 40 * i);
	run(text->str);
	check_sched(10, 800, 200, 0);
	end();
}

static void processes_that_are_not_traced_are_left_out(void)
{
	run(WINDOW "0 10 state:thread start=500ms\n"
		   "1100ms 99 switch_out proc=0 cpu=0\n1200ms 99 switch_in proc=0 cpu=0\n");
	CHECK_INT(trace->processes->len, 1);
	CHECK_INT(trace->n_untraced, 2);
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
	CASE(records_tell_running_runnable_and_blocked,
		"switches, wakeups and calls make running, runnable and blocked");
	CASE(a_wait_from_before_the_window_keeps_its_switches,
		"a wait that began before the window keeps its switches");
	CASE(a_late_stamp_does_not_lose_the_switch,
		"a switch just before the call is said to begin is the call's");
	CASE(nested_calls_divide_the_switches, "a switch belongs to the innermost call");
	CASE(a_first_switch_in_belongs_to_the_call_it_ends,
		"a switch-in without its switch-out begins with the call");
	CASE(who_let_in_tells_when_it_was_ready,
		"without a wakeup's record the tracer's own word splits a wait");
	CASE(totals_correct_the_records, "the kernel's delay is taken off the blocked time");
	CASE(totals_alone_give_shares, "totals without records still sum to the presence");
	CASE(a_lost_record_does_not_swallow_the_thread, "events prove a thread to run");
	CASE(any_number_of_switches_stays_bounded, "stays are joined when they become many");
	CASE(processes_that_are_not_traced_are_left_out, "records of other processes are left out");
	return CHECK_DONE();
}
