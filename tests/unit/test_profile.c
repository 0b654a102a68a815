/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "profile_read.h"
#include "viewer/profile.h"

static const struct profile_value_type types[] = { { "contentions", "count" },
	{ "delay", "nanoseconds" } };
static const struct profile_value_type period = { "trace", "count" };

static struct profile *profile;
static Perftools__Profiles__Profile *back;

static void begin(void)
{
	profile = profile_new(types, 2, period, 1);
}

static void read_back(void)
{
	g_autoptr(GByteArray) packed = profile_pack(profile);

	back = profile_read(packed);
	CHECK(back != NULL);
}

static void end(void)
{
	perftools__profiles__profile__free_unpacked(back, NULL);
	profile_free(profile);
}

static uint64_t location(uint64_t mapping, uint64_t address, const char *name, int64_t line)
{
	struct profile_line lines = { name, name, line ? "a.c" : "", line, line };

	return profile_location(profile, mapping, address, &lines, *name != '\0');
}

static void an_empty_one_is_valid(void)
{
	begin();
	read_back();
	CHECK_INT(back->n_sample_type, 2);
	CHECK_STR(profile_text(back, back->sample_type[0]->type), "contentions");
	CHECK_STR(profile_text(back, back->sample_type[1]->unit), "nanoseconds");
	CHECK_STR(profile_text(back, back->period_type->type), "trace");
	CHECK_INT(back->period, 1);
	CHECK_STR(back->string_table[0], "");
	CHECK_INT(back->n_sample, 0);
	CHECK_INT(back->time_nanos, 0);
	CHECK_INT(back->default_sample_type, 0);
	end();
}

static void ids_are_dense_and_equal_things_shared(void)
{
	begin();
	profile_add_mapping(
		profile, &(struct profile_mapping){ 0x1000, 0x2000, 0x500, "/opt/app", "abcd" });
	uint64_t a = location(1, 0x1100, "f", 3), b = location(1, 0x1200, "g", 4);
	CHECK_INT(location(1, 0x1100, "f", 3), a);
	profile_add_sample(profile, (uint64_t[]){ b, a }, 2, (int64_t[]){ 1, 10 }, NULL, 0);
	profile_add_sample(profile, (uint64_t[]){ b, a }, 2, (int64_t[]){ 2, 20 }, NULL, 0);
	profile_add_sample(profile, (uint64_t[]){ a, b }, 2, (int64_t[]){ 4, 40 }, NULL, 0);
	profile_set_time(profile, 1234, 0);
	read_back();
	CHECK_INT(back->n_location, 2);
	CHECK_INT(back->n_function, 2);
	for (size_t i = 0; i < 2; i++) {
		CHECK_INT(back->location[i]->id, i + 1);
		CHECK_INT(back->function[i]->id, i + 1);
	}
	CHECK_INT(back->n_sample, 2);
	CHECK_INT(back->sample[0]->value[0], 3);
	CHECK_INT(back->sample[0]->value[1], 30);
	CHECK_INT(back->sample[0]->location_id[0], b);
	CHECK_INT(back->mapping[0]->id, 1);
	CHECK_INT(back->mapping[0]->memory_limit, 0x2000);
	CHECK_INT(back->mapping[0]->file_offset, 0x500);
	CHECK_STR(profile_text(back, back->mapping[0]->build_id), "abcd");
	CHECK_INT(back->time_nanos, 1234);
	CHECK_INT(back->duration_nanos, 0);
	end();
}

static void labels_part_samples(void)
{
	const struct profile_label small = { "bytes", NULL, 16 }, large = { "bytes", NULL, 32 };
	const struct profile_label pid = { "pid", "12", 0 };

	begin();
	uint64_t a = location(0, 0x1100, "f", 3);
	profile_add_sample(profile, &a, 1, (int64_t[]){ 1, 1 }, &small, 1);
	profile_add_sample(profile, &a, 1, (int64_t[]){ 1, 1 }, &large, 1);
	profile_add_sample(profile, &a, 1, (int64_t[]){ 1, 1 }, &small, 1);
	profile_add_sample(profile, &a, 1, (int64_t[]){ 1, 1 }, &pid, 1);
	read_back();
	CHECK_INT(back->n_sample, 3);
	CHECK_INT(back->sample[0]->value[0], 2);
	CHECK_STR(profile_text(back, back->sample[1]->label[0]->key), "bytes");
	CHECK_INT(back->sample[1]->label[0]->num, 32);
	CHECK_INT(back->sample[1]->label[0]->num_unit, 0);
	CHECK_STR(profile_text(back, back->sample[2]->label[0]->str), "12");
	end();
}

static void a_mapping_says_it_has_names_only_when_all_have(void)
{
	begin();
	for (int i = 1; i <= 4; i++)
		profile_add_mapping(profile, &(struct profile_mapping){ (uint64_t)i << 16,
						     (uint64_t)(i + 1) << 16, 0, "f", "" });
	location(1, 0x10001, "named", 3);
	location(2, 0x20001, "named", 0);
	location(3, 0x30001, "named", 3);
	location(3, 0x30002, "", 0);
	read_back();
	CHECK(back->mapping[0]->has_functions && back->mapping[0]->has_filenames &&
		back->mapping[0]->has_line_numbers && back->mapping[0]->has_inline_frames);
	CHECK(back->mapping[1]->has_functions && !back->mapping[1]->has_line_numbers);
	CHECK(!back->mapping[2]->has_functions && !back->mapping[2]->has_filenames &&
		!back->mapping[2]->has_line_numbers && !back->mapping[2]->has_inline_frames);
	CHECK(!back->mapping[3]->has_functions);
	CHECK_INT(back->location[3]->n_line, 0);
	end();
}

static void inlined_lines_keep_their_order(void)
{
	const struct profile_line lines[] = { { "inner", "inner", "a.c", 1, 1 },
		{ "outer()", "_Z5outerv", "b.c", 20, 10 } };

	begin();
	profile_location(profile, 0, 0x5, lines, 2);
	read_back();
	CHECK_INT(back->location[0]->n_line, 2);
	CHECK_INT(back->location[0]->line[0]->line, 1);
	const Perftools__Profiles__Function *outer =
		back->function[back->location[0]->line[1]->function_id - 1];
	CHECK_STR(profile_text(back, outer->name), "outer()");
	CHECK_STR(profile_text(back, outer->system_name), "_Z5outerv");
	CHECK_STR(profile_text(back, outer->filename), "b.c");
	CHECK_INT(outer->start_line, 10);
	end();
}

static void broken_utf8_is_made_valid(void)
{
	begin();
	location(0, 0x5, "bad\xff\xfename", 1);
	read_back();
	for (size_t i = 0; i < back->n_string_table; i++)
		CHECK(g_utf8_validate(back->string_table[i], -1, NULL));
	end();
}

static void comments_survive_a_subtraction(void)
{
	const int64_t zero[] = { 0, 0 };

	begin();
	profile_add_comment(profile, "the last 30 s");
	profile_add_comment(profile, "of which 12 s are held");
	profile_add_sample(profile, NULL, 0, zero, NULL, 0);
	profile = profile_drop_zeros(profile);
	read_back();
	CHECK_INT(back->n_comment, 2);
	CHECK_STR(profile_text(back, back->comment[0]), "the last 30 s");
	CHECK_STR(profile_text(back, back->comment[1]), "of which 12 s are held");
	end();
}

int main(void)
{
	CASE(an_empty_one_is_valid, "a profile without samples has its types and string 0");
	CASE(ids_are_dense_and_equal_things_shared, "ids are 1..n, equal samples add up");
	CASE(labels_part_samples, "samples with different labels stay apart");
	CASE(a_mapping_says_it_has_names_only_when_all_have,
		"has_* is set only when it is true of all");
	CASE(inlined_lines_keep_their_order, "inlined lines are innermost first, names kept apart");
	CASE(comments_survive_a_subtraction, "comments are kept, in their order");
	CASE(broken_utf8_is_made_valid, "every string is valid UTF-8");
	return CHECK_DONE();
}
