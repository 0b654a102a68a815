/* SPDX-License-Identifier: MIT */
/* What all profiles share, and those without a test of their own: waits, custom profiles, deltas, losses, the index. */
#include "profiles_fixture.h"

static void the_program_comes_first(void)
{
	Profile *profile;

	begin(DEAD_PID);
	profile = take("heap");
	CHECK_INT(profile->n_sample, 0);
	CHECK_INT(profile->n_mapping, 2);
	CHECK_STR(profile_text(profile, profile->mapping[0]->filename), "/usr/bin/example");
	CHECK_STR(profile_text(profile, profile->mapping[0]->build_id), "ab0c");
	CHECK_INT(profile->mapping[0]->memory_start, 0x10000);
	CHECK_INT(profile->mapping[0]->file_offset, 0x1000);
	CHECK(profile->time_nanos > 0);
	drop(profile);
	end();
}

/* Waits count in parts of 1024. */
static void waits_are_whole(void)
{
	g_autofree char *text = NULL;
	struct fr_bucket *bucket;
	Profile *profile;

	begin(DEAD_PID);
	bucket = blackbox_file_bucket(&file, FR_BUCKET_BLOCK, 0, stack(&file, 0x20011));
	bucket->value[0] = 5 * FR_BUCKET_FRACTION + 900;
	bucket->value[1] = 77000;
	bucket = blackbox_file_bucket(&file, FR_BUCKET_BLOCK, 9, stack(&file, 0x20021));
	bucket->value[0] = 3;
	bucket->value[1] = 5;
	/* The same key a second time is added. */
	bucket = blackbox_file_bucket(&file, FR_BUCKET_BLOCK, 700, stack(&file, 0x20011));
	bucket->value[0] = FR_BUCKET_FRACTION;
	bucket->value[1] = 1000;
	profile = take("block");
	CHECK_INT(profile->n_sample, 2);
	CHECK_INT(value_at(profile, 0x20010, 0), 6);
	CHECK_INT(value_at(profile, 0x20010, 1), 78000);
	CHECK_INT(value_at(profile, 0x20020, 0), 1);
	CHECK_INT(profile->period, 1);
	drop(profile);
	text = take_text("block", 1);
	CHECK(strstr(text, "--- contention:\ncycles/second=1000000000\n"
			   "78000 6 @ 0x20011 0x10100 0x10200\n") == text);
	profile = take("mutex");
	CHECK_INT(profile->n_sample, 0);
	CHECK_STR(profile_text(profile, profile->sample_type[1]->type), "delay");
	drop(profile);
	end();
}

static void custom_profiles_are_found_by_name(void)
{
	struct fr_custom *custom;
	struct fr_custom_entry *entry;
	bool has_delta = true;
	g_autofree char *why = NULL;
	struct profiles_query query = { 0 };
	GByteArray *bytes = NULL;
	Profile *profile;

	begin(DEAD_PID);
	custom = blackbox_file_at(&file, file.header->off_custom);
	custom[3].state = 2;
	strcpy(custom[3].name, "my/conns");
	entry = blackbox_file_at(&file, file.header->off_custom_live);
	entry[100] = (struct fr_custom_entry){ 50, 1, 3, stack(&file, 0x20011) };
	entry[101] = (struct fr_custom_entry){ 51, 2, 3, stack(&file, 0x20011) };
	entry[102] = (struct fr_custom_entry){ 1, 3, 3, stack(&file, 0x20011) };
	entry[5000] = (struct fr_custom_entry){ 52, 4, 7, stack(&file, 0x20021) };
	CHECK(profiles_is_known(profiles, "my/conns", &has_delta));
	CHECK(!has_delta);
	profile = take("my/conns");
	CHECK_STR(profile_text(profile, profile->sample_type[0]->type), "my/conns");
	CHECK_INT(profile->n_sample, 1);
	CHECK_INT(profile->sample[0]->value[0], 2);
	drop(profile);
	CHECK(!profiles_is_known(profiles, "my", NULL));
	CHECK_INT(profiles_take(profiles, "my", &query, &bytes, &why), PROFILES_E_UNKNOWN);
	end();
}

static Profile *delta_end(struct profiles_delta *delta)
{
	g_autofree char *why = NULL;
	GByteArray *bytes = NULL;
	Profile *profile;

	CHECK_INT(profiles_delta_end(delta, &bytes, &why), 0);
	profile = profile_read(bytes);
	g_byte_array_unref(bytes);
	return profile;
}

static void a_delta_is_what_happened_meanwhile(void)
{
	struct profiles_query query = { 0 };
	struct profiles_delta *delta = NULL, *other = NULL;
	struct fr_bucket *bucket;
	g_autofree char *why = NULL;
	Profile *profile;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, 1, 10, 1000, 0);
	add_heap(&file, 1, 0x20021, 1, 10, 1000, 0);
	CHECK_INT(profiles_delta_begin(profiles, "allocs", &query, &delta, &why), 0);
	CHECK_INT(profiles_delta_begin(profiles, "heap", &query, &other, &why), 0);
	bucket = blackbox_file_at(&file, file.header->off_buckets[FR_BUCKET_HEAP]);
	bucket->value[2] = 4;
	bucket->value[3] = 400;
	add_heap(&file, 7, 0x20031, 1, 2, 64, 0);
	profile = delta_end(delta);
	CHECK_INT(profile->n_sample, 2);
	CHECK_INT(value_at(profile, 0x20010, 0), 0);
	CHECK_INT(value_at(profile, 0x20010, 2), -4);
	CHECK_INT(value_at(profile, 0x20010, 3), -400);
	CHECK_INT(value_at(profile, 0x20030, 1), 64);
	CHECK_STR(profile_text(profile, profile->default_sample_type), "alloc_space");
	CHECK(profile->duration_nanos > 0);
	CHECK_INT(profile->n_location, 4);
	drop(profile);
	CHECK_INT(profiles_delta_end(other, NULL, NULL), 0);
	CHECK_INT(
		profiles_delta_begin(profiles, "nosuch", &query, &delta, &why), PROFILES_E_UNKNOWN);
	end();
}

static void losses_are_told(void)
{
	g_autofree char *heap = NULL, *threads = NULL;

	begin(DEAD_PID);
	CHECK(profiles_losses(profiles, "heap", 0) == NULL);
	file.header->counters.live_overflow = 3;
	file.header->counters.threads_overflow = 2;
	heap = profiles_losses(profiles, "heap", 0);
	CHECK_STR(heap, "3 objects whose free is not followed");
	threads = profiles_losses(profiles, "goroutine", 0);
	CHECK_STR(threads, "2 threads without a slot");
	end();
}

static void the_index_counts(void)
{
	g_autoptr(GArray) list = NULL;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 12, 122880, 12);
	add_heap(&file, 1, 0x20011, RATE, 1, 16, 1);
	add_thread(11, "main", FR_STATE_JOIN, stack(&file, 0x20011));
	list = profiles_list(profiles, 0);
	for (guint i = 0; i < list->len; i++) {
		const struct profiles_entry *entry = &g_array_index(list, struct profiles_entry, i);

		if (strcmp(entry->name, "heap") == 0)
			CHECK_INT(entry->count, 2);
		if (strcmp(entry->name, "goroutine") == 0)
			CHECK_INT(entry->count, 1);
		CHECK(i == 0 || strcmp(entry[-1].name, entry->name) < 0);
	}
	CHECK_INT(list->len, 7);
	end();
}

int main(void)
{
	fixture_init("test_profiles");
	CASE(the_program_comes_first, "an empty profile has mappings, the program's first");
	CASE(waits_are_whole, "waits are counted in whole numbers, duplicates added");
	CASE(custom_profiles_are_found_by_name, "a program's own profile counts what is in it");
	CASE(a_delta_is_what_happened_meanwhile, "a delta subtracts, also below zero");
	CASE(losses_are_told, "what was lost is a sentence");
	CASE(the_index_counts, "the index counts records and threads");
	return fixture_end();
}
