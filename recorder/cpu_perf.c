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
#include "recorder/cpu_perf.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "proto/schema.h"
#include "recorder/perf_events.h"
#include "recorder/perf_samples.h"
#include "recorder/perf_space.h"
#include "recorder/perf_walk.h"
#include "recorder/procfs.h"

#define DEFAULT_FRAMES 128u
#define SETTLE_NS 2000000u
#define MAX_ROUND_NS 50000000u
#define MIN_ROUND_NS 5000000u
#define MAX_NOTED_THREADS 1048576u /* whose samples are told apart by origin */

/* A wanted process and the kernel time that it had used when it was added. */
struct wanted {
	pid_t pid;
	int64_t kernel_ns;
};

struct cpu_perf {
	struct cpu_perf_options options;
	uint64_t start_ns, round_ns;
	pthread_t thread;
	pthread_mutex_t lock, stop_lock;
	pthread_cond_t stop_changed; /* CLOCK_MONOTONIC */
	bool is_stopped;	     /* under stop_lock */
	struct perf_events events;
	struct perf_spaces spaces;
	struct perf_samples *samples; /* owned */
	GArray *wanted;		      /* struct wanted */
	GHashTable *origins;	      /* tid → highest origin that it had samples of */
	struct perf_walk_frame frames[CPU_PERF_MAX_FRAMES];
	struct cpu_perf_result *result; /* owned; counts so far */
	uint64_t n_lost_records;
};

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
		g_hash_table_remove(perf->origins, GINT_TO_POINTER(record->tid));
		if (record->pid == record->tid && !perf->events.is_machine_wide)
			perf_spaces_exit(&perf->spaces, record->pid);
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

/* Rings are emptied when they are a third full, should every tick hit. */
static uint64_t round_ns(const struct perf_events *events)
{
	uint64_t n_records = events->rings[0].size / (events->stack_bytes + 512u);

	return CLAMP(n_records * events->period_ns / 3, MIN_ROUND_NS, MAX_ROUND_NS);
}

static void process_free(void *data)
{
	struct cpu_perf_process *process = data;

	if (process->modules)
		g_array_unref(process->modules);
	g_free(process);
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
	perf->result = g_new0(struct cpu_perf_result, 1);
	perf->result->processes = g_ptr_array_new_with_free_func(process_free);
	perf->result->samples = g_array_new(FALSE, FALSE, sizeof(struct cpu_perf_sample));
	perf->result->end_ns = UINT64_MAX;
	return perf;
}

/* All but the result. */
static void perf_free(struct cpu_perf *perf)
{
	perf_events_fini(&perf->events);
	perf_spaces_fini(&perf->spaces);
	g_array_unref(perf->wanted);
	g_hash_table_destroy(perf->origins);
	pthread_mutex_destroy(&perf->lock);
	pthread_mutex_destroy(&perf->stop_lock);
	pthread_cond_destroy(&perf->stop_changed);
	g_free(perf);
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
	err = perf_events_init(&events, options->hz, why_out);
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
	perf->start_ns = procfs_now();
	err = -pthread_create(&perf->thread, NULL, run, perf);
	if (err < 0) {
		*why_out = g_strdup_printf(
			"The thread that reads the perf events could not be started: %s",
			g_strerror(-err));
		cpu_perf_result_free(perf->result);
		perf_samples_free(perf->samples);
		perf_free(perf);
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

static void __attribute__((format(printf, 2, 3))) note(GPtrArray *notes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(notes, g_strdup_vprintf(format, args));
	va_end(args);
}

static void make_notes(struct cpu_perf *perf, struct cpu_perf_result *result)
{
	GPtrArray *notes = g_ptr_array_new();
	unsigned n_refused = perf_images_n_refused(perf->spaces.images);

	for (guint i = 0; i < perf->events.notes->len; i++)
		note(notes, "%s", (const char *)g_ptr_array_index(perf->events.notes, i));
	if (!result->is_kernel_seen)
		note(notes,
			"CPU time in the kernel has no samples (%.2f s of the processes asked "
			"for): "
			"set kernel.perf_event_paranoid to 1, give trace-record CAP_PERFMON, or "
			"sample by signals",
			(double)result->unseen_ns / 1e9);
	if (perf->events.is_machine_wide)
		note(notes, "There are too many threads for an event each: all CPUs were sampled, "
			    "and samples of other processes dropped");
	if (result->n_lost)
		note(notes,
			"%" G_GUINT64_FORMAT " samples were lost: this process came too late to "
			"empty the kernel's rings",
			result->n_lost);
	if (result->n_throttled)
		note(notes,
			"The kernel stopped sampling for a while %" G_GUINT64_FORMAT
			" times (kernel.perf_event_max_sample_rate)",
			result->n_throttled);
	if (result->n_overflow)
		note(notes,
			"%" G_GUINT64_FORMAT " samples are in no stack: there are more than %u "
			"different ones",
			result->n_overflow, PERF_SAMPLES_MAX);
	if (n_refused)
		note(notes,
			"The unwind tables of %u files were not read, being too large together: "
			"stacks end there",
			n_refused);
	g_ptr_array_add(notes, NULL);
	result->notes = (char **)g_ptr_array_free(notes, FALSE);
}

static void add_to_result(void *data, const struct cpu_perf_sample *sample)
{
	GArray *samples = data;

	g_array_append_val(samples, *sample);
}

static void make_processes(struct cpu_perf *perf, GPtrArray *processes)
{
	for (guint i = 0; i < perf->spaces.used->len; i++) {
		struct perf_space *space = g_ptr_array_index(perf->spaces.used, i);
		struct cpu_perf_process *process = g_new0(struct cpu_perf_process, 1);

		process->pid = space->pid;
		process->is_wanted = space->is_wanted;
		process->start_ns = space->start_ns;
		memcpy(process->comm, space->comm, sizeof(process->comm));
		process->modules = perf_space_modules(&perf->spaces, space);
		g_ptr_array_add(processes, process);
	}
}

static uint64_t kernel_time_since(const struct cpu_perf *perf)
{
	uint64_t sum = 0;

	for (guint i = 0; i < perf->wanted->len; i++) {
		const struct wanted *wanted = &g_array_index(perf->wanted, struct wanted, i);
		int64_t now = procfs_kernel_ns(wanted->pid);

		if (wanted->kernel_ns >= 0 && now > wanted->kernel_ns)
			sum += (uint64_t)(now - wanted->kernel_ns);
	}
	return sum;
}

struct cpu_perf_result *cpu_perf_end(struct cpu_perf *perf, bool is_dropped)
{
	struct cpu_perf_result *result = perf->result;

	pthread_mutex_lock(&perf->lock);
	result->end_ns = procfs_now();
	pthread_mutex_unlock(&perf->lock);
	pthread_mutex_lock(&perf->stop_lock);
	perf->is_stopped = true;
	pthread_cond_signal(&perf->stop_changed);
	pthread_mutex_unlock(&perf->stop_lock);
	pthread_join(perf->thread, NULL);
	if (is_dropped) {
		cpu_perf_result_free(result);
		perf_samples_free(perf->samples);
		perf_free(perf);
		return NULL;
	}
	result->start_ns = perf->start_ns;
	result->period_ns = perf->events.period_ns;
	result->is_kernel_seen = perf->events.is_kernel_seen;
	result->unseen_ns = result->is_kernel_seen ? 0 : kernel_time_since(perf);
	result->n_threads_missed = perf->events.n_threads_missed;
	result->n_lost = MAX(perf->n_lost_records, perf_events_n_lost(&perf->events));
	make_notes(perf, result);
	make_processes(perf, result->processes);
	result->owner = perf->samples;
	perf_samples_each(perf->samples, add_to_result, result->samples);
	perf_free(perf);
	return result;
}

void cpu_perf_result_free(struct cpu_perf_result *result)
{
	if (!result)
		return;
	g_array_unref(result->samples);
	g_ptr_array_unref(result->processes);
	g_strfreev(result->notes);
	perf_samples_free(result->owner);
	g_free(result);
}
