/* SPDX-License-Identifier: MIT */
/* Profiles of waiting for each other, and the filters, on traces whose answers are known by hand. */
#include "derive_text.h"

/* Thread 30 holds a lock for 50 ms while 10 and 11 wait; 11 then waits for a byte that 10 writes. */
#define HELD                                                                                    \
	HEAD "0 0 state:stack id=22 frames=0x1300\n0 0 state:symbol addr=0x1300 func=letgo\n"   \
	     "0 0 state:stack id=23 frames=0x1400\n0 0 state:symbol addr=0x1400 func=writer\n"  \
	     "0 10 state:thread start=500ms name=ten\n"                                         \
	     "0 11 state:thread start=500ms name=eleven\n"                                      \
	     "1060ms 10 wait stack=20 kind=mutex obj=0x50 dur=49ms holder=30 holder_stack=22 "  \
	     "wake=1ms\n"                                                                       \
	     "1061ms 11 wait stack=21 kind=mutex obj=0x50 dur=48ms holder=30 holder_stack=22\n" \
	     "1100ms 10 wait stack=20 kind=cond obj=0x60 dur=5ms ret=110\n"                     \
	     "1200ms 10 wait stack=20 kind=cond obj=0x60 dur=7ms holder=11 holder_stack=21\n"   \
	     "1300ms 11 call stack=21 call=read fd=3 dur=20ms\n"                                \
	     "1300ms 11 woken stack=21 call=read fd=3 obj=7 dur=20ms waker=10 waker_stack=23 "  \
	     "wake=1ms\n"

static void waker_is_who_ended_all_waits(void)
{
	derive("waker", HELD);
	CHECK_INT(value_of("letgo", 0), 2);
	CHECK_INT(value_of("letgo", 1), 97000000);
	CHECK_INT(value_of("other", 1), 7000000);
	CHECK_INT(value_of("writer", 0), 1);
	CHECK_INT(value_of("writer", 1), 20000000);
	CHECK_INT(profile_total(back, 1), 124000000); /* the timeout woke nobody */
	CHECK_STR(profile_text(back, back->period_type->type), "contentions");
	end();
}

static void mutex_is_who_let_go_of_a_lock(void)
{
	derive("mutex", HELD);
	CHECK_INT(back->n_sample, 1);
	CHECK_INT(value_of("letgo", 0), 2);
	CHECK_INT(value_of("letgo", 1), 97000000);
	end();
}

static void block_is_who_waited(void)
{
	derive("block", HELD);
	CHECK_INT(value_of("waiter", 0), 3);
	CHECK_INT(value_of("waiter", 1), 61000000);
	CHECK_INT(value_of("other", 1), 48000000);
	CHECK_STR(profile_text(back, back->period_type->type), "contentions");
	end();
}

static void lock_names_the_lock(void)
{
	derive("lock", HELD);
	CHECK_INT(back->n_sample, 3);
	CHECK_STR(profile_label_of(back, "other", "lock"), "mutex 0x50");
	CHECK_INT(value_of("waiter", 0), 3);
	end();
}

static void a_thread_is_found_by_name_and_id(void)
{
	derive_part("block", HELD, &(struct filter_wish){ .thread = "el*" });
	CHECK_INT(back->n_sample, 1);
	CHECK_INT(value_of("other", 1), 48000000);
	end();
	derive_part("block", HELD, &(struct filter_wish){ .thread = "10" });
	CHECK_INT(value_of("waiter", 0), 3);
	CHECK_INT(value_of("other", 0), -1);
	end();
	derive_part("block", HELD, &(struct filter_wish){ .thread = "1" });
	CHECK_INT(back->n_sample, 0);
	end();
	derive_part("block", HELD, &(struct filter_wish){ .pid = 78 });
	CHECK_INT(back->n_sample, 0);
	end();
	derive_part("block", HELD, &(struct filter_wish){ .pid = 77 });
	CHECK_INT(back->n_sample, 2);
	end();
}

/*
 * Regions of thread 10: one from before the window to 1100 ms, one in task 5 from 1300 ms that never ends, and one of thread
 * 11. Each wait is 20 ms.
 */
#define REGIONS                                                        \
	HEAD "0 10 state:thread start=500ms name=ten labels=\"k=v\"\n" \
	     "1050ms 10 wait stack=20 obj=1 dur=20ms\n"                \
	     "1100ms 10 region_end type=load dur=300ms\n"              \
	     "1110ms 10 wait stack=20 obj=1 dur=20ms\n"                \
	     "1200ms 10 wait stack=20 obj=1 dur=20ms\n"                \
	     "1250ms 10 task_begin task=5 type=job\n"                  \
	     "1300ms 10 region_begin task=5 type=store\n"              \
	     "1310ms 10 wait stack=20 obj=1 dur=20ms\n"                \
	     "1400ms 10 wait stack=20 obj=1 dur=20ms\n"                \
	     "1500ms 11 region_begin type=load\n"                      \
	     "1520ms 11 wait stack=21 obj=1 dur=10ms\n"                \
	     "1530ms 11 region_end type=load dur=30ms\n"

static void only_time_inside_regions_counts(void)
{
	derive_part("block", REGIONS, &(struct filter_wish){ .region = "load" });
	CHECK_INT(value_of("waiter", 0), 2); /* one whole, one for the half that is inside */
	CHECK_INT(value_of("waiter", 1), 30000000);
	CHECK_INT(value_of("other", 1), 10000000);
	end();
	derive_part("block", REGIONS, &(struct filter_wish){ .region = "st*" });
	CHECK_INT(value_of("waiter", 0), 2);
	CHECK_INT(value_of("waiter", 1), 30000000);
	end();
	derive_part("block", REGIONS, &(struct filter_wish){ .region = "none" });
	CHECK_INT(back->n_sample, 0);
	end();
}

static void a_task_is_its_regions(void)
{
	derive_part("block", REGIONS, &(struct filter_wish){ .task = "job" });
	CHECK_INT(back->n_sample, 1);
	CHECK_INT(value_of("waiter", 1), 30000000);
	end();
	derive_part("block", REGIONS, &(struct filter_wish){ .task = "5", .region = "load" });
	CHECK_INT(back->n_sample, 0);
	end();
	derive_part("block",
		HEAD "1100ms 10 task_begin task=6 type=job\n"
		     "1110ms 10 wait stack=20 obj=1 dur=20ms\n"
		     "1200ms 10 task_end task=6\n"
		     "1300ms 10 wait stack=20 obj=1 dur=20ms\n",
		&(struct filter_wish){ .task = "6" });
	CHECK_INT(value_of("waiter", 1), 10000000);
	end();
}

static void labels_hold_while_they_are_set(void)
{
	const char *text = HEAD "0 11 state:thread start=500ms labels=k=v\n"
				"1100ms 10 wait stack=20 obj=1 dur=20ms\n"
				"1200ms 10 label labels=a=b,k=v\n"
				"1210ms 10 wait stack=20 obj=1 dur=20ms\n"
				"1300ms 10 label labels=a=b\n"
				"1400ms 10 wait stack=20 obj=1 dur=20ms\n"
				"1500ms 11 wait stack=21 obj=1 dur=30ms\n";

	derive_part("block", text, &(struct filter_wish){ .label = "k=v" });
	CHECK_INT(value_of("waiter", 0), 1);
	CHECK_INT(value_of("waiter", 1), 10000000);
	CHECK_INT(value_of("other", 1), 30000000);
	end();
	derive_part("block", text, &(struct filter_wish){ .label = "a" });
	CHECK_INT(value_of("waiter", 1), 30000000);
	CHECK_INT(value_of("other", 1), -1);
	end();
	derive_part("block", text, &(struct filter_wish){ .label = "k=other" });
	CHECK_INT(back->n_sample, 0);
	end();
}

static void allocations_are_filtered_and_their_frees_followed(void)
{
	derive_part("alloc",
		HEAD "0 10 state:thread start=500ms name=ten\n0 11 state:thread start=500ms\n"
		     "0 10 state:live addr=0x100 size=100 stack=20 time=1100ms\n"
		     "0 11 state:live addr=0x300 size=100 stack=21 time=1100ms\n"
		     "1100ms 10 sample stack=20 addr=0x100 size=100 rate=1\n"
		     "1100ms 10 sample stack=20 addr=0x200 size=100 rate=1\n"
		     "1100ms 11 sample stack=21 addr=0x300 size=100 rate=1\n"
		     "1200ms 11 free stack=20 addr=0x200 size=100\n",
		&(struct filter_wish){ .thread = "ten" });
	CHECK_INT(value_of("waiter", 0), 2);
	CHECK_INT(value_of("waiter", 2), 1);
	CHECK_INT(value_of("other", 0), -1);
	end();
}

static void heap_shows_what_is_in_use(void)
{
	derive("heap", HEAD "0 0 state:live addr=0x100 size=100 stack=20 time=900ms\n");
	CHECK_INT(back->default_sample_type, 0); /* the last one, space in use */
	CHECK_INT(value_of("waiter", 0), 0);
	CHECK(value_of("waiter", 2) > 0);
	end();
	derive("allocs", HEAD "1100ms 10 sample stack=20 addr=0x100 size=100 rate=1\n");
	CHECK_STR(profile_text(back, back->default_sample_type), "alloc_space");
	CHECK_INT(value_of("waiter", 1), 100);
	end();
}

int main(void)
{
	CASE(waker_is_who_ended_all_waits, "waker: locks and pipes, by who ended the wait");
	CASE(mutex_is_who_let_go_of_a_lock, "mutex: locks only, by who let go");
	CASE(block_is_who_waited, "block: by who waited");
	CASE(lock_names_the_lock, "lock: a label names it");
	CASE(a_thread_is_found_by_name_and_id, "filters: thread by glob and id, process by pid");
	CASE(only_time_inside_regions_counts, "filters: the part of a wait inside a region");
	CASE(a_task_is_its_regions, "filters: a task's regions, and who does it alone");
	CASE(labels_hold_while_they_are_set, "filters: labels from when to when they were set");
	CASE(allocations_are_filtered_and_their_frees_followed, "filters: allocations");
	CASE(heap_shows_what_is_in_use, "heap: shows what is in use");
	return CHECK_DONE();
}
