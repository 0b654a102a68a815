/* SPDX-License-Identifier: MIT */
#include "viewer/index_track.h"

#include "proto/schema.h"

/* Intervals of a thread held back: more than calls nest, since one may be in several pieces. */
#define N_HELD 32
#define MAX_CPUS 4096
/* Stays off the CPU that no call has explained yet; the oldest is explained by none when there are more. */
#define N_PENDING 64
/*
 * An event is stamped a little after its duration was measured (much, when it is a thread's first), so that a call that blocks
 * at once seems to begin after its thread left the CPU.
 */
#define LAG_NS 20000

/* A thread off the CPU. All 0 while it runs. */
struct off {
	uint64_t begin_ns, end_ns, wake_ns; /* wake 0: not known */
	int is_preempted;
};

struct track {
	struct series *lane; /* NULL: not yet */
	struct lane_row held[N_HELD];
	uint32_t n_held;
	GPtrArray *regions; /* borrowed series, by depth; NULL none */
	struct off off;	    /* under way; begin 0: it runs, or nothing is known yet */
	struct off pending[N_PENDING];
	uint32_t n_pending;
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
	int is_exact;	    /* the kernel's records are there */
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
	tracks->is_exact = step && (g_str_equal(step, "bpf") || g_str_equal(step, "switch"));
	return tracks;
}

void tracks_free(struct tracks *tracks)
{
	if (!tracks)
		return;
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

/* A stay off the CPU as rows: first in the state of `row`, then ready. */
static void add_off(
	struct tracks *tracks, uint32_t thread, struct lane_row row, const struct off *off)
{
	uint64_t ready_ns = off->is_preempted ? off->begin_ns : off->wake_ns;

	ready_ns = ready_ns ? CLAMP(ready_ns, off->begin_ns, off->end_ns) : off->end_ns;
	row.start_ns = off->begin_ns;
	row.dur_ns = ready_ns - off->begin_ns;
	if (row.dur_ns)
		add(tracks, thread, row);
	if (off->end_ns > ready_ns)
		add(tracks, thread,
			(struct lane_row){ ready_ns, off->end_ns - ready_ns, row.stack, INDEX_NONE,
				LANE_STATE_RUNNABLE });
}

static int is_inside(const struct off *off, uint64_t begin)
{
	return off->begin_ns + LAG_NS >= begin ||
	       (off->end_ns > begin && off->end_ns - begin > (off->end_ns - off->begin_ns) / 2);
}

/*
 * The pending stays that ended by `end`: those from `row.start_ns` on happened inside `row`, the others in nothing that was
 * recorded (or in something around it, which is rare: a call in a signal handler).
 */
static void explain(
	struct tracks *tracks, uint32_t thread, struct lane_row row, uint64_t end, uint64_t wake_ns)
{
	static const struct lane_row unknown = { .arg = INDEX_NONE, .state = LANE_STATE_BLOCKED };
	struct track *track = track_of(tracks, thread);
	uint64_t begin = row.start_ns;
	uint32_t n = 0;

	for (; n < track->n_pending && track->pending[n].end_ns <= end; n++) {
		struct off *off = &track->pending[n];

		if (!off->wake_ns && wake_ns > off->begin_ns)
			off->wake_ns = wake_ns;
		add_off(tracks, thread, is_inside(off, begin) ? row : unknown, off);
	}
	track->n_pending -= n;
	memmove(track->pending, track->pending + n, track->n_pending * sizeof(track->pending[0]));
}

void tracks_add(struct tracks *tracks, uint32_t thread, struct lane_row row, uint64_t wake_ns)
{
	uint64_t end = row.start_ns + row.dur_ns;

	if (tracks->is_exact)
		explain(tracks, thread, row, end, wake_ns ? end - MIN(wake_ns, row.dur_ns) : 0);
	else
		add(tracks, thread, row);
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

	if (cpu >= MAX_CPUS)
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

/* The thread that left a CPU, became ready, or came back. */
static void on_thread(struct tracks *tracks, const struct trace_event *at)
{
	uint64_t now = relative(tracks->index, at->event->time_ns);
	struct track *track = track_of(tracks, at->thread);

	switch (at->event->kind) {
	case EVENT_SWITCH_OUT:
		track->off = (struct off){ .begin_ns = MAX(now, 1),
			.is_preempted = at->event->kernel_switch.is_preempted != 0 };
		break;
	case EVENT_WAKEUP:
		if (track->off.begin_ns && !track->off.wake_ns)
			track->off.wake_ns = now;
		break;
	default:
		if (!track->off.begin_ns)
			break;
		if (track->n_pending == N_PENDING)
			explain(tracks, at->thread, (struct lane_row){ .start_ns = UINT64_MAX },
				track->pending[0].end_ns, 0);
		track->off.end_ns = now;
		if (now > track->off.begin_ns)
			track->pending[track->n_pending++] = track->off;
		track->off = (struct off){ .begin_ns = 0 };
	}
}

void tracks_event(struct tracks *tracks, const struct trace_event *at)
{
	if (!tracks->is_exact || !event_is_kernel(at->event->kind) ||
		at->event->time_ns > tracks->index->trace->end_ns)
		return;
	if (at->event->kind != EVENT_WAKEUP)
		on_switch(tracks, at);
	on_thread(tracks, at);
}

void tracks_finish_thread(
	struct tracks *tracks, uint32_t thread, const struct lane_row *open, uint64_t end)
{
	struct track *track = thread < tracks->threads->len ? tracks->threads->pdata[thread] : NULL;
	struct lane_row last = { .start_ns = UINT64_MAX, .arg = INDEX_NONE };

	if (tracks->is_exact && track) {
		if (track->off.begin_ns && track->n_pending < N_PENDING) {
			track->off.end_ns = end;
			track->pending[track->n_pending++] = track->off;
		}
		explain(tracks, thread, open ? *open : last, UINT64_MAX, 0);
	} else if (open) {
		/* It has not been on a CPU since it began to wait. */
		add(tracks, thread, *open);
		track = tracks->threads->pdata[thread];
	}
	while (track && track->n_held)
		release_oldest(tracks->index, track);
}

/* After the last thread. */
void tracks_finish(struct tracks *tracks, uint64_t end)
{
	for (guint cpu = 0; cpu < tracks->cpus->len; cpu++)
		leave(tracks, cpu, end);
}
