/* SPDX-License-Identifier: MIT */
#include "recorder/lttng_ctl.h"

#include "check.h"

static int is_pow2(uint64_t n)
{
	return n && !(n & (n - 1));
}

static void test_default(void)
{
	struct lttng_geometry ring = lttng_geometry_fit(64u << 20, 2);

	/* 32 MiB per CPU in many pieces: the oldest goes as a whole. */
	CHECK_INT(ring.subbuf_bytes, 128 << 10);
	CHECK_INT(ring.n_subbuf, 256);
	CHECK_INT(ring.total_bytes, 2 * 257 * (128 << 10));
}

static void test_rules(void)
{
	for (uint64_t bytes = 1 << 20; bytes <= 1ull << 36; bytes = bytes * 3 / 2) {
		for (unsigned n_cpus = 1; n_cpus <= 512; n_cpus *= 2) {
			struct lttng_geometry ring = lttng_geometry_fit(bytes, n_cpus);

			/* What LTTng demands. */
			CHECK(is_pow2(ring.subbuf_bytes) && ring.subbuf_bytes >= 4096);
			CHECK(is_pow2(ring.n_subbuf) && ring.n_subbuf >= 2);
			/* Within what was asked, and the spare one; tiny requests get the minimum. */
			CHECK(ring.subbuf_bytes * ring.n_subbuf <= bytes / n_cpus ||
				(ring.subbuf_bytes == 4096 && ring.n_subbuf == 2));
			CHECK(ring.n_subbuf <= 256);
		}
	}
}

int main(void)
{
	CASE(test_default, "the default ring has many small pieces");
	CASE(test_rules, "every shape is one that LTTng accepts, within the memory asked for");
	return CHECK_DONE();
}
