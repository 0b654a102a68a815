/* SPDX-License-Identifier: MIT */
#include "common/units.h"

#include <errno.h>

#include "check.h"

/* The parsed value, or the (negative) error. */
static int64_t duration(const char *text)
{
	int64_t ns = 0;
	int err = units_duration_parse(text, &ns);

	return err ? err : ns;
}

static void test_durations(void)
{
	CHECK_INT(duration("30s"), 30000000000);
	CHECK_INT(duration("1m30s"), 90000000000);
	CHECK_INT(duration("500ms"), 500000000);
	CHECK_INT(duration("1.5h"), 5400000000000);
	CHECK_INT(duration("2\xc2\xb5s"), 2000);
	CHECK_INT(duration("2\xce\xbcs"), 2000);
	CHECK_INT(duration("2us"), 2000);
	CHECK_INT(duration("7ns"), 7);
	CHECK_INT(duration("0"), 0);
	CHECK_INT(duration("+5s"), 5000000000);
	CHECK_INT(duration("-1.5s"), -1500000000);
	CHECK_INT(duration(".5s"), 500000000);
	CHECK_INT(duration("1.s"), 1000000000);
	CHECK_INT(duration("1h2m3.004005006s"), 3723004005006);
	/* Fractions below one nanosecond are dropped. */
	CHECK_INT(duration("0.9ns"), 0);
	CHECK_INT(duration("1.00000000000000000000001s"), 1000000000);
}

static void test_bad_durations(void)
{
	static const char *const bad[] = { "", "30", "s", "1x", "1 s", "abc", "-", "+", ".s",
		"1m30", "1,5s", "1sm", "0x10s", "1e3s", "infs", "nan", " 1s", "1s ", "--1s",
		"1.2.3s", "1\xc2s" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_INT(duration(bad[i]), -EINVAL);
		if (duration(bad[i]) != -EINVAL)
			printf("# of \"%s\"\n", bad[i]);
	}
}

static void test_duration_limits(void)
{
	CHECK_INT(duration("9223372036854775807ns"), INT64_MAX);
	CHECK_INT(duration("9223372036854775808ns"), -ERANGE);
	CHECK_INT(duration("2562047h47m16.854775807s"), INT64_MAX);
	CHECK_INT(duration("2562048h"), -ERANGE);
	CHECK_INT(duration("99999999999999999999999h"), -ERANGE);
	CHECK_INT(duration("9223372036s9223372036s"), -ERANGE);
}

static void check_duration_text(int64_t ns, const char *want)
{
	char text[64];

	units_duration_format(ns, text, sizeof(text));
	CHECK_STR(text, want);
	CHECK_INT(duration(text), ns);
}

static void test_duration_format(void)
{
	check_duration_text(0, "0s");
	check_duration_text(999, "999ns");
	check_duration_text(1500, "1.5\xc2\xb5s");
	check_duration_text(10000, "10\xc2\xb5s");
	check_duration_text(500000000, "500ms");
	check_duration_text(1000000000, "1s");
	check_duration_text(90000000000, "1m30s");
	check_duration_text(3600000000000, "1h0m0s");
	check_duration_text(-1500000000, "-1.5s");
	check_duration_text(INT64_MAX, "2562047h47m16.854775807s");
}

static int64_t size(const char *text)
{
	uint64_t bytes = 0;
	int err = units_size_parse(text, &bytes);

	return err ? err : (int64_t)bytes;
}

static void test_sizes(void)
{
	CHECK_INT(size("0"), 0);
	CHECK_INT(size("4096"), 4096);
	CHECK_INT(size("64M"), 64 << 20);
	CHECK_INT(size("64m"), 64 << 20);
	CHECK_INT(size("64MiB"), 64 << 20);
	CHECK_INT(size("64MB"), 64 << 20);
	CHECK_INT(size("1.5G"), 3ll << 29);
	CHECK_INT(size("2T"), 2ll << 40);
	CHECK_INT(size("10B"), 10);
	CHECK_INT(size("0.5K"), 512);
	CHECK_INT(size(""), -EINVAL);
	CHECK_INT(size("12Q"), -EINVAL);
	CHECK_INT(size("M"), -EINVAL);
	CHECK_INT(size("1.5"), -EINVAL);
	CHECK_INT(size("-1"), -EINVAL);
	CHECK_INT(size("1MM"), -EINVAL);
	CHECK_INT(size("1 M"), -EINVAL);
	CHECK_INT(size("9223372036854775807"), INT64_MAX);
	CHECK_INT(size("8388608T"), -ERANGE);
	CHECK_INT(size("99999999999999999999"), -ERANGE);
}

static void test_size_format(void)
{
	char text[32];

	units_size_format(300, text, sizeof(text));
	CHECK_STR(text, "300 B");
	units_size_format(64 << 20, text, sizeof(text));
	CHECK_STR(text, "64 MiB");
	units_size_format(3ull << 29, text, sizeof(text));
	CHECK_STR(text, "1.5 GiB");
}

static void test_counts(void)
{
	uint64_t n = 7;

	CHECK_INT(units_count_parse("64", 128, &n), 0);
	CHECK_INT(n, 64);
	CHECK_INT(units_count_parse("129", 128, &n), -ERANGE);
	CHECK_INT(units_count_parse("", 128, &n), -EINVAL);
	CHECK_INT(units_count_parse("-1", 128, &n), -EINVAL);
	CHECK_INT(units_count_parse("1.5", 128, &n), -EINVAL);
	CHECK_INT(units_count_parse("5x", 128, &n), -EINVAL);
	CHECK_INT(n, 64);
}

int main(void)
{
	CASE(test_durations, "durations are read as Go reads them");
	CASE(test_bad_durations, "what is no duration is refused, bare numbers too");
	CASE(test_duration_limits, "durations beyond 64 bits are out of range, not wrapped");
	CASE(test_duration_format, "durations are written so that they read back the same");
	CASE(test_sizes, "sizes take binary units and refuse the rest");
	CASE(test_size_format, "sizes are written for people");
	CASE(test_counts, "counts are decimal and bounded");
	return CHECK_DONE();
}
