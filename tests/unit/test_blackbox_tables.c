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
	uint64_t *offsets[7] = { NULL };

	begin();
	offsets[0] = &file.header->off_buckets[FR_BUCKET_THREAD];
	offsets[1] = &file.header->off_labels;
	offsets[2] = &file.header->off_custom;
	offsets[3] = &file.header->off_custom_live;
	offsets[4] = &file.header->off_samples;
	offsets[5] = &file.header->off_triggers;
	offsets[6] = &file.header->off_crash;
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

static struct fr_cpu_sample *put_sample(uint64_t number, uint64_t time_ns)
{
	struct fr_cpu_sample *ring = blackbox_file_at(&file, file.header->off_samples);

	ring += number % FR_BB_SAMPLES;
	*ring = (struct fr_cpu_sample){
		.seq = number + 1, .time_ns = time_ns, .weight_ns = 10, .tid = 7, .stack = 2
	};
	return ring;
}

static void samples_come_in_order_of_time(void)
{
	GArray *samples;

	begin();
	for (unsigned i = 0; i < 2000; i++)
		put_sample(i, 1000 + i);
	/* Two threads that were in each other's way. */
	put_sample(5, 1006);
	put_sample(6, 1005);
	/* One that died while it wrote, and one that is of an earlier round. */
	put_sample(1500, 2500)->seq = 0;
	put_sample(1501, 2501)->seq = 1501;
	file.header->samples_next = 2000;
	look();
	CHECK_INT(blackbox_samples(blackbox, 0, &samples), 2);
	CHECK_INT(samples->len, 1998);
	for (guint i = 1; i < samples->len; i++)
		if (g_array_index(samples, struct fr_cpu_sample, i).time_ns <=
			g_array_index(samples, struct fr_cpu_sample, i - 1).time_ns)
			CHECK_INT(i, 0);
	CHECK_INT(g_array_index(samples, struct fr_cpu_sample, 5).seq, 7);
	g_array_unref(samples);
	CHECK_INT(blackbox_samples(blackbox, 2900, &samples), 0);
	CHECK_INT(samples->len, 100);
	CHECK_INT(g_array_index(samples, struct fr_cpu_sample, 0).time_ns, 2900);
	g_array_unref(samples);
	end();
}

static void overwritten_samples_are_missed(void)
{
	const uint64_t end_number = 2 * FR_BB_SAMPLES + 300;
	GArray *samples;

	begin();
	for (uint64_t i = end_number - FR_BB_SAMPLES; i < end_number; i++)
		put_sample(i, i);
	file.header->samples_next = end_number;
	look();
	CHECK_INT(blackbox_samples(blackbox, end_number - 1000, &samples), 0);
	CHECK_INT(samples->len, 1000);
	g_array_unref(samples);
	/* From before the oldest one on: what is gone cannot be counted, and is not hidden either. */
	CHECK_INT(blackbox_samples(blackbox, 5, &samples), 1);
	CHECK_INT(samples->len, FR_BB_SAMPLES);
	CHECK_INT(g_array_index(samples, struct fr_cpu_sample, 0).time_ns,
		end_number - FR_BB_SAMPLES);
	g_array_unref(samples);
	end();
}

static void triggers_come_once(void)
{
	struct fr_trigger *ring;
	uint64_t next = 0;
	GArray *triggers;

	begin();
	ring = blackbox_file_at(&file, file.header->off_triggers);
	for (unsigned i = 0; i < 20; i++) {
		struct fr_trigger *trigger = &ring[i % FR_BB_TRIGGERS];

		trigger->seq = i + 1;
		trigger->kind = FR_TRIGGER_SLOW;
		memset(trigger->reason, 'r', sizeof(trigger->reason));
	}
	ring[10].kind = 4711;
	ring[19 % FR_BB_TRIGGERS].seq = 4; /* number 19 is being written */
	file.header->triggers_next = 20;
	look();
	triggers = blackbox_triggers(blackbox, 0, &next);
	CHECK_INT(triggers->len, 14); /* 4 to 18, but for 10 */
	CHECK_INT(g_array_index(triggers, struct fr_trigger, 0).seq, 5);
	CHECK_INT(strlen(g_array_index(triggers, struct fr_trigger, 0).reason), 95);
	CHECK_INT(next, 19);
	g_array_unref(triggers);
	ring[19 % FR_BB_TRIGGERS].seq = 20;
	triggers = blackbox_triggers(blackbox, next, &next);
	CHECK_INT(triggers->len, 1);
	CHECK_INT(next, 20);
	g_array_unref(triggers);
	triggers = blackbox_triggers(blackbox, next, &next);
	CHECK_INT(triggers->len, 0);
	g_array_unref(triggers);
	end();
}

static void a_crash_has_bounds(void)
{
	struct fr_crash *there, crash;

	begin();
	look();
	CHECK(!blackbox_crash(blackbox, &crash));
	there = blackbox_file_at(&file, file.header->off_crash);
	there->state = 1;
	there->n_regs = there->n_code = there->n_stack_bytes = UINT32_MAX;
	there->signal = 11;
	CHECK(!blackbox_crash(blackbox, &crash));
	there->state = 2;
	CHECK(blackbox_crash(blackbox, &crash));
	CHECK_INT(crash.signal, 11);
	CHECK_INT(crash.n_regs, FR_CRASH_REGS);
	CHECK_INT(crash.n_code, sizeof(crash.code_bytes));
	CHECK_INT(crash.n_stack_bytes, FR_CRASH_STACK_BYTES);
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
	CASE(samples_come_in_order_of_time,
		"CPU samples come in the order of time, unfinished ones are counted");
	CASE(overwritten_samples_are_missed,
		"samples that were written over are missed, if they were wanted");
	CASE(triggers_come_once, "triggers come once each, those being written with the next look");
	CASE(a_crash_has_bounds, "a crash is there when it is complete, and has its bounds");
	CASE(words_are_fresh, "the tracer's answers are read anew each time");
	run_fini();
	return CHECK_DONE();
}
