/* SPDX-License-Identifier: MIT */
/* Texts of profiles, compared as a whole. */
#include "check.h"

#include "viewer/profile_space.h"
#include "viewer/profile_text.h"

static const struct profile_value_type count = { "thing", "count" };
static const struct profile_value_type waits[] = { { "contentions", "count" },
	{ "delay", "nanoseconds" } };

static struct profile *new_profile(const struct profile_value_type *types, size_t n)
{
	struct profile *profile = profile_new(types, n, types[0], 1);

	profile_add_mapping(
		profile, &(struct profile_mapping){ 0x1000, 0x2000, 0x500, "/opt/my app", "abcd" });
	return profile;
}

static uint64_t named(
	struct profile *profile, uint64_t address, const char *name, const char *path, int64_t line)
{
	struct profile_line lines = { name, name, path, line, 1 };
	uint64_t id = profile_location(profile, 1, address, &lines, 1);

	profile_set_offset(profile, id, 0x1f);
	return id;
}

static void counts(void)
{
	struct profile *profile = new_profile(&count, 1);
	g_autoptr(GString) out = g_string_new(NULL);
	const struct profile_label labels[] = { { "b", "x\"y", 0 }, { "a", "1", 0 } };
	uint64_t a = named(profile, 0x1100, "f", "/src/a.c", 3);
	uint64_t b = named(profile, 0x1200, "a_longer_name", "", 0);
	uint64_t c = profile_location(profile, 1, 0x1300, NULL, 0);

	profile_add_sample(profile, (uint64_t[]){ a, b }, 2, (int64_t[]){ 2 }, NULL, 0);
	profile_add_sample(profile, (uint64_t[]){ c }, 1, (int64_t[]){ 5 }, labels, 2);
	profile_text_count(profile, "thing", out);
	CHECK_STR(out->str, "thing profile: total 7\n"
			    "5 @ 0x1301\n"
			    "# labels: {\"a\":\"1\", \"b\":\"x\\\"y\"}\n"
			    "#\t0x1300\n"
			    "\n"
			    "2 @ 0x1101 0x1201\n"
			    "#\t0x1100\tf+0x1f\t\t\t/src/a.c:3\n"
			    "#\t0x1200\ta_longer_name+0x1f\t/opt/my app:0\n"
			    "\n"
			    "\n--- Memory map: ---\n"
			    "1000-2000 r-xp 00000500 00:00 0 /opt/my app\n");
	profile_free(profile);
}

static void inlined_lines(void)
{
	const struct profile_line lines[] = { { "inner", "inner", "a.h", 1, 1 },
		{ "ns::outer(int)", "_ZN2ns5outerEi", "b.cc", 20, 10 } };
	struct profile *profile = new_profile(&count, 1);
	g_autoptr(GString) out = g_string_new(NULL), trace = g_string_new(NULL);
	uint64_t id = profile_location(profile, 1, 0x1100, lines, 2);
	uint64_t nameless = profile_location(profile, 1, 0x1400, NULL, 0);

	profile_set_offset(profile, id, 5);
	profile_text_frames(profile, &id, 1, out);
	CHECK_STR(out->str, "#\t0x1100\tinner+0x5\t\ta.h:1\n"
			    "#\t0x1100\tns::outer(int)+0x5\tb.cc:20\n");
	profile_text_trace(profile, (uint64_t[]){ id, nameless }, 2, trace);
	CHECK_STR(trace->str, "inner(...)\n\ta.h:1\n"
			      "ns::outer(int)\n\tb.cc:20 +0x5\n"
			      "[my app+0x900](...)\n\t/opt/my app:0 +0x0\n");
	profile_free(profile);
}

static void creators(void)
{
	struct profile *profile = new_profile(&count, 1);
	g_autoptr(GString) out = g_string_new(NULL);
	uint64_t a = named(profile, 0x1100, "std::thread::_M_start_thread(...)", "", 0);
	uint64_t b = named(profile, 0x1200, "pool_grow", "pool.cc", 7);
	uint64_t c = named(profile, 0x1300, "main", "main.cc", 8);

	profile_text_created(profile, (uint64_t[]){ a, b, c }, 3, 42, out);
	CHECK_STR(out->str, "created by pool_grow in goroutine 42\n\tpool.cc:7 +0x1f\n");
	profile_free(profile);
}

static void contentions(void)
{
	struct profile *profile = new_profile(waits, 2);
	g_autoptr(GString) out = g_string_new(NULL), block = g_string_new(NULL);
	uint64_t a = profile_location(profile, 1, 0x1100, NULL, 0);
	uint64_t b = profile_location(profile, 1, 0x1200, NULL, 0);

	profile_add_sample(profile, &a, 1, (int64_t[]){ 9, 100 }, NULL, 0);
	profile_add_sample(profile, &b, 1, (int64_t[]){ 2, 300 }, NULL, 0);
	profile_text_contention(profile, 1, out);
	CHECK_STR(out->str, "--- mutex:\ncycles/second=1000000000\nsampling period=1\n"
			    "300 2 @ 0x1201\n#\t0x1200\n\n"
			    "100 9 @ 0x1101\n#\t0x1100\n\n"
			    "\n--- Memory map: ---\n"
			    "1000-2000 r-xp 00000500 00:00 0 /opt/my app\n");
	profile_text_contention(profile, 0, block);
	CHECK(g_str_has_prefix(block->str, "--- contention:\ncycles/second=1000000000\n300 2 "));
	profile_free(profile);
}

static void heap_pairs_differ(void)
{
	const struct profile_value_type types[] = { { "alloc_objects", "count" },
		{ "alloc_space", "bytes" }, { "inuse_objects", "count" },
		{ "inuse_space", "bytes" } };
	struct profile *profile = new_profile(types, 4);
	g_autoptr(GString) out = g_string_new(NULL);
	uint64_t a = profile_location(profile, 1, 0x1100, NULL, 0);

	profile_add_sample(profile, &a, 1, (int64_t[]){ 3, 300, 3, 300 }, NULL, 0);
	profile_text_heap(profile, 1000, "# X = 1\n", out);
	CHECK_STR(out->str, "heap profile: 3: 300 [3: 301] @ heap/2000\n"
			    "3: 300 [3: 300] @ 0x1101\n#\t0x1100\n\n"
			    "\n# X = 1\n"
			    "\n--- Memory map: ---\n"
			    "1000-2000 r-xp 00000500 00:00 0 /opt/my app\n");
	profile_free(profile);
}

static void quotes(void)
{
	g_autoptr(GString) out = g_string_new(NULL);

	profile_text_quote("a\"b\\c\nd\te\x01\xff\xc3\xa9", out);
	CHECK_STR(out->str, "\"a\\\"b\\\\c\\nd\\te\\x01\\xff\xc3\xa9\"");
}

static void zeros_leave_nothing(void)
{
	struct profile *profile = new_profile(&count, 1);
	g_autoptr(GString) out = g_string_new(NULL);
	uint64_t a = named(profile, 0x1100, "gone", "", 0);
	uint64_t b = named(profile, 0x1200, "kept", "k.c", 4);

	profile_add_sample(profile, &a, 1, (int64_t[]){ 4 }, NULL, 0);
	profile_add_sample(profile, &b, 1, (int64_t[]){ -1 }, NULL, 0);
	profile_add_sample(profile, &a, 1, (int64_t[]){ -4 }, NULL, 0);
	profile = profile_drop_zeros(profile);
	CHECK_INT(profile_n_samples(profile), 1);
	CHECK_INT(profile_location(profile, 1, 0x1200, NULL, 0), 1);
	profile_text_frames(profile, (uint64_t[]){ 1 }, 1, out);
	CHECK_STR(out->str, "#\t0x1200\tkept+0x1f\tk.c:4\n");
	profile_free(profile);
}

static void one_space_for_all(void)
{
	struct profile *profile = profile_new(&count, 1, count, 1);
	struct profile_space *space = profile_space_new(profile);
	struct profile_mapping app = { 0x1000, 0x2000, 0, "/app", "aa" };
	struct profile_mapping moved = { 0x5000, 0x6000, 0, "/app", "aa" };
	struct profile_mapping other = { 0x1800, 0x2800, 0, "/other", "bb" };
	uint64_t shift = 1, first, again;

	first = profile_space_map(space, &app, &shift);
	CHECK_INT(shift, 0);
	/* The same file elsewhere is the same mapping. */
	CHECK_INT(profile_space_map(space, &moved, &shift), first);
	CHECK_INT(0x5010 + shift, 0x1010);
	/* Another file in its place moves away, to the same place each time. */
	CHECK(profile_space_map(space, &other, &shift) != first);
	CHECK((0x1800 + shift) >> 56 == 1);
	again = shift;
	CHECK_INT(profile_space_address(space, 0, 0x9000), 0x9000);
	CHECK(profile_space_address(space, 0, 0x1800) != 0x1800);
	CHECK(profile_space_address(space, 0, 0) != 0);
	CHECK(profile_space_address(space, 3, 0x9000) != profile_space_address(space, 4, 0x9000));
	CHECK_INT(profile_space_pseudo(space, "[x]"), profile_space_pseudo(space, "[x]"));
	CHECK(profile_space_pseudo(space, "[x]") != profile_space_pseudo(space, "[y]"));
	profile_space_free(space);
	profile_free(profile);
	profile = profile_new(&count, 1, count, 1);
	space = profile_space_new(profile);
	app.filename = "/third";
	profile_space_map(space, &app, &shift);
	profile_space_map(space, &other, &shift);
	CHECK_INT(shift, again);
	profile_space_free(space);
	profile_free(profile);
}

int main(void)
{
	CASE(counts, "records by count, with labels, columns and the map");
	CASE(inlined_lines, "inlined functions have lines of their own");
	CASE(creators, "who created a thread is not the C++ library");
	CASE(contentions, "waits by delay, in nanoseconds");
	CASE(heap_pairs_differ, "the header of a heap never has two equal pairs");
	CASE(quotes, "strings are quoted as in Go");
	CASE(zeros_leave_nothing, "a sample that became 0 leaves nothing behind");
	CASE(one_space_for_all, "several processes share one address space");
	return CHECK_DONE();
}
