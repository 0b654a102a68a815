/* SPDX-License-Identifier: MIT */
/* Profiles of the scheduler and of CPU samples, on traces whose answers are known by hand. */
#include "derive_text.h"

/*
 * Thread 10: blocked 50 ms and queued 10 in a mutex, preempted 5, blocked 30 in no call, blocked 100 in a poll not over at the
 * end: on the CPU for 805 ms.
 */
#define RECORDS                                                                              \
	HEAD "0 10 state:thread start=500ms name=\"a,b\" state=poll since=1890ms stack=21\n" \
	     "1100ms 10 switch_out cpu=0\n"                                                  \
	     "1150ms 10 wakeup cpu=0 waker_tid=11\n"                                         \
	     "1160ms 10 switch_in cpu=1\n"                                                   \
	     "1170ms 10 wait stack=20 kind=mutex dur=80ms wake=22ms\n"                       \
	     "1300ms 10 switch_out cpu=1 is_preempted=1\n"                                   \
	     "1305ms 10 switch_in cpu=1\n"                                                   \
	     "1400ms 10 switch_out cpu=1\n"                                                  \
	     "1430ms 10 switch_in cpu=0\n"                                                   \
	     "1900ms 10 switch_out cpu=0\n"

#define SAMPLES                                                       \
	"0 0 state:receipt key=samples.hz value=20\n"                 \
	"1500ms 10 cpu:sample stack=20 weight=50ms labels=k=v,l=w\n"  \
	"1550ms 10 cpu:sample stack=20 weight=100ms labels=k=v,l=w\n" \
	"1600ms 10 cpu:sample stack=21 weight=50ms\n"

static void sched_is_the_run_queue(void)
{
	derive("sched", RECORDS);
	CHECK(why == NULL);
	CHECK_INT(back->n_sample, 2);
	CHECK_INT(value_of("waiter", 0), 1);
	CHECK_INT(value_of("waiter", 1), 10000000);
	CHECK_INT(value_of("[preempted]", 0), 1);
	CHECK_INT(value_of("[preempted]", 1), 5000000);
	CHECK_INT(back->n_comment, 0);
	end();
}

static void offcpu_is_blocked_time(void)
{
	derive("offcpu", RECORDS);
	CHECK_INT(value_of("waiter", 0), 1);
	CHECK_INT(value_of("waiter", 1), 50000000);
	CHECK_INT(value_of("other", 1), 100000000);
	CHECK_INT(value_of("[off CPU, outside of recorded calls]", 1), 30000000);
	CHECK_INT(profile_total(back, 1), 180000000);
	end();
}

/* Threads of the tracer itself are known by the kernel's records only. */
static void threads_that_are_not_the_programs_are_left_out(void)
{
	const char *text = RECORDS "1500ms 99 switch_out cpu=0\n1600ms 99 switch_in cpu=0\n";

	derive("offcpu", text);
	CHECK_INT(profile_total(back, 1), 180000000);
	end();
	derive("wall", text);
	CHECK_INT(profile_total(back, 1), 1000000000);
	end();
}

static void wall_sums_to_the_threads_presence(void)
{
	derive("wall", RECORDS SAMPLES);
	CHECK_INT(profile_total(back, 1), 1000000000);
	/* 60 off the CPU, and 3/4 of 805 on it. */
	CHECK_INT(value_of("waiter", 1), 60000000 + 603750000);
	CHECK_INT(value_of("other", 1), 100000000 + 201250000);
	CHECK_INT(value_of("[off CPU, outside of recorded calls]", 1), 35000000);
	CHECK_STR(profile_label_of(back, "waiter", "thread"), "a,b");
	end();
	derive("wall", RECORDS);
	CHECK_INT(value_of("[on CPU, not sampled]", 1), 805000000);
	CHECK_INT(profile_total(back, 1), 1000000000);
	end();
}

static void without_records_calls_count_whole(void)
{
	const char *text = HEAD "0 10 state:thread start=500ms cpu=300ms\n"
				"1100ms 10 call stack=20 call=poll dur=50ms\n"
				"1200ms 10 call stack=20 call=read dur=40ms\n"
				"1190ms 10 wait stack=21 kind=spin dur=10ms\n";

	derive("offcpu", text);
	CHECK_INT(value_of("waiter", 1), 90000000);
	CHECK_INT(value_of("other", 1), -1);
	CHECK_INT(back->n_comment, 1);
	end();
	derive("wall", text);
	CHECK_INT(profile_total(back, 1), 1000000000);
	CHECK_INT(value_of("[on CPU, not sampled]", 1), 300000000);
	CHECK_INT(value_of("[outside of recorded calls]", 1), 610000000);
	end();
}

static void sched_without_records_takes_what_is_known(void)
{
	derive("sched", HEAD "1100ms 10 wait stack=20 kind=mutex dur=50ms wake=3ms\n"
			     "1100ms 10 delay stack=20 dur=50ms interval=90ms delay=4ms cpu=1ms\n"
			     "1200ms 11 wait stack=21 kind=mutex dur=50ms wake=3ms\n");
	CHECK(why == NULL);
	CHECK_INT(value_of("waiter", 1), 4000000);
	CHECK_INT(value_of("other", 1), -1);
	CHECK_INT(back->n_comment, 1);
	end();
	derive("sched", HEAD "1100ms 10 wait stack=20 kind=mutex dur=50ms wake=3ms\n"
			     "1200ms 11 woken stack=21 call=read dur=50ms wake=2ms\n");
	CHECK(why == NULL);
	CHECK_INT(value_of("waiter", 1), 3000000);
	CHECK_INT(value_of("other", 1), 2000000);
	end();
	derive("sched", HEAD "0 0 state:receipt key=scheduling value=\"Perf was refused.\"\n"
			     "1100ms 10 wait stack=20 kind=mutex dur=50ms\n");
	CHECK(why && strstr(why, "Perf was refused."));
	end();
}

static void the_tracers_word_moves_time_between_them(void)
{
	const char *text = HEAD "0 11 state:thread start=500ms\n"
				"1300ms 11 switch_out cpu=0\n1400ms 11 switch_in cpu=0\n"
				"1410ms 11 call stack=20 call=read dur=120ms\n"
				"1410ms 11 woken stack=20 call=read dur=120ms waker=10 wake=30ms\n";

	derive("offcpu", text);
	CHECK_INT(value_of("waiter", 0), 1);
	CHECK_INT(value_of("waiter", 1), 80000000);
	end();
	derive("sched", text);
	CHECK_INT(value_of("waiter", 0), 1);
	CHECK_INT(value_of("waiter", 1), 20000000);
	end();
	derive("wall", text);
	CHECK_INT(value_of("waiter", 1), 100000000);
	CHECK_INT(profile_total(back, 1), 1000000000);
	end();
}

static void stays_are_cut_by_regions(void)
{
	const char *text = RECORDS "1155ms 10 region_end type=r dur=20ms\n" SAMPLES;
	struct filter_wish wish = { .region = "r" };

	derive_part("offcpu", text, &wish);
	CHECK_INT(profile_total(back, 1), 15000000); /* 1135 to 1150 */
	end();
	derive_part("sched", text, &wish);
	CHECK_INT(profile_total(back, 1), 5000000);
	end();
	derive_part("wall", text, &wish);
	CHECK_INT(profile_total(back, 1), 20000000);
	end();
}

static void cpu_has_gos_types_period_and_labels(void)
{
	derive("cpu", HEAD SAMPLES);
	CHECK_INT(back->n_sample_type, 2);
	CHECK_STR(profile_text(back, back->sample_type[0]->type), "samples");
	CHECK_STR(profile_text(back, back->sample_type[1]->type), "cpu");
	CHECK_INT(value_of("waiter", 0), 3); /* one signal stood for two ticks */
	CHECK_INT(value_of("waiter", 1), 150000000);
	CHECK_STR(profile_label_of(back, "waiter", "l"), "w");
	CHECK(profile_label_of(back, "other", "k") == NULL);
	CHECK_INT(back->period, 50000000);
	CHECK_STR(profile_text(back, back->period_type->type), "cpu");
	CHECK_INT(back->duration_nanos, 1000000000);
	end();
	derive_part("cpu", HEAD SAMPLES, &(struct filter_wish){ .label = "k=v" });
	CHECK_INT(back->n_sample, 1);
	CHECK_INT(value_of("waiter", 0), 3);
	end();
	derive("cpu", HEAD);
	CHECK(why && strstr(why, "--cpu-always"));
	end();
}

static void hostile_values_do_no_harm(void)
{
	const char *text =
		HEAD "0 10 state:thread start=0xffffffffffffffff since=0xfffffffffffffff0 state=9\n"
		     "1100ms 10 switch_in cpu=0xffffffff\n1000ms 10 switch_out cpu=0xffffffff\n"
		     "1100ms 10 delay dur=0xffffffffffffffff interval=0xffffffffffffffff "
		     "delay=0xffffffffffffffff\n"
		     "1100ms 10 woken dur=0xffffffffffffffff wake=0xffffffffffffffff call=60000\n"
		     "1100ms 10 wait kind=77 dur=0xffffffffffffffff wake=0xffffffffffffffff\n"
		     "1200ms 10 cpu:sample weight=0xffffffffffffffff labels=\"\\\\\\\\,,=\"\n"
		     "1200ms 11 switch_in cpu=4\n";

	for (size_t i = 0; derivations[i]; i++) {
		derive(derivations[i]->name, text);
		for (size_t j = 0; j < back->n_sample; j++)
			for (size_t k = 0; k < back->sample[j]->n_value; k++)
				CHECK(back->sample[j]->value[k] >= 0);
		end();
	}
}

int main(void)
{
	CASE(sched_is_the_run_queue, "sched: after a wakeup, and after preemption");
	CASE(offcpu_is_blocked_time, "offcpu: up to the wakeup, by the call; open ones too");
	CASE(threads_that_are_not_the_programs_are_left_out,
		"threads that only the kernel names are left out");
	CASE(wall_sums_to_the_threads_presence, "wall: samples scaled to what ran");
	CASE(without_records_calls_count_whole,
		"without records calls count whole, and it says so");
	CASE(sched_without_records_takes_what_is_known,
		"sched: delays, else wake-ups, else a sentence");
	CASE(the_tracers_word_moves_time_between_them, "woken makes blocked time runnable");
	CASE(stays_are_cut_by_regions, "filters cut stays");
	CASE(cpu_has_gos_types_period_and_labels, "cpu: Go's types, period, labels");
	CASE(hostile_values_do_no_harm, "hostile values neither crash nor turn negative");
	return CHECK_DONE();
}
