/* SPDX-License-Identifier: MIT */
#include "viewer/index_track.h"

#include "proto/schema.h"
#include "viewer/thread_run.h"

/* Intervals of a thread held back: more than calls nest, since one may be in several pieces. */
#define N_HELD 32
#define MAX_CPUS 4096

struct track {
	struct series *lane; /* NULL: not yet */
	struct lane_row held[N_HELD];
	uint32_t n_held;
	GPtrArray *regions; /* borrowed series, by depth; NULL none */
};

/* A CPU, and the thread on it. */
struct cpu_track {
	struct series *lane;
	uint64_t begin_ns;
	uint32_t thread; /* INDEX_NONE: none of the program's */
};

struct tracks {
	struct index *index;
	GPtrArray *threads; /* owned struct track *, by thread; NULL: nothing yet */
	GArray *cpus;	    /* struct cpu_track */
	struct runs *runs;  /* NULL: no records of the kernel */
	struct run_stay stay;
	int has_stay;
};

static void track_free(void *data)
{
	struct track *track = data;

	if (track && track->regions)
		g_ptr_array_unref(track->regions);
	g_free(track);
}

struct tracks *tracks_new(struct index *index)
{
	const char *step = trace_receipt(index->trace, "scheduling.step");
	struct tracks *tracks = g_new0(struct tracks, 1);

	tracks->index = index;
	tracks->threads = g_ptr_array_new_with_free_func(track_free);
	tracks->cpus = g_array_new(FALSE, TRUE, sizeof(struct cpu_track));
	if (step && (g_str_equal(step, "bpf") || g_str_equal(step, "switch")))
		tracks->runs = runs_new();
	return tracks;
}

void tracks_free(struct tracks *tracks)
{
	if (!tracks)
		return;
	runs_free(tracks->runs);
	g_ptr_array_unref(tracks->threads);
	g_array_unref(tracks->cpus);
	g_free(tracks);
}

static struct track *track_of(struct tracks *tracks, uint32_t thread)
{
	if (thread >= tracks->threads->len)
		g_ptr_array_set_size(tracks->threads, (gint)thread + 1);
	if (!tracks->threads->pdata[thread])
		tracks->threads->pdata[thread] = g_new0(struct track, 1);
	return tracks->threads->pdata[thread];
}

static uint64_t relative(const struct index *index, uint64_t time_ns)
{
	return time_ns > index->origin_ns ? time_ns - index->origin_ns : 0;
}

/* The oldest interval goes to the lane. */
static void release_oldest(struct index *index, struct track *track)
{
	if (track->held[0].dur_ns)
		index->n_cut += (uint64_t)lane_append(track->lane, track->held[0]);
	track->n_held--;
	memmove(track->held, track->held + 1, track->n_held * sizeof(track->held[0]));
}

static void hold(struct index *index, struct track *track, struct lane_row row)
{
	if (track->n_held == N_HELD)
		release_oldest(index, track);
	track->held[track->n_held++] = row;
}

static void add(struct tracks *tracks, uint32_t thread, struct lane_row row)
{
	struct index *index = tracks->index;
	struct track *track = track_of(tracks, thread);
	struct lane_row inner[N_HELD], piece = row;
	uint64_t end = row.start_ns + row.dur_ns;
	uint32_t first = track->n_held, n;

	if (!track->lane)
		track->lane = pool_add(
			index->pool, (struct pool_key){ LANE_THREAD, thread, 0 }, lane_schema);
	while (first > 0 && track->held[first - 1].start_ns >= row.start_ns)
		first--;
	n = track->n_held - first;
	memcpy(inner, &track->held[first], n * sizeof(inner[0]));
	track->n_held = first;
	/* One that began before and ends inside: never seen, but lanes are disjoint. */
	if (first > 0) {
		const struct lane_row *before = &track->held[first - 1];

		piece.start_ns = MAX(piece.start_ns, before->start_ns + before->dur_ns);
	}
	for (uint32_t i = 0; i < n; i++) {
		if (inner[i].start_ns > piece.start_ns && piece.start_ns < end) {
			piece.dur_ns = MIN(inner[i].start_ns, end) - piece.start_ns;
			hold(index, track, piece);
		}
		hold(index, track, inner[i]);
		piece.start_ns = MAX(piece.start_ns, inner[i].start_ns + inner[i].dur_ns);
	}
	if (end > piece.start_ns) {
		piece.dur_ns = end - piece.start_ns;
		hold(index, track, piece);
	}
}

/* Time off the CPU as rows: first in the state of `row`, then ready. */
static void add_stay(
	struct tracks *tracks, uint32_t thread, struct lane_row row, const struct run_stay *stay)
{
	uint64_t window = tracks->index->trace->end_ns;

	for (size_t i = 0; i < stay->n_offs; i++) {
		const struct run_off *off = &stay->offs[i];
		uint64_t begin = relative(tracks->index, off->begin_ns);
		uint64_t end =
			relative(tracks->index, window ? MIN(off->end_ns, window) : off->end_ns);
		uint64_t ready = MIN(off->runnable_ns, end > begin ? end - begin : 0);

		if (off->is_moved || begin >= end)
			continue;
		row.start_ns = begin;
		row.dur_ns = end - ready - begin;
		if (row.dur_ns)
			add(tracks, thread, row);
		if (ready)
			add(tracks, thread,
				(struct lane_row){ end - ready, ready, row.stack, INDEX_NONE,
					LANE_STATE_RUNNABLE });
	}
}

void tracks_add(struct tracks *tracks, uint32_t thread, struct lane_row row)
{
	if (!tracks->runs)
		add(tracks, thread, row);
	else if (tracks->has_stay)
		add_stay(tracks, thread, row, &tracks->stay);
}

void tracks_add_region(struct tracks *tracks, uint32_t thread, uint32_t depth, struct lane_row row)
{
	struct track *track = track_of(tracks, thread);
	struct index *index = tracks->index;

	if (!track->regions)
		track->regions = g_ptr_array_new();
	if (depth >= track->regions->len)
		g_ptr_array_set_size(track->regions, (gint)depth + 1);
	if (!track->regions->pdata[depth])
		track->regions->pdata[depth] = pool_add(
			index->pool, (struct pool_key){ LANE_REGION, thread, depth }, lane_schema);
	index->n_cut += (uint64_t)lane_append(track->regions->pdata[depth], row);
}

/* The thread that was on the CPU leaves it. */
static void leave(struct tracks *tracks, uint32_t cpu, uint64_t now)
{
	struct cpu_track *track = &g_array_index(tracks->cpus, struct cpu_track, cpu);

	if (track->lane && track->thread != INDEX_NONE && now > track->begin_ns)
		lane_append(track->lane, (struct lane_row){ track->begin_ns, now - track->begin_ns,
						 0, track->thread, (uint8_t)(track->thread % 32) });
	track->thread = INDEX_NONE;
}

static void on_switch(struct tracks *tracks, const struct trace_event *at)
{
	uint32_t cpu = at->event->kernel_switch.cpu;
	uint64_t now = relative(tracks->index, at->event->time_ns);
	struct cpu_track *track;

	if (cpu >= MAX_CPUS || at->event->time_ns > tracks->index->trace->end_ns)
		return;
	if (cpu >= tracks->cpus->len)
		g_array_set_size(tracks->cpus, cpu + 1);
	track = &g_array_index(tracks->cpus, struct cpu_track, cpu);
	if (!track->lane) {
		track->lane = pool_add(
			tracks->index->pool, (struct pool_key){ LANE_CPU, cpu, 0 }, lane_schema);
		track->thread = INDEX_NONE;
	}
	leave(tracks, cpu, now);
	if (at->event->kind == EVENT_SWITCH_IN) {
		track->begin_ns = now;
		track->thread = at->thread;
	}
}

void tracks_event(struct tracks *tracks, struct trace *trace, const struct trace_event *at)
{
	tracks->has_stay = 0;
	if (!tracks->runs)
		return;
	if (at->event->kind == EVENT_SWITCH_IN || at->event->kind == EVENT_SWITCH_OUT)
		on_switch(tracks, at);
	tracks->has_stay = runs_event(tracks->runs, trace, at, &tracks->stay);
}

void tracks_finish_thread(
	struct tracks *tracks, struct trace *trace, uint32_t thread, const struct lane_row *open)
{
	struct run_stay stay;
	struct track *track;

	if (open && tracks->runs && runs_open(tracks->runs, trace, thread, &stay))
		add_stay(tracks, thread, *open, &stay);
	else if (open && !tracks->runs)
		add(tracks, thread, *open);
	if (tracks->runs && runs_rest(tracks->runs, trace, thread, &stay))
		add_stay(tracks, thread,
			(struct lane_row){ .arg = INDEX_NONE, .state = LANE_STATE_BLOCKED }, &stay);
	track = thread < tracks->threads->len ? tracks->threads->pdata[thread] : NULL;
	while (track && track->n_held)
		release_oldest(tracks->index, track);
}

void tracks_finish(struct tracks *tracks, uint64_t end)
{
	for (guint cpu = 0; cpu < tracks->cpus->len; cpu++)
		leave(tracks, cpu, end);
}
