/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "viewer/latency.h"

static void small_values_are_exact(void)
{
	struct latency latency = { 0 };

	for (uint64_t i = 1; i <= 100; i++)
		latency_add(&latency, i);
	CHECK_INT(latency_percentile(&latency, 50), 50);
	CHECK_INT(latency_percentile(&latency, 90), 90);
	CHECK_INT(latency_percentile(&latency, 99), 99);
	CHECK_INT(latency_percentile(&latency, 100), 100);
	CHECK_INT(latency_percentile(&latency, 0), 1);
	CHECK_INT(latency.sum_ns, 5050);
	latency_fini(&latency);
}

static void large_values_are_close(void)
{
	struct latency latency = { 0 };

	for (uint64_t i = 1; i <= 1000; i++)
		latency_add(&latency, i * 1000003);
	for (int percent = 10; percent < 100; percent += 10) {
		uint64_t want = (uint64_t)percent * 10 * 1000003;
		uint64_t got = latency_percentile(&latency, percent);
		CHECK(got >= want && got - want <= want / 125);
	}
	CHECK_INT(latency_percentile(&latency, 100), 1000003000);
	latency_fini(&latency);
}

static void extremes_fit(void)
{
	struct latency latency = { 0 };

	CHECK_INT(latency_percentile(&latency, 50), 0);
	latency_add(&latency, 0);
	latency_add(&latency, UINT64_MAX);
	CHECK_INT(latency_percentile(&latency, 50), 0);
	CHECK(latency_percentile(&latency, 99) == UINT64_MAX);
	latency_fini(&latency);
}

int main(void)
{
	CASE(small_values_are_exact, "percentiles of small values are exact");
	CASE(large_values_are_close, "percentiles of large values are at most 0.8 % too large");
	CASE(extremes_fit, "none, 0 and the largest value are fine");
	return CHECK_DONE();
}
