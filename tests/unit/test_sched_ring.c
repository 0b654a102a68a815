/* SPDX-License-Identifier: MIT */
/* A ring that is written backwards as the kernel does it, read back while it is written over. */
#include "recorder/sched_ring.h"

#include <stdlib.h>

#include "check.h"

#define SIZE 65536u /* bytes of the ring */

static struct perf_event_mmap_page page;
static _Alignas(8) uint8_t data[SIZE];
static uint8_t copy[SIZE];
static struct sched_switch_record got[SIZE];
static unsigned n_got;

static struct sched_ring ring_new(void)
{
	memset(&page, 0, sizeof(page));
	memset(data, 0xa5, sizeof(data));
	n_got = 0;
	return (struct sched_ring){ .page = &page, .data = data, .size = SIZE, .copy = copy };
}

static void put(uint32_t type, uint16_t misc, uint32_t tid, uint64_t ns)
{
	struct perf_event_header header = { type, misc, 24 };
	uint32_t ids[2] = { 7, tid };
	uint8_t bytes[24];

	memcpy(bytes, &header, 8);
	memcpy(bytes + 8, ids, 8);
	memcpy(bytes + 16, &ns, 8);
	page.data_head -= 24;
	for (unsigned i = 0; i < 24; i++)
		data[(page.data_head + i) % SIZE] = bytes[i];
}

static void put_in(uint32_t tid, uint64_t ns)
{
	put(PERF_RECORD_SWITCH, 0, tid, ns);
}

static void keep(const struct sched_switch_record *record, void *user)
{
	got[n_got++] = *record;
}

static void in_order(void)
{
	struct sched_ring ring = ring_new();

	CHECK_INT(sched_ring_take(&ring, keep, NULL), 0);
	CHECK_INT(n_got, 0);
	put_in(11, 100);
	put(PERF_RECORD_SWITCH, PERF_RECORD_MISC_SWITCH_OUT, 11, 200);
	put_in(12, 300);
	put(PERF_RECORD_SWITCH, PERF_RECORD_MISC_SWITCH_OUT | PERF_RECORD_MISC_SWITCH_OUT_PREEMPT,
		12, 400);
	CHECK_INT(sched_ring_take(&ring, keep, NULL), 0);
	CHECK_INT(n_got, 4);
	CHECK_INT(got[0].ns, 100);
	CHECK_INT(got[0].pid, 7);
	CHECK_INT(got[0].tid, 11);
	CHECK_INT(got[0].is_out, 0);
	CHECK_INT(got[1].is_out, 1);
	CHECK_INT(got[1].is_preempted, 0);
	CHECK_INT(got[3].ns, 400);
	CHECK_INT(got[3].is_preempted, 1);
	/* Nothing comes twice. */
	CHECK_INT(sched_ring_take(&ring, keep, NULL), 0);
	CHECK_INT(n_got, 4);
}

static void around_the_end(void)
{
	struct sched_ring ring = ring_new();
	uint64_t ns = 0;

	for (unsigned i = 0; i < 40; i++) {
		/* No multiple of the ring, so that records lie across its end. */
		for (unsigned k = 0; k < 1000; k++)
			put_in(1 + k % 2, ++ns);
		CHECK_INT(sched_ring_take(&ring, keep, NULL), 0);
		CHECK_INT(n_got, 1000);
		CHECK_INT(got[0].ns, ns - 999);
		CHECK_INT(got[999].ns, ns);
		n_got = 0;
	}
}

static void written_over(void)
{
	struct sched_ring ring = ring_new();
	uint64_t n_lost;

	for (unsigned i = 0; i < 10000; i++)
		put_in(1 + i % 2, i);
	n_lost = sched_ring_take(&ring, keep, NULL);
	/* What is left is the newest, without a hole, and all others are counted. */
	CHECK_INT(n_lost + n_got, 10000);
	CHECK(n_got > 2000 && n_got * 24 <= SIZE);
	CHECK_INT(got[n_got - 1].ns, 9999);
	for (unsigned i = 1; i < n_got; i++)
		if (got[i].ns != got[i - 1].ns + 1)
			CHECK_INT(got[i].ns, got[i - 1].ns + 1);
}

static void seen_twice(void)
{
	struct sched_ring ring = ring_new();

	put_in(11, 100);
	put_in(11, 101);
	put(PERF_RECORD_SWITCH, PERF_RECORD_MISC_SWITCH_OUT, 11, 200);
	put(PERF_RECORD_SWITCH, PERF_RECORD_MISC_SWITCH_OUT, 11, 201);
	put_in(11, 300);
	sched_ring_take(&ring, keep, NULL);
	CHECK_INT(n_got, 3);
	/* Also where the two are read one after the other. */
	put_in(11, 301);
	sched_ring_take(&ring, keep, NULL);
	CHECK_INT(n_got, 3);
}

static void others_and_damage(void)
{
	struct sched_ring ring = ring_new();
	uint16_t zero = 0;

	put_in(11, 100);
	put(PERF_RECORD_LOST, 0, 11, 150);
	put_in(12, 200);
	sched_ring_take(&ring, keep, NULL);
	CHECK_INT(n_got, 2);
	put_in(13, 300);
	put_in(14, 400);
	/* The older one has no size: it cannot be passed. */
	memcpy(data + ((page.data_head + 24 + 6) % SIZE), &zero, 2);
	CHECK_INT(sched_ring_take(&ring, keep, NULL), 1);
	CHECK_INT(n_got, 3);
	CHECK_INT(got[2].tid, 14);
}

int main(void)
{
	CASE(in_order, "records come oldest first, once");
	CASE(around_the_end, "records across the end of the ring are whole");
	CASE(written_over, "what was written over is counted, and what is left is the newest");
	CASE(seen_twice, "a switch that two events saw is told once");
	CASE(others_and_damage, "other records are passed over; damage ends the reading");
	return CHECK_DONE();
}
