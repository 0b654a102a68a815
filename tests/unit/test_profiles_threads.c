/* SPDX-License-Identifier: MIT */
/* Thread profiles: of a process that died, and of one that runs and is asked. */
#include "profiles_fixture.h"

static void threads_are_where_they_died(void)
{
	g_autofree char *text = NULL, *dump = NULL;
	struct fr_slot *slot;
	const Sample *sample;
	Profile *profile;

	begin(DEAD_PID);
	add_thread(11, "main", FR_STATE_JOIN, stack(&file, 0x20011));
	slot = add_thread(12, "worker", FR_STATE_COND, stack(&file, 0x20021));
	strcpy(slot->labels, "tier=gold,job=7,empty=");
	slot = add_thread(13, "worker", FR_STATE_COND, stack(&file, 0x20021));
	strcpy(slot->labels, "job=7,tier=gold");
	add_thread(14, "busy", FR_STATE_RUNNING, FR_STACK_NONE);
	add_thread(15, "gone", FR_STATE_SLEEP, stack(&file, 0x20031))->is_exited = 1;
	add_thread(16, "full", FR_STATE_SLEEP, FR_STACK_OVERFLOW);
	profile = take("goroutine");
	CHECK_INT(profile->n_sample, 4);
	CHECK_STR(profile_text(profile, profile->sample_type[0]->type), "goroutine");
	sample = sample_at(profile, 0x20020);
	CHECK_INT(sample->value[0], 2);
	CHECK_INT(sample->n_label, 2);
	CHECK_STR(label_of(profile, sample, "tier"), "gold");
	CHECK_STR(label_of(profile, sample, "job"), "7");
	CHECK(pseudo(profile, "[running at the end]") != NULL);
	CHECK(pseudo(profile, "[stack table full]") != NULL);
	drop(profile);
	profile = take("thread");
	CHECK_STR(profile_text(profile, profile->sample_type[0]->type), "thread");
	drop(profile);
	text = take_text("goroutine", 1);
	CHECK(strstr(text, "goroutine profile: total 5\n"
			   "2 @ 0x20021 0x10100 0x10200\n"
			   "# labels: {\"job\":\"7\", \"tier\":\"gold\"}\n") == text);
	CHECK(strstr(text, "\n1 @ 0x3") != NULL);
	dump = take_text("goroutine", 2);
	CHECK(strstr(dump, "# The program has ended") == dump);
	CHECK(strstr(dump, "goroutine 12 [sync.Cond.Wait]:\n# thread \"worker\", labels ") != NULL);
	CHECK_INT(run_count(dump, "goroutine "), 5);
	end();
}

static void running_threads_are_asked(void)
{
	struct fr_slot *slot;
	g_autofree char *dump = NULL;
	pthread_t thread;
	Profile *profile;

	begin(getpid());
	slot = add_thread((uint32_t)getpid(), "main", FR_STATE_RUNNING, FR_STACK_NONE);
	slot->task = stack(&file, 0x20011); /* where the helper finds it */
	slot = add_thread(7, "waiter", FR_STATE_MUTEX, stack(&file, 0x20021));
	slot->task = stack(&file, 0x20031);
	thread = helper_start();
	profile = take("goroutine");
	/* The helper thread of this test is seen in /proc, and not traced. */
	CHECK(pseudo(profile, "[untraced thread]") != NULL);
	CHECK_INT(value_at(profile, 0x20010, 0), 1);
	CHECK_INT(value_at(profile, 0x20020, 0), 1);
	CHECK(sample_at(profile, 0x20030) == NULL);
	drop(profile);
	dump = take_text("goroutine", 2);
	CHECK(g_str_has_prefix(dump, "goroutine "));
	CHECK(strstr(dump, " [running]:\n") != NULL &&
		strstr(dump, " [running]:\n") < strstr(dump, "\n\n"));
	helper_stop(thread);
	end();
}

int main(void)
{
	fixture_init("test_profiles_threads");
	CASE(threads_are_where_they_died, "threads of a dead process are shown where they were");
	CASE(running_threads_are_asked, "a running thread's answer counts, a waiting one's slot");
	return fixture_end();
}
