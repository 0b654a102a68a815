/* SPDX-License-Identifier: MIT */
/*
 * Complete pieces of all CPUs stand in one queue in the order in which they were completed, which for each CPU is that of time. A
 * cursor takes counts of the pieces and copies of those begun, and merges the CPUs.
 */
#include "recorder/sched_history.h"

#include "recorder/sched_chunk.h"

/* Older losses are added up. */
#define MAX_GAPS 1024u

struct gap {
	uint64_t ns, n;
};

struct sched_history {
	unsigned n_cpus;
	uint64_t limit_bytes;
	const char *spool_dir;	    /* borrowed */
	struct sched_packer **cpus; /* owned, each; NULL until its CPU was seen */
	GQueue memory, spooled;	    /* counted struct sched_chunk, spooled ones all older */
	struct sched_spool *spool;  /* counted; NULL: none */
	bool is_keeping, is_spool_broken;
	uint64_t keep_ns;
	uint64_t memory_bytes;
	uint64_t n_lost, n_dropped, covered_ns;
	GArray *gaps; /* owned: struct gap, ascending */
};

struct lane {
	GQueue chunks; /* counted */
	struct sched_unpacker unpacker;
	struct sched_record record;
	bool has_record;
};

struct sched_cursor {
	struct lane *lanes; /* owned, of all CPUs */
	unsigned n_lanes;
	uint64_t begin_ns, end_ns;
};

struct sched_history *sched_history_new(
	unsigned n_cpus, uint64_t limit_bytes, const char *spool_dir)
{
	struct sched_history *history = g_new0(struct sched_history, 1);

	history->n_cpus = n_cpus;
	history->limit_bytes = limit_bytes;
	history->spool_dir = spool_dir;
	history->cpus = g_new0(struct sched_packer *, n_cpus);
	history->gaps = g_array_new(FALSE, FALSE, sizeof(struct gap));
	return history;
}

static void queue_clear(GQueue *queue)
{
	struct sched_chunk *chunk;

	while ((chunk = g_queue_pop_head(queue)))
		sched_chunk_put(chunk);
}

void sched_history_free(struct sched_history *history)
{
	if (!history)
		return;
	for (unsigned i = 0; i < history->n_cpus; i++) {
		if (history->cpus[i])
			sched_chunk_put(sched_packer_take(history->cpus[i]));
		g_free(history->cpus[i]);
	}
	g_free(history->cpus);
	queue_clear(&history->memory);
	queue_clear(&history->spooled);
	sched_spool_put(history->spool);
	g_array_unref(history->gaps);
	g_free(history);
}

void sched_history_gap(struct sched_history *history, uint64_t ns, uint64_t n)
{
	struct gap gap = { ns, n };

	history->n_lost += n;
	history->covered_ns = MAX(history->covered_ns, ns);
	if (n == 0)
		return;
	if (history->gaps->len == MAX_GAPS) {
		g_array_index(history->gaps, struct gap, 1).n +=
			g_array_index(history->gaps, struct gap, 0).n;
		g_array_remove_index(history->gaps, 0);
	}
	g_array_append_val(history->gaps, gap);
}

static uint64_t cost(const struct sched_chunk *chunk)
{
	return sizeof(*chunk) + (chunk->data ? chunk->n_bytes : 0);
}

/* Moves a piece to the run's file. False: there is no room. */
static bool spool(struct sched_history *history, struct sched_chunk *chunk)
{
	struct sched_chunk *moved;
	int err = 0;

	if (history->is_spool_broken)
		return false;
	if (!history->spool)
		history->spool = sched_spool_new(history->spool_dir, &err);
	if (!history->spool || sched_chunk_spool(chunk, history->spool, &moved) < 0) {
		history->is_spool_broken = true;
		return false;
	}
	g_queue_push_tail(&history->spooled, moved);
	return true;
}

static void forget(struct sched_history *history, const struct sched_chunk *chunk)
{
	history->n_dropped += chunk->n_records;
	history->covered_ns = MAX(history->covered_ns, chunk->end_ns + 1);
}

static void shrink(struct sched_history *history)
{
	while (history->memory_bytes > history->limit_bytes && history->memory.length > 1) {
		struct sched_chunk *chunk = g_queue_pop_head(&history->memory);

		history->memory_bytes -= cost(chunk);
		if (!history->is_keeping || chunk->end_ns < history->keep_ns ||
			!spool(history, chunk))
			forget(history, chunk);
		sched_chunk_put(chunk);
	}
}

static void complete(struct sched_history *history, struct sched_packer *packer)
{
	struct sched_chunk *chunk = sched_packer_take(packer);

	if (!chunk)
		return;
	g_queue_push_tail(&history->memory, chunk);
	history->memory_bytes += cost(chunk);
	shrink(history);
}

void sched_history_add(struct sched_history *history, const struct sched_record *record)
{
	unsigned cpu = MIN(record->cpu, history->n_cpus - 1);
	struct sched_packer *packer = history->cpus[cpu];

	if (!packer)
		packer = history->cpus[cpu] = g_new0(struct sched_packer, 1);
	if (sched_packer_add(packer, record))
		return;
	complete(history, packer);
	sched_packer_begin(packer, cpu);
	sched_packer_add(packer, record);
}

void sched_history_keep(struct sched_history *history, uint64_t from_ns)
{
	history->keep_ns = history->is_keeping ? MIN(history->keep_ns, from_ns) : from_ns;
	history->is_keeping = true;
}

void sched_history_forget(struct sched_history *history)
{
	struct sched_chunk *chunk;

	history->is_keeping = history->is_spool_broken = false;
	while ((chunk = g_queue_pop_head(&history->spooled))) {
		forget(history, chunk);
		sched_chunk_put(chunk);
	}
	sched_spool_put(history->spool);
	history->spool = NULL;
}

void sched_history_state(const struct sched_history *history, struct sched_history_state *state)
{
	*state = (struct sched_history_state){
		.memory_bytes = history->memory_bytes,
		.spool_bytes = history->spool ? history->spool->n_bytes : 0,
		.n_lost = history->n_lost,
		.n_dropped = history->n_dropped,
		.covered_ns = history->covered_ns,
	};
	for (unsigned i = 0; i < history->n_cpus; i++)
		if (history->cpus[i] && history->cpus[i]->chunk)
			state->memory_bytes += SCHED_CHUNK_BYTES;
}

uint64_t sched_history_missing(
	const struct sched_history *history, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t n = 0;

	for (guint i = 0; i < history->gaps->len; i++) {
		const struct gap *gap = &g_array_index(history->gaps, struct gap, i);

		if (gap->ns >= begin_ns && gap->ns <= end_ns)
			n += gap->n;
	}
	return n;
}

/* Takes the caller's count of the piece, or gives it back. */
static void lane_add(struct sched_cursor *cursor, struct sched_chunk *chunk)
{
	if (chunk->end_ns < cursor->begin_ns || chunk->begin_ns > cursor->end_ns)
		sched_chunk_put(chunk);
	else
		g_queue_push_tail(&cursor->lanes[chunk->cpu].chunks, chunk);
}

/* Fetches the lane's next record inside the window. Returns 0 or -errno; has_record false: it is at its end. */
static int lane_fetch(struct lane *lane, uint64_t begin_ns, uint64_t end_ns)
{
	lane->has_record = false;
	for (;;) {
		struct sched_chunk *chunk;
		int err;

		while (lane->unpacker.chunk &&
			sched_unpacker_next(&lane->unpacker, &lane->record)) {
			if (lane->record.ns < begin_ns)
				continue;
			lane->has_record = lane->record.ns <= end_ns;
			return 0;
		}
		sched_unpacker_end(&lane->unpacker);
		chunk = g_queue_pop_head(&lane->chunks);
		if (!chunk)
			return 0;
		err = sched_unpacker_begin(&lane->unpacker, chunk);
		if (err < 0)
			return err;
	}
}

struct sched_cursor *sched_history_read(
	struct sched_history *history, uint64_t begin_ns, uint64_t end_ns)
{
	struct sched_cursor *cursor = g_new0(struct sched_cursor, 1);

	cursor->n_lanes = history->n_cpus;
	cursor->lanes = g_new0(struct lane, history->n_cpus);
	cursor->begin_ns = begin_ns;
	cursor->end_ns = end_ns;
	for (GList *at = history->spooled.head; at; at = at->next)
		lane_add(cursor, sched_chunk_get(at->data));
	for (GList *at = history->memory.head; at; at = at->next)
		lane_add(cursor, sched_chunk_get(at->data));
	for (unsigned i = 0; i < history->n_cpus; i++) {
		struct sched_chunk *chunk =
			history->cpus[i] ? sched_packer_copy(history->cpus[i]) : NULL;

		if (chunk)
			lane_add(cursor, chunk);
		cursor->lanes[i].has_record = true;
		cursor->lanes[i].record.ns = 0; /* fetched by the first sched_cursor_next() */
	}
	return cursor;
}

bool sched_cursor_next(struct sched_cursor *cursor, struct sched_record *record_out, int *err_out)
{
	for (;;) {
		struct lane *first = NULL;
		bool is_new;
		int err;

		for (unsigned i = 0; i < cursor->n_lanes; i++) {
			struct lane *lane = &cursor->lanes[i];

			if (lane->has_record && (!first || lane->record.ns < first->record.ns))
				first = lane;
		}
		if (!first)
			return false;
		is_new = first->unpacker.chunk != NULL;
		*record_out = first->record;
		err = lane_fetch(first, cursor->begin_ns, cursor->end_ns);
		if (err < 0) {
			*err_out = err;
			return false;
		}
		if (is_new)
			return true;
	}
}

void sched_cursor_free(struct sched_cursor *cursor)
{
	if (!cursor)
		return;
	for (unsigned i = 0; i < cursor->n_lanes; i++) {
		sched_unpacker_end(&cursor->lanes[i].unpacker);
		queue_clear(&cursor->lanes[i].chunks);
	}
	g_free(cursor->lanes);
	g_free(cursor);
}
