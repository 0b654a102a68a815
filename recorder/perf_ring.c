/* SPDX-License-Identifier: MIT */
/*
 * The kernel writes at data_head and stops at data_tail + size; data_tail is ours. A record that wraps around the end
 * of the ring is put together in `scratch`. Nothing in the ring is trusted to be well-formed: every length is
 * checked against the record's.
 */
#include "recorder/perf_ring.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <glib.h>

#define MAX_RECORD 65536u

int perf_ring_map(struct perf_ring *ring, int fd, size_t size)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, page_size + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ring = (struct perf_ring){
		.page = map,
		.data = (uint8_t *)map + page_size,
		.size = size,
		.scratch = g_malloc(MAX_RECORD),
	};
	return 0;
}

void perf_ring_unmap(struct perf_ring *ring)
{
	if (!ring->page)
		return;
	munmap(ring->page, (size_t)(ring->data - (uint8_t *)ring->page) + ring->size);
	g_free(ring->scratch);
	*ring = (struct perf_ring){ 0 };
}

void perf_ring_look(struct perf_ring *ring)
{
	/* Acquire: pairs with the kernel's store after the records are complete. */
	ring->end = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
}

void perf_ring_release(struct perf_ring *ring)
{
	/* Release: our reads come before the kernel may write there. */
	__atomic_store_n(&ring->page->data_tail, ring->at, __ATOMIC_RELEASE);
}

/* The record at `at`, in one piece; NULL: damaged. */
static const struct perf_event_header *record_at(struct perf_ring *ring)
{
	uint64_t offset = ring->at & (ring->size - 1), left = ring->end - ring->at;
	const struct perf_event_header *header;
	size_t n, first;

	/* Records are multiples of 8 bytes, so a header never wraps. */
	header = (const void *)(ring->data + offset);
	n = header->size;
	if (left < sizeof(*header) || n < sizeof(*header) || n > left || (n & 7))
		return NULL;
	if (offset + n <= ring->size)
		return header;
	first = (size_t)(ring->size - offset);
	memcpy(ring->scratch, ring->data + offset, first);
	memcpy(ring->scratch + first, ring->data, n - first);
	return (const void *)ring->scratch;
}

/* Reads 64-bit words from a record's body. */
struct words {
	const uint64_t *at, *end;
};

static bool take(struct words *words, uint64_t *value_out)
{
	if (words->at == words->end)
		return false;
	*value_out = *words->at++;
	return true;
}

static void set_ids(struct perf_record *record, uint64_t word)
{
	record->pid = (pid_t)(uint32_t)word;
	record->tid = (pid_t)(uint32_t)(word >> 32);
}

/* IDENTIFIER, TID, TIME, REGS_USER, STACK_USER. */
static bool parse_sample(struct words *words, struct perf_record *record)
{
	uint64_t ids, abi, n_stack, n_real;

	if (!take(words, &record->id) || !take(words, &ids) || !take(words, &record->time_ns) ||
		!take(words, &abi))
		return false;
	set_ids(record, ids);
	if (abi != PERF_SAMPLE_REGS_ABI_NONE) {
		if (words->end - words->at < (ptrdiff_t)PERF_REGS_N)
			return false;
		memcpy(record->sample.regs, words->at, sizeof(record->sample.regs));
		words->at += PERF_REGS_N;
		record->sample.has_regs = abi == PERF_SAMPLE_REGS_ABI_64;
	}
	if (!take(words, &n_stack))
		return false;
	if (n_stack == 0)
		return true;
	if ((n_stack & 7) || n_stack / 8 > (size_t)(words->end - words->at))
		return false;
	record->sample.stack = (const uint8_t *)words->at;
	words->at += n_stack / 8;
	if (!take(words, &n_real) || n_real > n_stack)
		return false;
	record->sample.n_stack = (uint32_t)n_real;
	record->sample.is_short = n_real == n_stack;
	return true;
}

/* A string that ends inside the record. */
static bool take_string(const struct words *words, const char **string_out)
{
	*string_out = (const char *)words->at;
	return memchr(words->at, 0, (size_t)((const char *)words->end - *string_out)) != NULL;
}

/* All others end with the same: TID, TIME, IDENTIFIER. Unknown ones are passed over. */
static bool parse_other(
	struct words *words, const struct perf_event_header *header, struct perf_record *record)
{
	uint64_t ids, tids, length, ignored;

	if (words->end - words->at < 3)
		return false;
	words->end -= 3;
	set_ids(record, words->end[0]);
	record->time_ns = words->end[1];
	record->id = words->end[2];
	switch (header->type) {
	case PERF_RECORD_MMAP2:
		/* pid and tid, range, offset, then device, inode, its generation, protection and flags */
		if (!take(words, &ids) || !take(words, &record->mmap.start) ||
			!take(words, &length) || !take(words, &record->mmap.offset) ||
			!take(words, &ignored) || !take(words, &ignored) ||
			!take(words, &ignored) || !take(words, &ignored) ||
			!take_string(words, &record->mmap.path))
			return false;
		set_ids(record, ids);
		record->mmap.end = record->mmap.start + length;
		return record->mmap.end > record->mmap.start;
	case PERF_RECORD_COMM:
		record->comm.is_exec = (header->misc & PERF_RECORD_MISC_COMM_EXEC) != 0;
		if (!take(words, &ids) || !take_string(words, &record->comm.name))
			return false;
		set_ids(record, ids);
		return true;
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		/* pid, ppid, tid, ptid */
		if (!take(words, &ids) || !take(words, &tids))
			return false;
		record->pid = (pid_t)(uint32_t)ids;
		record->tid = (pid_t)(uint32_t)tids;
		record->task.parent_pid = (pid_t)(uint32_t)(ids >> 32);
		return true;
	case PERF_RECORD_LOST: /* id, number */
		return take(words, &record->id) && take(words, &record->lost.n);
	case PERF_RECORD_LOST_SAMPLES:
		return take(words, &record->lost.n);
	case PERF_RECORD_THROTTLE:
	case PERF_RECORD_UNTHROTTLE:
		return true;
	default:
		record->type = 0;
		return true;
	}
}

bool perf_ring_peek(struct perf_ring *ring, struct perf_record *record)
{
	const struct perf_event_header *header;
	struct words words;

	if (ring->at == ring->end)
		return false;
	memset(record, 0, sizeof(*record));
	header = record_at(ring);
	if (header) {
		words.at = (const uint64_t *)(const void *)(header + 1);
		words.end = (const uint64_t *)(const void *)header + header->size / 8;
		record->type = header->type;
		if (header->type == PERF_RECORD_SAMPLE ? parse_sample(&words, record)
						       : parse_other(&words, header, record))
			return true;
	}
	ring->n_damaged++;
	ring->at = ring->end;
	return false;
}

void perf_ring_next(struct perf_ring *ring)
{
	const struct perf_event_header *header =
		(const void *)(ring->data + (ring->at & (ring->size - 1)));

	ring->at += header->size;
}
