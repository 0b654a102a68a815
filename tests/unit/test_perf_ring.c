/* SPDX-License-Identifier: MIT */
/* Records written as the kernel writes them, read back; and damaged ones. */
#include "recorder/perf_ring.h"

#include <stdlib.h>

#include "check.h"

#define SIZE 131072u /* bytes of the ring */

static struct perf_event_mmap_page page;
static _Alignas(8) uint8_t data[SIZE], scratch[65536];
static uint64_t words[8200];
static unsigned n_words;

static void put(uint64_t word)
{
	words[n_words++] = word;
}

static uint64_t pair(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

static void put_text(const char *text)
{
	size_t n = strlen(text) / 8 + 1;

	memset(&words[n_words], 0, n * 8);
	memcpy(&words[n_words], text, strlen(text));
	n_words += (unsigned)n;
}

static struct perf_ring ring_new(void)
{
	memset(&page, 0, sizeof(page));
	memset(data, 0xa5, sizeof(data));
	return (struct perf_ring){ &page, data, SIZE, 0, 0, scratch, 0 };
}

/* Appends the words put so far as one record, wrapping around as the kernel does. */
static void append(uint32_t type, uint16_t misc)
{
	struct perf_event_header header = { type, misc, (uint16_t)(8 + n_words * 8) };
	uint64_t at = page.data_head;

	for (unsigned i = 0; i < 8; i++)
		data[(at + i) % SIZE] = ((const uint8_t *)&header)[i];
	for (unsigned i = 0; i < n_words * 8; i++)
		data[(at + 8 + i) % SIZE] = ((const uint8_t *)words)[i];
	page.data_head += header.size;
	n_words = 0;
}

/* What ends all records but samples. */
static void put_trailer(uint32_t pid, uint32_t tid, uint64_t time_ns, uint64_t id)
{
	put(pair(pid, tid));
	put(time_ns);
	put(id);
}

static void put_sample(uint64_t time_ns, uint64_t abi, unsigned n_stack, unsigned n_real)
{
	put(77); /* id */
	put(pair(10, 11));
	put(time_ns);
	put(abi);
	for (unsigned i = 0; abi && i < PERF_REGS_N; i++)
		put(1000 + i);
	put(n_stack);
	for (unsigned i = 0; i < n_stack / 8; i++)
		put(0x1111111111111111u * (i % 10));
	if (n_stack)
		put(n_real);
}

static void test_sample(void)
{
	struct perf_ring ring = ring_new();
	struct perf_record record;

	put_sample(5, PERF_SAMPLE_REGS_ABI_64, 4096, 4096);
	append(PERF_RECORD_SAMPLE, 0);
	put_sample(6, PERF_SAMPLE_REGS_ABI_64, 4096, 800);
	append(PERF_RECORD_SAMPLE, 0);
	CHECK(!perf_ring_peek(&ring, &record)); /* not looked yet */
	perf_ring_look(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK_INT(record.type, PERF_RECORD_SAMPLE);
	CHECK_INT(record.time_ns, 5);
	CHECK_INT(record.id, 77);
	CHECK_INT(record.pid, 10);
	CHECK_INT(record.tid, 11);
	CHECK(record.sample.has_regs);
	CHECK_INT(record.sample.regs[0], 1000);
	CHECK_INT(record.sample.regs[PERF_REGS_N - 1], 1000 + PERF_REGS_N - 1);
	CHECK_INT(record.sample.n_stack, 4096);
	CHECK(record.sample.is_short);
	CHECK_INT(((const uint64_t *)(const void *)record.sample.stack)[3], 0x3333333333333333);
	CHECK(perf_ring_peek(&ring, &record)); /* the same again */
	CHECK_INT(record.time_ns, 5);
	perf_ring_next(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK_INT(record.time_ns, 6);
	CHECK_INT(record.sample.n_stack, 800);
	CHECK(!record.sample.is_short);
	perf_ring_next(&ring);
	CHECK(!perf_ring_peek(&ring, &record));
	CHECK_INT(page.data_tail, 0);
	perf_ring_release(&ring);
	CHECK_INT(page.data_tail, page.data_head);
	CHECK_INT(ring.n_damaged, 0);
}

static void test_sample_without_registers(void)
{
	struct perf_ring ring = ring_new();
	struct perf_record record;

	put_sample(5, PERF_SAMPLE_REGS_ABI_NONE, 0, 0);
	append(PERF_RECORD_SAMPLE, 0);
	put_sample(6, PERF_SAMPLE_REGS_ABI_32, 64, 64);
	append(PERF_RECORD_SAMPLE, 0);
	perf_ring_look(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK(!record.sample.has_regs);
	CHECK_INT(record.sample.n_stack, 0);
	perf_ring_next(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK(!record.sample.has_regs); /* of a 32-bit program: not ours to unwind */
	CHECK_INT(ring.n_damaged, 0);
}

static void test_wraps(void)
{
	struct perf_ring ring = ring_new();
	struct perf_record record;
	unsigned n = 0, n_wrong = 0;

	for (unsigned round = 0; round < 200; round++) {
		put_sample(round, PERF_SAMPLE_REGS_ABI_64, 32768, 32768);
		append(PERF_RECORD_SAMPLE, 0);
		put_trailer(1, 2, round, 3);
		append(PERF_RECORD_THROTTLE, 0);
		perf_ring_look(&ring);
		while (perf_ring_peek(&ring, &record)) {
			const uint64_t *stack = (const void *)record.sample.stack;

			n_wrong += record.time_ns != round;
			for (unsigned i = 0; record.type == PERF_RECORD_SAMPLE && i < 4096; i++)
				n_wrong += stack[i] != 0x1111111111111111u * (i % 10);
			n++;
			perf_ring_next(&ring);
			perf_ring_release(&ring);
		}
	}
	CHECK_INT(n, 400);
	CHECK_INT(n_wrong, 0);
	CHECK(page.data_head > 20u * SIZE);
}

static void test_others(void)
{
	struct perf_ring ring = ring_new();
	struct perf_record record;

	put(pair(20, 21));
	put(0x7f0000001000);
	put(0x2000);
	put(0x3000);
	for (int i = 0; i < 4; i++)
		put(99);
	put_text("/usr/lib/libx.so.1");
	put_trailer(20, 21, 100, 1);
	append(PERF_RECORD_MMAP2, 0);
	put(pair(30, 31));
	put_text("worker");
	put_trailer(1, 1, 101, 1);
	append(PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC);
	put(pair(40, 20));
	put(pair(41, 21));
	put(0);
	put_trailer(20, 21, 102, 1);
	append(PERF_RECORD_FORK, 0);
	put(1);
	put(12);
	put_trailer(1, 1, 103, 1);
	append(PERF_RECORD_LOST, 0);
	put_trailer(1, 1, 104, 1);
	append(PERF_RECORD_CGROUP, 0);

	perf_ring_look(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK_INT(record.type, PERF_RECORD_MMAP2);
	CHECK_INT(record.pid, 20);
	CHECK_INT(record.time_ns, 100);
	CHECK_INT(record.mmap.start, 0x7f0000001000);
	CHECK_INT(record.mmap.end, 0x7f0000003000);
	CHECK_INT(record.mmap.offset, 0x3000);
	CHECK_STR(record.mmap.path, "/usr/lib/libx.so.1");
	perf_ring_next(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK_INT(record.pid, 30); /* whose name it is, not who wrote it */
	CHECK(record.comm.is_exec);
	CHECK_STR(record.comm.name, "worker");
	perf_ring_next(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK_INT(record.type, PERF_RECORD_FORK);
	CHECK_INT(record.pid, 40);
	CHECK_INT(record.tid, 41);
	CHECK_INT(record.task.parent_pid, 20);
	perf_ring_next(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK_INT(record.lost.n, 12);
	perf_ring_next(&ring);
	CHECK(perf_ring_peek(&ring, &record));
	CHECK_INT(record.type, 0); /* a kind that nobody asked for */
	CHECK_INT(record.time_ns, 104);
	perf_ring_next(&ring);
	CHECK(!perf_ring_peek(&ring, &record));
	CHECK_INT(ring.n_damaged, 0);
}

/* One damaged record and a good one behind it: both are skipped, and it is counted. */
static void check_damaged(uint32_t type)
{
	struct perf_ring ring = ring_new();
	struct perf_record record;

	append(type, 0);
	put_trailer(1, 1, 9, 1);
	append(PERF_RECORD_THROTTLE, 0);
	perf_ring_look(&ring);
	CHECK(!perf_ring_peek(&ring, &record));
	CHECK_INT(ring.n_damaged, 1);
	CHECK_INT(ring.at, page.data_head);
	put_trailer(1, 1, 9, 1);
	append(PERF_RECORD_THROTTLE, 0);
	perf_ring_look(&ring);
	CHECK(perf_ring_peek(&ring, &record));
}

static void test_damaged(void)
{
	struct perf_ring ring = ring_new();
	struct perf_record record;

	put(77); /* a sample that ends after its id */
	check_damaged(PERF_RECORD_SAMPLE);
	put_sample(1, PERF_SAMPLE_REGS_ABI_64, 64, 72); /* more than was copied */
	check_damaged(PERF_RECORD_SAMPLE);
	put_sample(1, PERF_SAMPLE_REGS_ABI_64, 0, 0);
	words[n_words - 1] = 1u << 20; /* a stack that is not there */
	check_damaged(PERF_RECORD_SAMPLE);
	put(1); /* shorter than what all end with */
	check_damaged(PERF_RECORD_EXIT);
	put(pair(1, 1));
	put(0x4141414141414141); /* a name without an end */
	put_trailer(1, 1, 9, 1);
	check_damaged(PERF_RECORD_COMM);
	for (int i = 0; i < 8; i++)
		put(0);
	put_text("/empty");
	put_trailer(1, 1, 9, 1);
	check_damaged(PERF_RECORD_MMAP2);

	/* Headers with impossible sizes. */
	for (unsigned size = 0; size < 24; size += 3) {
		struct perf_event_header header = { PERF_RECORD_EXIT, 0, (uint16_t)size };

		ring = ring_new();
		memcpy(data, &header, sizeof(header));
		page.data_head = 16;
		perf_ring_look(&ring);
		CHECK(!perf_ring_peek(&ring, &record));
		CHECK_INT(ring.n_damaged, 1);
	}
}

/* Whatever bytes there are: no read outside (ASan), and an end. */
static void test_random(void)
{
	unsigned n = 0;

	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		struct perf_ring ring = ring_new();
		struct perf_record record;

		ring.at = (unsigned)rand() % SIZE & ~7u;
		page.data_head = ring.at + ((unsigned)rand() % 512 & ~7u);
		for (uint64_t i = ring.at; i < page.data_head; i++)
			data[i % SIZE] = (uint8_t)(rand() >> 7);
		for (uint64_t i = ring.at; i + 8 <= page.data_head; i += 8)
			if (rand() % 4 == 0) {
				struct perf_event_header header = { (uint32_t)rand() % 12, 0,
					(uint16_t)(8 + rand() % 8 * 8) };

				memcpy(&data[i % SIZE], &header, sizeof(header));
			}
		perf_ring_look(&ring);
		while (perf_ring_peek(&ring, &record)) {
			perf_ring_next(&ring);
			n++;
		}
		CHECK(ring.at == ring.end);
	}
	CHECK(n > 100);
}

int main(void)
{
	CASE(test_sample, "a sample gives thread, time, registers and stack");
	CASE(test_sample_without_registers, "a sample without 64-bit registers says so");
	CASE(test_wraps, "records that wrap around the ring's end are put together");
	CASE(test_others, "mmap, exec, fork and loss are read, what is unknown is passed over");
	CASE(test_damaged, "what cannot be a record is skipped and counted");
	CASE(test_random, "random bytes do no harm");
	return CHECK_DONE();
}
