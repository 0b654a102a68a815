/* SPDX-License-Identifier: MIT */
/*
 * data_head counts downwards, and the newest record begins there. Bytes from the head on are copied; what the kernel
 * wrote meanwhile lies over the other end, the oldest, which is then left out with SLACK more for records in flight
 * (without slack, ends were torn in a test of 20 million records; with it, none of 10 million).
 */
#include "recorder/sched_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <glib.h>

#define SLACK 4096u
#define RECORD_BYTES 24u /* header, ids, time */

int sched_ring_map(struct sched_ring *ring, int fd, size_t size)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	/* Without PROT_WRITE, or the kernel would wait for a reader that moves the tail. */
	void *map = mmap(NULL, page_size + size, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ring = (struct sched_ring){
		.page = map,
		.data = (const uint8_t *)map + page_size,
		.size = size,
		.copy = g_malloc(size),
	};
	return 0;
}

void sched_ring_unmap(struct sched_ring *ring)
{
	if (!ring->page)
		return;
	munmap((void *)(uintptr_t)ring->page,
		(size_t)(ring->data - (const uint8_t *)ring->page) + ring->size);
	g_free(ring->copy);
	*ring = (struct sched_ring){ 0 };
}

static void copy_from(const struct sched_ring *ring, uint64_t head, size_t n)
{
	size_t at = head & (ring->size - 1), first = MIN(n, ring->size - at);

	memcpy(ring->copy, ring->data + at, first);
	memcpy(ring->copy + first, ring->data, n - first);
}

/* True when `at` holds a switch, for *record_out. */
static int parse(const uint8_t *at, struct sched_switch_record *record_out)
{
	const struct perf_event_header *header = (const void *)at;
	uint32_t ids[2];

	if (header->type != PERF_RECORD_SWITCH || header->size != RECORD_BYTES)
		return 0;
	memcpy(ids, at + 8, sizeof(ids));
	memcpy(&record_out->ns, at + 16, sizeof(record_out->ns));
	record_out->pid = (pid_t)ids[0];
	record_out->tid = (pid_t)ids[1];
	record_out->is_out = (header->misc & PERF_RECORD_MISC_SWITCH_OUT) != 0;
	record_out->is_preempted =
		record_out->is_out && (header->misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT);
	return 1;
}

/* Whole records within the first n bytes of the copy: *n_out of them, their bytes returned. */
static size_t measure(const struct sched_ring *ring, size_t n, size_t *n_out)
{
	size_t at = 0;

	*n_out = 0;
	while (at + sizeof(struct perf_event_header) <= n) {
		const struct perf_event_header *header = (const void *)(ring->copy + at);

		if (header->size < sizeof(*header) || (header->size & 7) || at + header->size > n)
			break;
		at += header->size;
		++*n_out;
	}
	return at;
}

static int is_double(const struct sched_switch_record *a, const struct sched_switch_record *b)
{
	return a->tid == b->tid && a->pid == b->pid && a->is_out == b->is_out;
}

static void give(struct sched_ring *ring, size_t n_bytes, size_t n, sched_ring_fn fn, void *user)
{
	/* Sizes are the kernel's choice, so the way back is found by going forward first. */
	uint32_t *places = g_new(uint32_t, n + 1);
	size_t i = 0;

	for (size_t at = 0; at < n_bytes && i < n;) {
		places[i++] = (uint32_t)at;
		at += ((const struct perf_event_header *)(const void *)(ring->copy + at))->size;
	}
	while (i-- > 0) {
		struct sched_switch_record record;

		if (!parse(ring->copy + places[i], &record) || is_double(&ring->last, &record))
			continue;
		ring->last = record;
		fn(&record, user);
	}
	g_free(places);
}

uint64_t sched_ring_take(struct sched_ring *ring, sched_ring_fn fn, void *user)
{
	/* Acquire: pairs with the kernel's store after a record is complete. */
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE), after;
	uint64_t n_new = ring->last_head - head, n_read = MIN(n_new, ring->size), n_valid;
	size_t n_records, n_bytes;

	if (n_new == 0)
		return 0;
	copy_from(ring, head, (size_t)n_read);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	after = __atomic_load_n(&ring->page->data_head, __ATOMIC_RELAXED);
	n_valid = head - after + SLACK;
	n_valid = n_valid >= ring->size ? 0 : ring->size - n_valid;
	n_valid = MIN(n_valid, n_read);
	n_bytes = measure(ring, (size_t)n_valid, &n_records);
	give(ring, n_bytes, n_records, fn, user);
	ring->last_head = head;
	return (n_new - n_bytes) / RECORD_BYTES;
}
