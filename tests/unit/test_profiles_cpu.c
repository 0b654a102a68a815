/* SPDX-License-Identifier: MIT */
/* CPU profiles: what was counted between their beginning and their end. */
#include "profiles_fixture.h"

static void add_ticks(uint32_t i, uint64_t leaf, uint64_t label, uint64_t n)
{
	struct fr_bucket *bucket =
		blackbox_file_bucket(&file, FR_BUCKET_CPU, i, stack(&file, leaf));

	bucket->key = label;
	bucket->value[0] += n;
}

static void cpu_is_what_was_counted_meanwhile(void)
{
	struct profiles_query query = { 0 };
	g_autofree char *why = NULL, *busy = NULL;
	struct fr_label_set *labels;
	GByteArray *bytes = NULL;
	pthread_t thread;
	Profile *profile;

	begin(getpid());
	thread = helper_start();
	labels = blackbox_file_at(&file, file.header->off_labels);
	labels[4].hash = 9;
	strcpy(labels[4].text, "job=7");
	add_ticks(0, 0x20011, 0, 100);
	file.header->counters.cpu_lost = 10;
	CHECK_INT(profiles_cpu_begin(profiles, 200, &why), 0);
	CHECK_INT(control.cpu_hz, 200);
	CHECK_INT(profiles_cpu_begin(profiles, 100, &busy), PROFILES_E_BUSY);
	CHECK_STR(busy, "cpu profiling already in use");
	add_ticks(0, 0x20011, 0, 7);
	add_ticks(1, 0x20021, 5, 3);
	file.header->counters.cpu_lost = 12;
	CHECK_INT(profiles_cpu_end(profiles, &query, &bytes, &why), 0);
	CHECK_INT(control.cpu_hz, 0);
	profile = profile_read(bytes);
	g_byte_array_unref(bytes);
	CHECK_INT(profile->n_sample, 3);
	CHECK_INT(value_at(profile, 0x20010, 0), 7);
	CHECK_INT(value_at(profile, 0x20010, 1), 35000000);
	CHECK_STR(label_of(profile, sample_at(profile, 0x20020), "job"), "7");
	CHECK_INT(pseudo(profile, "[lost samples]")->value[0], 2);
	CHECK_INT(profile->period, 5000000);
	CHECK(profile->duration_nanos > 0);
	drop(profile);
	helper_stop(thread);
	end();
}

static void cpu_of_the_dead_is_refused(void)
{
	g_autofree char *why = NULL;

	begin(DEAD_PID);
	CHECK_INT(profiles_cpu_begin(profiles, 100, &why), PROFILES_E_NO_PROCESS);
	end();
}

int main(void)
{
	fixture_init("test_profiles_cpu");
	CASE(cpu_is_what_was_counted_meanwhile,
		"a CPU profile is the ticks between, lost ones too");
	CASE(cpu_of_the_dead_is_refused, "no CPU profile of what does not run");
	return fixture_end();
}
