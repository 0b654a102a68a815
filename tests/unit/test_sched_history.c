/* SPDX-License-Identifier: MIT */
/* Records that are packed, forgotten, moved to a file and read back. */
#include "recorder/sched_history.h"

#include <errno.h>

#include "check.h"
#include "recorder/sched_chunk.h"
#include "temp_dir.h"

static const char *folder;

/* The i-th record of a stream that uses every kind, several CPUs, and more threads than the packer remembers. */
static struct sched_record nth(uint64_t i)
{
	struct sched_record record = {
		.ns = 1000000000 + i * 100000,
		.kind = i % 4,
		.cpu = i % 3,
		.pid = 4000 + i % 5,
		.tid = 100000 + (uint32_t)(i * 7919 % 700),
	};

	if (record.kind == SCHED_WAKEUP && i % 8 != 7) {
		record.waker_pid = 4194303;
		record.waker_tid = 4194304 - (uint32_t)(i % 3);
	}
	return record;
}

static int is_equal(const struct sched_record *a, const struct sched_record *b)
{
	return a->ns == b->ns && a->kind == b->kind && a->cpu == b->cpu && a->pid == b->pid &&
	       a->tid == b->tid && a->waker_pid == b->waker_pid && a->waker_tid == b->waker_tid;
}

/* Reads from number `from` to the end of what was written, and frees. Returns how many were as they should. */
static uint64_t read_all(struct sched_cursor *cursor, uint64_t from)
{
	struct sched_record record;
	uint64_t n = 0;
	int err = 0;

	while (sched_cursor_next(cursor, &record, &err)) {
		struct sched_record want = nth(from + n);

		if (!is_equal(&record, &want))
			break;
		n++;
	}
	CHECK_INT(err, 0);
	sched_cursor_free(cursor);
	return n;
}

static struct sched_history *filled(uint64_t limit, uint64_t n)
{
	struct sched_history *history = sched_history_new(4, limit, folder);

	for (uint64_t i = 0; i < n; i++) {
		struct sched_record record = nth(i);

		sched_history_add(history, &record);
	}
	return history;
}

static void comes_back(void)
{
	struct sched_history *history = filled(64 << 20, 50000);
	struct sched_history_state state;

	CHECK_INT(read_all(sched_history_read(history, 0, UINT64_MAX), 0), 50000);
	/* A window, both ends inclusive. */
	CHECK_INT(read_all(sched_history_read(history, nth(777).ns, nth(40000).ns), 777), 39224);
	CHECK_INT(read_all(sched_history_read(history, nth(777).ns + 1, nth(778).ns), 778), 1);
	CHECK_INT(read_all(sched_history_read(history, 1, 2), 0), 0);
	sched_history_state(history, &state);
	CHECK(state.memory_bytes > 50000 && state.memory_bytes < 50000 * 14);
	CHECK_INT(state.n_dropped, 0);
	sched_history_free(history);
}

static void small(void)
{
	struct sched_history *history = sched_history_new(1, 64 << 20, folder);
	struct sched_history_state state;

	/* Two threads in turn, 5 us apart, as in ping-pong. */
	for (uint64_t i = 0; i < 200000; i++) {
		struct sched_record record = {
			.ns = i * 5000, .kind = i % 2, .pid = 4000, .tid = 4000 + i / 2 % 2
		};

		sched_history_add(history, &record);
	}
	sched_history_state(history, &state);
	CHECK(state.memory_bytes <= 200000 * 4 + SCHED_CHUNK_BYTES * 2);
	sched_history_free(history);
}

static void is_bounded(void)
{
	struct sched_history *history = filled(256 << 10, 300000);
	struct sched_history_state state;
	struct sched_cursor *cursor;
	struct sched_record first;
	uint64_t number;
	int err = 0;

	sched_history_state(history, &state);
	CHECK(state.memory_bytes <= (256 << 10) + 4 * SCHED_CHUNK_BYTES);
	CHECK(state.n_dropped > 100000 && state.n_dropped < 300000);
	CHECK_INT(state.spool_bytes, 0);
	/* From covered_ns on nothing is missing. */
	cursor = sched_history_read(history, state.covered_ns, UINT64_MAX);
	CHECK(sched_cursor_next(cursor, &first, &err));
	number = (first.ns - nth(0).ns) / 100000;
	sched_cursor_free(cursor);
	CHECK_INT(read_all(sched_history_read(history, state.covered_ns, UINT64_MAX), number),
		300000 - number);
	sched_history_free(history);
}

static void is_spooled(void)
{
	struct sched_history *history = filled(256 << 10, 100000);
	struct sched_history_state state;
	struct sched_cursor *cursor;

	sched_history_keep(history, nth(100000).ns);
	for (uint64_t i = 100000; i < 400000; i++) {
		struct sched_record record = nth(i);

		sched_history_add(history, &record);
	}
	sched_history_state(history, &state);
	CHECK(state.memory_bytes <= (256 << 10) + 4 * SCHED_CHUNK_BYTES);
	CHECK(state.spool_bytes > 300000);
	CHECK(state.covered_ns <= nth(100000).ns);
	CHECK_INT(
		read_all(sched_history_read(history, nth(100000).ns, UINT64_MAX), 100000), 300000);
	/* Who reads goes on when the run is over. */
	cursor = sched_history_read(history, nth(100000).ns, UINT64_MAX);
	sched_history_forget(history);
	sched_history_state(history, &state);
	CHECK_INT(state.spool_bytes, 0);
	CHECK(state.covered_ns > nth(100000).ns);
	CHECK_INT(read_all(cursor, 100000), 300000);
	sched_history_free(history);
}

static void no_room_on_disk(void)
{
	struct sched_history *history = sched_history_new(4, 64 << 10, "/nonexistent");
	struct sched_history_state state;

	sched_history_keep(history, 0);
	for (uint64_t i = 0; i < 100000; i++) {
		struct sched_record record = nth(i);

		sched_history_add(history, &record);
	}
	sched_history_state(history, &state);
	CHECK(state.n_dropped > 0 && state.covered_ns > nth(0).ns);
	sched_history_free(history);
}

static void gaps(void)
{
	struct sched_history *history = filled(1 << 20, 10);
	struct sched_history_state state;

	sched_history_gap(history, 500, 0);
	sched_history_gap(history, 1000, 3);
	sched_history_gap(history, 2000, 4);
	sched_history_state(history, &state);
	CHECK_INT(state.n_lost, 7);
	CHECK_INT(state.covered_ns, 2000);
	CHECK_INT(sched_history_missing(history, 0, 999), 0);
	CHECK_INT(sched_history_missing(history, 1000, 1999), 3);
	CHECK_INT(sched_history_missing(history, 1001, 3000), 4);
	/* Very many are added up, and none is forgotten. */
	for (uint64_t i = 0; i < 5000; i++)
		sched_history_gap(history, 3000 + i, 1);
	CHECK_INT(sched_history_missing(history, 0, UINT64_MAX), 5007);
	sched_history_free(history);
}

static void damaged(void)
{
	struct sched_packer packer = { 0 };
	struct sched_unpacker unpacker;
	struct sched_record record = nth(0);
	struct sched_chunk *chunk;

	sched_packer_begin(&packer, 0);
	CHECK(sched_packer_add(&packer, &record));
	CHECK(sched_packer_add(&packer, &record));
	chunk = sched_packer_take(&packer);
	memset(chunk->data, 0xff, chunk->n_bytes);
	CHECK_INT(sched_unpacker_begin(&unpacker, chunk), 0);
	CHECK(!sched_unpacker_next(&unpacker, &record));
	sched_unpacker_end(&unpacker);
}

int main(void)
{
	folder = temp_dir_make(NULL, "history");
	CASE(comes_back, "all that was added comes back in order, and within a window");
	CASE(small, "a record takes four bytes or less");
	CASE(is_bounded, "the oldest are forgotten, and it is known since when nothing is missing");
	CASE(is_spooled, "during a run nothing is forgotten, and readers outlive it");
	CASE(no_room_on_disk, "without room on disk the oldest are forgotten all the same");
	CASE(gaps, "what was never seen is counted where it was");
	CASE(damaged, "a damaged piece ends early");
	return CHECK_DONE();
}
