/* SPDX-License-Identifier: MIT */
/*
 * The engine: a thread of ours empties the rings some 20 times a second, in order of time over all CPUs, follows what
 * processes map, and unwinds and merges samples as it goes, so that no stack copy is kept.
 *
 * A record is in its ring some µs after the time it bears. So a round takes records up to SETTLE_NS before
 * it began: none of those can still come, and rounds together are in order of time.
 *
 * Lock: `lock` protects all but `stop` and what is constant after cpu_perf_begin().
 */
#include "recorder/cpu_perf_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "proto/schema.h"
#include "recorder/perf_walk.h"
#include "recorder/procfs.h"

#define DEFAULT_FRAMES 128u
#define SETTLE_NS 2000000u
#define MAX_ROUND_NS 50000000u
#define MIN_ROUND_NS 5000000u
#define MAX_NOTED_THREADS 1048576u /* whose samples are told apart by origin */

/*
 * A thread has its first tick after a whole period of CPU time, so those that live shorter have none. When threads
 * that ended without a tick are more than SHORT_SHARE of the ticks, the period is made SPEED_UP times shorter.
 */
#define SPEED_UP 8u
#define MIN_SHORT 32u
#define SHORT_SHARE 0.25

/*
 * A thread may have been given events twice, by its creator and by us. True when this sample is from the better
 * ones; from then on the others do not count.
 */
static bool is_best_origin(struct cpu_perf *perf, const struct perf_record *record)
{
	uint32_t origin = perf_events_origin(&perf->events, record->id), best;

	best = GPOINTER_TO_UINT(g_hash_table_lookup(perf->origins, GINT_TO_POINTER(record->tid)));
	if (origin < best)
		return false;
	if (origin > best && g_hash_table_size(perf->origins) < MAX_NOTED_THREADS)
		g_hash_table_insert(
			perf->origins, GINT_TO_POINTER(record->tid), GUINT_TO_POINTER(origin));
	return true;
}

/* Walks the stack of a sample into `sample`, whose frames are put into `addresses`. False: it is not the program's. */
static bool walk_sample(struct cpu_perf *perf, struct perf_space *space,
	const struct perf_record *record, uint64_t *addresses, struct cpu_perf_sample *sample)
{
	struct cpu_perf_result *result = perf->result;
	unsigned flags = 0;
	arch_context context;
	bool is_own = false;
	size_t n;

	if (!record->sample.has_regs) {
		result->n_not_unwound++;
		return true;
	}
	perf_regs_to_context(record->sample.regs, &context);
	n = perf_walk(&perf->spaces, space,
		&(struct perf_walk_start){ .context = &context,
			.stack = record->sample.stack,
			.n_stack = record->sample.n_stack,
			.is_short = record->sample.is_short },
		perf->frames, perf->options.max_frames, &flags);
	if (!perf_walk_strip(perf->frames, n, flags, addresses, &n, &is_own)) {
		result->n_own_threads++;
		return false;
	}
	sample->flags = flags;
	sample->n = (uint32_t)n;
	sample->frames = addresses;
	result->n_own += is_own;
	result->n_broken += (flags & FR_STACK_BROKEN) != 0;
	result->n_cut += (flags & FR_STACK_CUT) != 0;
	return true;
}

static void take_sample(struct cpu_perf *perf, const struct perf_record *record)
{
	struct cpu_perf_sample sample = { .pid = record->pid, .tid = record->tid, .count = 1 };
	struct cpu_perf_result *result = perf->result;
	uint64_t addresses[CPU_PERF_MAX_FRAMES];
	struct perf_space *space;

	if (record->time_ns < perf->start_ns || record->time_ns > result->end_ns ||
		record->pid <= 0)
		return;
	space = perf->events.is_machine_wide
			? perf_spaces_find(&perf->spaces, record->pid)
			: perf_spaces_get(&perf->spaces, record->pid, record->time_ns);
	if (!space || !is_best_origin(perf, record) ||
		(result->one_in > 1 &&
			g_rand_int_range(perf->random, 0, (gint32)result->one_in) != 0) ||
		!walk_sample(perf, space, record, addresses, &sample))
		return;
	result->n_ticks++;
	if (!perf_spaces_use(&perf->spaces, space)) {
		result->n_overflow++;
		return;
	}
	sample.process = space->index;
	if (perf->options.tag)
		sample.tag = perf->options.tag(perf->options.tag_data, record->pid, record->tid);
	if (!perf_samples_add(perf->samples, &sample))
		result->n_overflow++;
}

static bool is_followed(const struct cpu_perf *perf, pid_t pid)
{
	return !perf->events.is_machine_wide || perf_spaces_find(&perf->spaces, pid);
}

/* The end of a thread. */
static void take_exit(struct cpu_perf *perf, const struct perf_record *record)
{
	g_autoptr(GArray) threads = NULL;

	if (!perf->events.is_machine_wide) {
		if (record->pid == record->tid)
			perf_spaces_exit(&perf->spaces, record->pid, false);
		return;
	}
	/* Of the whole machine: its pid may soon be that of another process, whose samples are not wanted. */
	if (!perf_spaces_find(&perf->spaces, record->pid))
		return;
	threads = procfs_threads(record->pid, 2);
	if (threads->len == 0 ||
		(threads->len == 1 && g_array_index(threads, pid_t, 0) == record->tid))
		perf_spaces_exit(&perf->spaces, record->pid, true);
}

static void take_record(struct cpu_perf *perf, const struct perf_record *record)
{
	struct perf_space *space;

	switch (record->type) {
	case PERF_RECORD_SAMPLE:
		take_sample(perf, record);
		break;
	case PERF_RECORD_MMAP2:
		if (is_followed(perf, record->pid))
			perf_spaces_mmap(&perf->spaces, record->pid, record->time_ns,
				&(struct perf_image_place){ record->pid, record->mmap.start,
					record->mmap.end, record->mmap.offset, record->mmap.path });
		break;
	case PERF_RECORD_FORK:
		perf_spaces_fork(
			&perf->spaces, record->task.parent_pid, record->pid, record->time_ns);
		break;
	case PERF_RECORD_EXIT:
		if (!g_hash_table_remove(perf->origins, GINT_TO_POINTER(record->tid)))
			perf->n_short++;
		take_exit(perf, record);
		break;
	case PERF_RECORD_COMM:
		if (!is_followed(perf, record->pid))
			break;
		if (record->comm.is_exec) {
			perf_spaces_exec(
				&perf->spaces, record->pid, record->comm.name, record->time_ns);
		} else if (record->pid == record->tid) {
			space = perf_spaces_find(&perf->spaces, record->pid);
			if (space)
				g_strlcpy(space->comm, record->comm.name, sizeof(space->comm));
		}
		break;
	case PERF_RECORD_LOST:
		perf->n_lost_records += record->lost.n;
		perf_spaces_lost(&perf->spaces);
		break;
	case PERF_RECORD_THROTTLE:
		perf->result->n_throttled++;
		break;
	default:
		break;
	}
}

/* One ring during a round. */
struct cursor {
	struct perf_ring *ring;
	bool has_record;
	struct perf_record record;
};

/* Takes all records up to `until_ns`, in order of time. */
static void drain(struct cpu_perf *perf, struct cursor *cursors, uint64_t until_ns)
{
	unsigned n = perf->events.n_cpus;

	for (unsigned i = 0; i < n; i++) {
		cursors[i].ring = &perf->events.rings[i];
		perf_ring_look(cursors[i].ring);
		cursors[i].has_record = perf_ring_peek(cursors[i].ring, &cursors[i].record);
	}
	for (;;) {
		struct cursor *first = NULL;

		for (unsigned i = 0; i < n; i++)
			if (cursors[i].has_record &&
				(!first || cursors[i].record.time_ns < first->record.time_ns))
				first = &cursors[i];
		if (!first || first->record.time_ns > until_ns)
			return;
		take_record(perf, &first->record);
		perf_ring_next(first->ring);
		perf_ring_release(first->ring);
		first->has_record = perf_ring_peek(first->ring, &first->record);
	}
}

/* Rings are emptied when they are a third full, should every tick hit. */
static uint64_t round_ns(const struct perf_events *events)
{
	uint64_t n_records = events->rings[0].size / (events->stack_bytes + 512u);

	return CLAMP(n_records * events->period_ns / 3, MIN_ROUND_NS, MAX_ROUND_NS);
}

static void speed_up_for_short_threads(struct cpu_perf *perf)
{
	struct cpu_perf_result *result = perf->result;
	unsigned factor = MIN(SPEED_UP, CPU_PERF_MAX_HZ / perf->options.hz);
	g_autoptr(GArray) pids = NULL;

	if (perf->is_speed_tried || perf->events.is_machine_wide || factor < 2 ||
		perf->n_short < MIN_SHORT + SHORT_SHARE * (double)result->n_ticks)
		return;
	perf->is_speed_tried = true;
	pids = perf_spaces_pids(&perf->spaces);
	/* The new events are of higher origin: their samples count, those of the old ones no more. */
	if (perf_events_reopen(&perf->events, (const pid_t *)(const void *)pids->data, pids->len,
		    result->period_ns / factor) < 0)
		return;
	result->one_in = factor;
	perf->round_ns = round_ns(&perf->events);
}

/* Waits for one round. Returns whether it goes on. */
static bool wait_round(struct cpu_perf *perf)
{
	uint64_t due_ns = procfs_now() + perf->round_ns;
	struct timespec due = { (time_t)(due_ns / 1000000000u), (long)(due_ns % 1000000000u) };
	bool is_stopped;

	pthread_mutex_lock(&perf->stop_lock);
	while (!perf->is_stopped &&
		pthread_cond_timedwait(&perf->stop_changed, &perf->stop_lock, &due) == 0)
		;
	is_stopped = perf->is_stopped;
	pthread_mutex_unlock(&perf->stop_lock);
	return !is_stopped;
}

static void *run(void *data)
{
	struct cpu_perf *perf = data;
	g_autofree struct cursor *cursors = g_new0(struct cursor, perf->events.n_cpus);

	while (wait_round(perf)) {
		pthread_mutex_lock(&perf->lock);
		drain(perf, cursors, procfs_now() - SETTLE_NS);
		speed_up_for_short_threads(perf);
		pthread_mutex_unlock(&perf->lock);
	}
	/* What was sampled before the end is written by now, or is some µs late. */
	pthread_mutex_lock(&perf->lock);
	drain(perf, cursors, UINT64_MAX);
	pthread_mutex_unlock(&perf->lock);
	return NULL;
}

static void want(struct cpu_perf *perf, pid_t pid)
{
	struct wanted wanted = { pid, procfs_kernel_ns(pid) };
	struct perf_space *space = perf_spaces_get(&perf->spaces, pid, procfs_now());

	space->is_wanted = true;
	g_array_append_val(perf->wanted, wanted);
}

/* Takes over `events`. */
static struct cpu_perf *perf_new(
	const struct cpu_perf_options *options, const struct perf_events *events)
{
	struct cpu_perf *perf = g_new0(struct cpu_perf, 1);
	pthread_condattr_t attr;

	perf->options = *options;
	if (!perf->options.max_frames)
		perf->options.max_frames = DEFAULT_FRAMES;
	pthread_mutex_init(&perf->lock, NULL);
	pthread_mutex_init(&perf->stop_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&perf->stop_changed, &attr);
	pthread_condattr_destroy(&attr);
	perf->events = *events;
	perf->round_ns = round_ns(events);
	perf_spaces_init(&perf->spaces);
	perf->samples = perf_samples_new();
	perf->wanted = g_array_new(FALSE, FALSE, sizeof(struct wanted));
	perf->origins = g_hash_table_new(NULL, NULL);
	perf->result = cpu_perf_result_new();
	perf->result->period_ns = events->period_ns;
	perf->random = g_rand_new();
	return perf;
}

int cpu_perf_begin(const pid_t *pids, size_t n_pids, const struct cpu_perf_options *options,
	struct cpu_perf **perf_out, char **why_out)
{
	struct perf_events events;
	struct cpu_perf *perf;
	int err;

	if (options->hz == 0 || options->hz > CPU_PERF_MAX_HZ ||
		options->max_frames > CPU_PERF_MAX_FRAMES || n_pids == 0) {
		*why_out = g_strdup_printf("CPU samples can be taken at 1 to %u Hz, with up to %u "
					   "frames a stack, of at least one process",
			CPU_PERF_MAX_HZ, CPU_PERF_MAX_FRAMES);
		return -EINVAL;
	}
	err = perf_events_init(&events, options->hz, options->is_per_thread, why_out);
	if (err < 0)
		return err;
	err = perf_events_add(&events, pids, n_pids, why_out);
	if (err < 0) {
		perf_events_fini(&events);
		return err;
	}
	perf = perf_new(options, &events);
	for (size_t i = 0; i < n_pids; i++)
		want(perf, pids[i]);
	/* Samples of the time when some threads had no event yet do not count. */
	perf_events_read(&perf->events, &perf->cpu_before_ns, &perf->lost_before);
	perf->start_ns = procfs_now();
	err = -pthread_create(&perf->thread, NULL, run, perf);
	if (err < 0) {
		*why_out = g_strdup_printf(
			"The thread that reads the perf events could not be started: %s",
			g_strerror(-err));
		cpu_perf_result_free(perf->result);
		perf_samples_free(perf->samples);
		cpu_perf_free(perf);
		return err;
	}
	*perf_out = perf;
	return 0;
}

int cpu_perf_add(struct cpu_perf *perf, pid_t pid, char **why_out)
{
	struct perf_space *space;
	int err = 0;

	pthread_mutex_lock(&perf->lock);
	space = perf_spaces_find(&perf->spaces, pid);
	if (space) {
		err = -EALREADY;
		space->is_wanted = true;
		*why_out = g_strdup_printf("Process %d is being sampled already", (int)pid);
	} else {
		err = perf_events_add(&perf->events, &pid, 1, why_out);
		if (err == 0)
			want(perf, pid);
	}
	pthread_mutex_unlock(&perf->lock);
	return err;
}

int cpu_perf_check(pid_t pid, char **why_out)
{
	return perf_events_check(pid, why_out);
}
