/* SPDX-License-Identifier: MIT */
/* Heap profiles: their scale, their text, and what the dead hold. */
#include "profiles_fixture.h"

static void heap_is_scaled_as_in_go(void)
{
	Profile *profile;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 12, 122880, 0);
	add_heap(&file, 1, 0x20021, RATE, 1, 416, 0);
	add_heap(&file, 2, 0x20031, RATE, 1, 80, 1);
	profile = take("heap");
	CHECK_INT(profile->n_sample, 3);
	CHECK_INT(value_at(profile, 0x20010, 0), 620);
	CHECK_INT(value_at(profile, 0x20010, 1), 6353095);
	CHECK_INT(value_at(profile, 0x20010, 2), 620);
	CHECK_INT(value_at(profile, 0x20010, 3), 6353095);
	CHECK_INT(value_at(profile, 0x20020, 0), 1260);
	CHECK_INT(value_at(profile, 0x20020, 1), 524496);
	CHECK_INT(value_at(profile, 0x20030, 0), 6554);
	CHECK_INT(value_at(profile, 0x20030, 1), 524328);
	CHECK_INT(value_at(profile, 0x20030, 2), 0);
	CHECK_INT(value_at(profile, 0x20030, 3), 0);
	CHECK_INT(number_of(profile, sample_at(profile, 0x20010), "bytes"), 10240);
	CHECK_INT(profile->period, RATE);
	CHECK_INT(profile->default_sample_type, 0);
	CHECK_INT(profile->duration_nanos, 0);
	CHECK_STR(profile_text(profile, profile->sample_type[3]->type), "inuse_space");
	drop(profile);
	profile = take("allocs");
	CHECK_STR(profile_text(profile, profile->default_sample_type), "alloc_space");
	drop(profile);
	end();
}

static void each_bucket_has_its_rate(void)
{
	g_autofree char *text = NULL;
	Profile *profile;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 12, 122880, 0);
	add_heap(&file, 1, 0x20011, 1, 5, 5 * 10240, 0);
	profile = take("heap");
	CHECK_INT(profile->n_sample, 1);
	CHECK_INT(profile->sample[0]->value[0], 625);
	drop(profile);
	/* The text has one rate: 5 objects in all are less than one sample, but at least one. */
	text = take_text("heap", 1);
	CHECK(strstr(text, "heap profile: 13: 133120 [13: 133121] @ heap/1048576\n") == text);
	end();
}

static void a_label_stays_when_the_mean_moves(void)
{
	struct fr_bucket *bucket;
	Profile *profile;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 2, 2 * 10000, 0);
	profile = take("heap");
	CHECK_INT(number_of(profile, profile->sample[0], "bytes"), 10000);
	drop(profile);
	bucket = blackbox_file_at(&file, file.header->off_buckets[FR_BUCKET_HEAP]);
	bucket->value[0]++;
	bucket->value[1] += 10200;
	profile = take("heap");
	CHECK_INT(number_of(profile, profile->sample[0], "bytes"), 10000);
	drop(profile);
	end();
}

static void text_is_raw_and_tells_the_pairs_apart(void)
{
	g_autofree char *text = NULL;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 3, 3000, 1);
	add_heap(&file, 1, 0x20021, RATE, 1, 100, 0);
	text = take_text("heap", 1);
	CHECK(strstr(text, "heap profile: 3: 2100 [4: 3100] @ heap/1048576\n"
			   "2: 2000 [3: 3000] @ 0x20011 0x10100 0x10200\n"
			   "#\t0x20010\n") == text);
	CHECK(strstr(text, "\n# runtime.MemStats\n# Alloc = ") != NULL);
	CHECK(strstr(text, "\n--- Memory map: ---\n10000-11000 r-xp 00001000 00:00 0 "
			   "/usr/bin/example\n20000-21000 ") != NULL);
	end();
}

/* Ours lives, the other one is dead: what it had in use went back, what it allocated did happen. */
static void the_dead_hold_no_memory(void)
{
	struct blackbox_file other;
	g_autofree char *why = NULL;
	struct profiles_query query = { .pid = 4 };
	GByteArray *bytes = NULL;
	Profile *profile;
	int64_t sums[4] = { 0 };
	bool has_pids = true;

	begin(getpid());
	other = create(2, DEAD_PID);
	add_heap(&file, 0, 0x20011, 1, 10, 1000, 0);
	add_heap(&other, 0, 0x20011, 1, 20, 2000, 5);
	profile = take("heap");
	for (size_t i = 0; i < profile->n_sample; i++) {
		has_pids = has_pids && number_of(profile, profile->sample[i], "pid") > 0;
		for (size_t k = 0; k < 4; k++)
			sums[k] += profile->sample[i]->value[k];
	}
	CHECK_INT(profile->n_sample, 2);
	CHECK(has_pids);
	CHECK_INT(sums[0], 30);
	CHECK_INT(sums[2], 10);
	drop(profile);
	/* Asked for by its number, it shows what it had. */
	profile = take_of("heap", DEAD_PID);
	CHECK_INT(profile->n_sample, 1);
	CHECK_INT(profile->sample[0]->value[2], 15);
	CHECK_INT(number_of(profile, profile->sample[0], "pid"), -1);
	drop(profile);
	CHECK_INT(profiles_take(profiles, "heap", &query, &bytes, &why), PROFILES_E_NO_PROCESS);
	CHECK(strstr(why, "pid 4") != NULL);
	blackbox_file_close(&other);
	end();
}

int main(void)
{
	fixture_init("test_profiles_heap");
	CASE(heap_is_scaled_as_in_go, "heap pairs are scaled by Go's rule, each on its own");
	CASE(each_bucket_has_its_rate, "what was sampled at another rate is scaled by that one");
	CASE(a_label_stays_when_the_mean_moves, "label bytes stays the same between snapshots");
	CASE(text_is_raw_and_tells_the_pairs_apart, "heap text is unscaled, with tail and map");
	CASE(the_dead_hold_no_memory, "beside living processes the dead have nothing in use");
	return fixture_end();
}
