/* SPDX-License-Identifier: MIT */
/* The tables of the sampled profiles, as a tracer writes them, and as a program that runs wild may leave them. */
#include "check.h"
#include "run.h"

#include "blackbox_file.h"
#include "recorder/blackbox_tables.h"

static struct blackbox_file file;
static struct blackbox *blackbox;

static void begin(void)
{
	run("rm -rf blackbox && mkdir blackbox");
	file = blackbox_file_create(run_path("blackbox/00005"), 5);
}

static void look(void)
{
	CHECK_INT(blackbox_open_proc(run_dir, 5, &blackbox), 0);
}

static void end(void)
{
	blackbox_close(blackbox);
	blackbox = NULL;
	blackbox_file_close(&file);
}

static void all_buckets_are_found(void)
{
	static const uint32_t places[] = { 0, 1, 511, 512, 513, 20000, 32767 };
	uint64_t sum = 0;
	GArray *buckets;

	begin();
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
		blackbox_file_bucket(&file, FR_BUCKET_HEAP, places[i], 2)->value[0] = 1ull << i;
	blackbox_file_bucket(&file, FR_BUCKET_BLOCK, 8191, 2)->value[0] = 1000;
	look();
	buckets = blackbox_buckets(blackbox, FR_BUCKET_HEAP);
	CHECK_INT(buckets->len, G_N_ELEMENTS(places));
	for (guint i = 0; i < buckets->len; i++)
		sum += g_array_index(buckets, struct fr_bucket, i).value[0];
	CHECK_INT(sum, (1 << G_N_ELEMENTS(places)) - 1);
	g_array_unref(buckets);
	buckets = blackbox_buckets(blackbox, FR_BUCKET_BLOCK);
	CHECK_INT(buckets->len, 1);
	g_array_unref(buckets);
	buckets = blackbox_buckets(blackbox, FR_BUCKET_MUTEX);
	CHECK_INT(buckets->len, 0);
	g_array_unref(buckets);
	end();
}

static void unfinished_ones_are_left_out(void)
{
	GArray *buckets;

	begin();
	blackbox_file_bucket(&file, FR_BUCKET_CPU, 3, 2)->tag = FR_BUCKET_WRITING;
	blackbox_file_bucket(&file, FR_BUCKET_CPU, 4, 2)->tag = FR_BUCKET_EMPTY;
	blackbox_file_bucket(&file, FR_BUCKET_CPU, 5, 2)->kind = FR_BUCKET_HEAP;
	blackbox_file_bucket(&file, FR_BUCKET_CPU, 6, 2)->value[0] = 7;
	look();
	buckets = blackbox_buckets(blackbox, FR_BUCKET_CPU);
	CHECK_INT(buckets->len, 1);
	CHECK_INT(g_array_index(buckets, struct fr_bucket, 0).value[0], 7);
	g_array_unref(buckets);
	end();
}

static void labels_end(void)
{
	struct fr_label_set *sets;
	char text[160];

	begin();
	sets = blackbox_file_at(&file, file.header->off_labels);
	sets[0].hash = 99;
	strcpy(sets[0].text, "a=1");
	sets[FR_BB_MAX_LABELS - 1].hash = 98;
	memset(sets[FR_BB_MAX_LABELS - 1].text, 'x', sizeof(text));
	strcpy(sets[1].text, "not=there");
	look();
	CHECK(blackbox_label(blackbox, 1, text));
	CHECK_STR(text, "a=1");
	CHECK(!blackbox_label(blackbox, 0, text));
	CHECK(!blackbox_label(blackbox, 2, text));
	CHECK_STR(text, "");
	CHECK(!blackbox_label(blackbox, FR_BB_MAX_LABELS + 1, text));
	CHECK(blackbox_label(blackbox, FR_BB_MAX_LABELS, text));
	CHECK_INT(strlen(text), 159);
	end();
}

static void custom_names_end(void)
{
	struct fr_custom *customs;
	struct fr_custom_entry *entries;
	GArray *array;

	begin();
	customs = blackbox_file_at(&file, file.header->off_custom);
	customs[0].state = 1;
	strcpy(customs[0].name, "half");
	customs[1].state = 2;
	customs[63].state = 2;
	memset(customs[63].name, 'n', sizeof(customs[63].name));
	entries = blackbox_file_at(&file, file.header->off_custom_live);
	entries[9] = (struct fr_custom_entry){ 7, 7, FR_BB_MAX_CUSTOM, 2 };
	entries[10] = (struct fr_custom_entry){ 2, 7, 1, 2 };
	entries[FR_BB_MAX_CUSTOM_LIVE - 1] = (struct fr_custom_entry){ 8, 7, 63, 2 };
	look();
	array = blackbox_customs(blackbox);
	CHECK_INT(array->len, 1);
	CHECK_INT(g_array_index(array, struct blackbox_custom, 0).index, 63);
	CHECK_INT(strlen(g_array_index(array, struct blackbox_custom, 0).name), 63);
	g_array_unref(array);
	array = blackbox_custom_entries(blackbox);
	CHECK_INT(array->len, 1);
	CHECK_INT(g_array_index(array, struct fr_custom_entry, 0).profile, 63);
	g_array_unref(array);
	end();
}

static void tables_outside_are_refused(void)
{
	uint64_t *offsets[] = { NULL, NULL, NULL, NULL };

	begin();
	offsets[0] = &file.header->off_buckets[FR_BUCKET_THREAD];
	offsets[1] = &file.header->off_labels;
	offsets[2] = &file.header->off_custom;
	offsets[3] = &file.header->off_custom_live;
	for (size_t i = 0; i < G_N_ELEMENTS(offsets); i++) {
		uint64_t kept = *offsets[i];

		*offsets[i] = file.header->file_size - 64;
		CHECK_INT(blackbox_open_proc(run_dir, 5, &blackbox), BLACKBOX_E_DAMAGED);
		*offsets[i] = kept | 4;
		CHECK_INT(blackbox_open_proc(run_dir, 5, &blackbox), BLACKBOX_E_DAMAGED);
		*offsets[i] = kept;
	}
	look();
	end();
}

static void words_are_fresh(void)
{
	begin();
	look();
	file.header->helper_seq = 41;
	file.header->helper_tid = 42;
	file.header->cpu_refusal = FR_CPU_NO_TIMERS;
	CHECK_INT(blackbox_helper_seq(blackbox), 41);
	CHECK_INT(blackbox_helper_tid(blackbox), 42);
	CHECK_INT(blackbox_cpu_refusal(blackbox), FR_CPU_NO_TIMERS);
	end();
}

int main(void)
{
	run_init("test_blackbox_tables");
	CASE(all_buckets_are_found, "buckets anywhere in their table are found, between holes too");
	CASE(unfinished_ones_are_left_out, "buckets that are not complete are left out");
	CASE(labels_end, "label sets are found by id, and their texts end");
	CASE(custom_names_end, "profiles and entries that are there, with names that end");
	CASE(tables_outside_are_refused, "a table outside the file is damage");
	CASE(words_are_fresh, "the tracer's answers are read anew each time");
	run_fini();
	return CHECK_DONE();
}
