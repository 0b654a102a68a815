/* SPDX-License-Identifier: MIT */
/* CPU profiles of the past: of the samples that a process keeps in the order of time. */
#include "profiles_fixture.h"
#include "recorder/procfs.h"

#define HZ 20
#define PERIOD 50000000
#define S 1000000000ull

static uint64_t now;
static uint32_t stack_11;

/* A sample taken `ago_ns` before now. */
static void add_sample(uint64_t ago_ns, uint64_t leaf, uint64_t weight_ns, uint32_t labels)
{
	struct fr_cpu_sample *ring = blackbox_file_at(&file, file.header->off_samples);
	uint64_t number = file.header->samples_next++;

	ring[number % FR_BB_SAMPLES] = (struct fr_cpu_sample){ .seq = number + 1,
		.time_ns = now - ago_ns,
		.weight_ns = weight_ns,
		.tid = 7,
		.stack = leaf == 0x20011 ? stack_11 : stack(&file, leaf),
		.labels_id = labels };
}

static void start(pid_t pid)
{
	begin(pid);
	now = procfs_now();
	file.header->start_ns = now - 100 * S;
	file.header->helper_tid = 0x7ffffff1;
	stack_11 = stack(&file, 0x20011);
}

static int take_past(uint64_t asked_ns, uint64_t end_ns, struct profiles_past *past, int debug,
	GByteArray **bytes, char **why)
{
	struct profiles_query query = { .debug = debug };

	*past = (struct profiles_past){ .hz = HZ,
		.window = { .asked_ns = asked_ns, .end_ns = end_ns } };
	return profiles_cpu_past(profiles, &query, past, bytes, why);
}

static Profile *profile_of(uint64_t asked_ns, uint64_t end_ns, struct profiles_past *past)
{
	g_autofree char *why = NULL;
	GByteArray *bytes = NULL;
	Profile *profile = NULL;
	int rc = take_past(asked_ns, end_ns, past, 0, &bytes, &why);

	CHECK_INT(rc, 0);
	if (rc == 0) {
		profile = profile_read(bytes);
		g_byte_array_unref(bytes);
	}
	g_clear_pointer(&past->note, g_free);
	return profile;
}

static void only_the_window_counts(void)
{
	struct profiles_past past;
	struct fr_label_set *labels;
	Profile *profile;

	start(getpid());
	labels = blackbox_file_at(&file, file.header->off_labels);
	labels[4].hash = 9;
	strcpy(labels[4].text, "job=7");
	add_sample(40 * S, 0x20011, PERIOD, 0);
	add_sample(20 * S, 0x20011, PERIOD, 0);
	add_sample(10 * S, 0x20011, 3 * PERIOD, 0); /* two ticks came late */
	add_sample(5 * S, 0x20021, PERIOD, 5);
	profile = profile_of(30 * S, 0, &past);
	CHECK_INT(past.n_samples, 3);
	CHECK_INT(profile->n_sample, 2);
	CHECK_INT(value_at(profile, 0x20010, 0), 4);
	CHECK_INT(value_at(profile, 0x20010, 1), 4 * PERIOD);
	CHECK_STR(label_of(profile, sample_at(profile, 0x20020), "job"), "7");
	CHECK_INT(profile->period, PERIOD);
	CHECK_STR(profile_text(profile, profile->sample_type[0]->type), "samples");
	CHECK_STR(profile_text(profile, profile->sample_type[1]->unit), "nanoseconds");
	CHECK_INT(profile->duration_nanos, 30 * S);
	CHECK(llabs(profile->time_nanos + (int64_t)(30 * S) - g_get_real_time() * 1000) <
		(int64_t)S);
	CHECK_INT(profile->n_comment, 1);
	CHECK(strncmp(profile_text(profile, profile->comment[0]), "Covers 30s: ", 12) == 0);
	drop(profile);
	end();
}

static void faster_samples_beside_keep_their_time(void)
{
	struct profiles_past past;
	Profile *profile;

	start(getpid());
	for (int i = 0; i < 10; i++)
		add_sample(S + (uint64_t)i, 0x20011, PERIOD / 5, 0);
	profile = profile_of(30 * S, 0, &past);
	CHECK_INT(value_at(profile, 0x20010, 0), 10);
	CHECK_INT(value_at(profile, 0x20010, 1), 2 * PERIOD);
	drop(profile);
	end();
}

static void what_began_later_is_said(void)
{
	struct profiles_past past;
	Profile *profile;

	start(getpid());
	file.header->start_ns = now - 12 * S;
	add_sample(5 * S, 0x20011, PERIOD, 0);
	profile = profile_of(30 * S, 0, &past);
	CHECK(past_window_is_short(&past.window));
	CHECK(profile->duration_nanos >= (int64_t)(12 * S) &&
		profile->duration_nanos < (int64_t)(13 * S));
	CHECK(strstr(profile_text(profile, profile->comment[0]), "nothing that is traced ran") !=
		NULL);
	drop(profile);
	end();
}

static void what_was_written_over_is_said(void)
{
	struct profiles_past past;
	Profile *profile;

	start(getpid());
	for (uint64_t i = 0; i < FR_BB_SAMPLES + 1000; i++)
		add_sample(20 * S - i * 100000, 0x20011, PERIOD, 0);
	profile = profile_of(30 * S, 0, &past);
	CHECK(past.n_missing > 0);
	CHECK_INT(past.n_samples, FR_BB_SAMPLES);
	CHECK_INT(past.window.begin_ns, now - (20 * S - 1000 * 100000ull));
	CHECK(strstr(profile_text(profile, profile->comment[0]), "written over") != NULL);
	drop(profile);
	end();
}

static void the_dead_are_counted_back_from_their_end(void)
{
	struct profiles_past past;
	Profile *profile;

	start(DEAD_PID);
	add_sample(60 * S, 0x20011, PERIOD, 0);
	add_sample(52 * S, 0x20021, PERIOD, 0);
	profile = profile_of(5 * S, now - 50 * S, &past);
	CHECK_INT(profile->n_sample, 1);
	CHECK_INT(value_at(profile, 0x20020, 0), 1);
	CHECK_INT(profile->duration_nanos, 5 * S);
	drop(profile);
	end();
}

static void nothing_is_no_idle_program(void)
{
	struct profiles_past past;
	g_autofree char *why = NULL;
	GByteArray *bytes = NULL;
	Profile *profile;

	start(getpid());
	profile = profile_of(5 * S, 0, &past);
	CHECK_INT(profile->n_sample, 0); /* it slept */
	drop(profile);
	file.header->cpu_refusal = FR_CPU_SIGPROF_TAKEN;
	CHECK_INT(take_past(5 * S, 0, &past, 0, &bytes, &why), PROFILES_E_REFUSED);
	CHECK(why && strstr(why, "handles SIGPROF itself"));
	end();
}

static void the_text_is_one_that_readers_know(void)
{
	struct profiles_past past;
	g_autofree char *why = NULL, *text = NULL;
	GByteArray *bytes = NULL;

	start(getpid());
	add_sample(2 * S, 0x20011, PERIOD, 0);
	CHECK_INT(take_past(5 * S, 0, &past, 1, &bytes, &why), 0);
	text = g_strndup((const char *)bytes->data, bytes->len);
	g_byte_array_unref(bytes);
	CHECK(g_str_has_prefix(text, "cpu profile: total 1\n1 @ 0x20011 "));
	CHECK(strstr(text, "\n# Covers 5s: ") != NULL);
	end();
}

int main(void)
{
	fixture_init("test_profiles_past");
	CASE(only_the_window_counts, "the past is the samples of the window, weights as periods");
	CASE(faster_samples_beside_keep_their_time, "samples of a faster profile count their time");
	CASE(what_began_later_is_said, "a process that began within the window shortens it");
	CASE(what_was_written_over_is_said, "samples written over shorten the window");
	CASE(the_dead_are_counted_back_from_their_end, "after the end, seconds count from the end");
	CASE(nothing_is_no_idle_program, "no samples, and who took none");
	CASE(the_text_is_one_that_readers_know, "debug=1 is a text with a comment");
	return fixture_end();
}
