/* SPDX-License-Identifier: MIT */
/*
 * A look costs 0.6 µs a thread through open files, which are kept for the first MAX_FILES threads and opened anew for others.
 * A thread keeps at most MAX_ROWS rows; when they are full, every other one of the older half goes, so that the distance
 * between rows grows with their age. Rows of ended threads stay for a while: snapshots look back.
 */
#include "recorder/sched_times.h"

#include <string.h>
#include <sys/resource.h>

#include "recorder/blackbox_read.h"
#include "recorder/cpu_times.h"
#include "recorder/procfs.h"

#define MAX_ROWS 64u
#define MAX_THREADS 16384u /* of all processes; 64 bytes for each and row */
#define MAX_FILES 4096u	   /* descriptors, if the limit allows: a quarter of it at most */
/* The counts of status take ten times as long to read as schedstat: so many of them in one look. */
#define MAX_STATUS 256u
#define GONE_NS (600 * 1000000000ull)

struct row {
	uint64_t ns;
	struct thread_times times;
};

struct thread {
	pid_t pid;
	uint16_t proc;
	uint32_t tid;
	bool is_gone, is_own;
	unsigned n_named;
	uint64_t seen_ns; /* of the last look at it */
	struct thread_files files;
	uint32_t n_rows;
	struct row *rows; /* owned, ascending */
};

struct process {
	uint16_t proc;		  /* its newest blackbox */
	struct thread_times gone; /* of threads that have ended */
};

struct sched_times {
	const char *rundir;    /* borrowed */
	uint16_t last_proc;    /* newest blackbox looked at */
	GHashTable *processes; /* owned: pid → struct process, owned */
	GArray *pids;	       /* owned: pid_t, the living */
	GHashTable *threads;   /* owned: proc << 32 | tid → struct thread, owned */
	unsigned n_threads, n_files, max_files, n_status;
};

static void *key_of(uint16_t proc, uint32_t tid)
{
	return (void *)((uintptr_t)proc << 32 | tid);
}

static void thread_free(void *data)
{
	struct thread *thread = data;

	thread_files_close(&thread->files);
	g_free(thread->rows);
	g_free(thread);
}

struct sched_times *sched_times_new(const char *rundir)
{
	struct sched_times *times = g_new0(struct sched_times, 1);
	struct rlimit files = { .rlim_cur = 1024 };

	getrlimit(RLIMIT_NOFILE, &files);
	times->max_files = (unsigned)MIN(files.rlim_cur / 4, MAX_FILES);
	times->rundir = rundir;
	times->processes = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	times->pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
	times->threads = g_hash_table_new_full(NULL, NULL, NULL, thread_free);
	return times;
}

void sched_times_free(struct sched_times *times)
{
	if (!times)
		return;
	g_hash_table_unref(times->processes);
	g_array_unref(times->pids);
	g_hash_table_unref(times->threads);
	g_free(times);
}

/* Processes that have come since the last look; an exec() makes a new one of the same pid. */
static void find_processes(struct sched_times *times)
{
	g_autoptr(GArray) numbers = blackbox_list(times->rundir);

	for (guint i = 0; i < numbers->len; i++) {
		uint16_t proc = g_array_index(numbers, uint16_t, i);
		struct process *process;
		struct blackbox *blackbox;
		int err;

		if (proc <= times->last_proc)
			continue;
		err = blackbox_open_proc(times->rundir, proc, &blackbox);
		/* One that is not complete yet is for the next time, and so are all behind it. */
		if (err == BLACKBOX_E_MAGIC)
			break;
		times->last_proc = proc;
		if (err)
			continue;
		if (blackbox_is_alive(blackbox)) {
			process = g_new0(struct process, 1);
			process->proc = proc;
			g_hash_table_replace(
				times->processes, GUINT_TO_POINTER(blackbox->header.pid), process);
		}
		blackbox_close(blackbox);
	}
}

static void rows_thin(struct thread *thread)
{
	uint32_t half = thread->n_rows / 2, kept = 0;

	/* The first row is the thread's beginning as far as we know it. */
	for (uint32_t i = 0; i < thread->n_rows; i++)
		if (i >= half || i % 2 == 0)
			thread->rows[kept++] = thread->rows[i];
	thread->n_rows = kept;
}

static void rows_add(struct thread *thread, uint64_t ns, const struct thread_times *seen)
{
	if (thread->n_rows == MAX_ROWS)
		rows_thin(thread);
	/* Powers of two: most threads have few. */
	if ((thread->n_rows & (thread->n_rows - 1)) == 0)
		thread->rows = g_renew(struct row, thread->rows, MAX(thread->n_rows * 2, 1));
	thread->rows[thread->n_rows++] = (struct row){ ns, *seen };
}

static bool is_same(const struct thread_times *a, const struct thread_times *b)
{
	return a->cpu_ns == b->cpu_ns && a->delay_ns == b->delay_ns && a->slices == b->slices;
}

/* Keeps a look at a thread. Returns the switches to it since the last. */
static uint64_t thread_note(
	struct sched_times *times, struct thread *thread, uint64_t ns, struct thread_times seen)
{
	struct row *last = thread->n_rows ? &thread->rows[thread->n_rows - 1] : NULL;
	struct thread_times was = last ? last->times : THREAD_TIMES_UNKNOWN, status;
	uint64_t seen_ns = thread->seen_ns, last_ns = last ? last->ns : 0;

	thread->seen_ns = ns;
	if (last && is_same(&was, &seen))
		return 0;
	if (times->n_status < MAX_STATUS && (last || thread->files.status >= 0)) {
		times->n_status++;
		if (thread_files_read(&thread->files, true, &status)) {
			seen.voluntary = status.voluntary;
			seen.involuntary = status.involuntary;
		}
	}
	/* Until the look before this one, nothing had changed. */
	if (last && seen_ns > last_ns)
		rows_add(thread, seen_ns, &was);
	rows_add(thread, ns, &seen);
	return last && seen.slices > was.slices ? (uint64_t)(seen.slices - was.slices) : 0;
}

/* liblttng-ust names its threads "…-ust" soon after their start, the tracer its own: a second look is enough. */
static void look_at_name(struct thread *thread)
{
	struct procfs_stat stat;

	if (thread->n_named >= 2 || procfs_stat_read(thread->pid, (pid_t)thread->tid, &stat) != 0)
		return;
	thread->n_named++;
	thread->is_own = g_str_has_suffix(stat.comm, "-ust") ||
			 ((pid_t)thread->tid != thread->pid && strcmp(stat.comm, "flightrec") == 0);
}

static uint64_t thread_look(struct sched_times *times, pid_t pid, uint16_t proc, pid_t tid)
{
	struct thread *thread = g_hash_table_lookup(times->threads, key_of(proc, (uint32_t)tid));
	struct thread_times seen;
	bool is_there;

	if (!thread) {
		if (g_hash_table_size(times->threads) >= MAX_THREADS)
			return 0;
		thread = g_new0(struct thread, 1);
		thread->pid = pid;
		thread->proc = proc;
		thread->tid = (uint32_t)tid;
		thread->files = (struct thread_files){ -1, -1 };
		g_hash_table_insert(times->threads, key_of(proc, (uint32_t)tid), thread);
		if (times->n_files + 2 <= times->max_files) {
			thread_files_open(pid, tid, true, &thread->files);
			times->n_files += 2;
		}
	}
	thread->is_gone = false;
	if (thread->files.schedstat >= 0) {
		is_there = thread_files_read(&thread->files, false, &seen);
	} else {
		struct thread_files files;

		thread_files_open(pid, tid, false, &files);
		is_there = thread_files_read(&files, false, &seen);
		thread_files_close(&files);
	}
	if (!is_there)
		return 0;
	times->n_threads++;
	look_at_name(thread);
	return thread_note(times, thread, procfs_now(), seen);
}

static void add_last(struct thread_times *sum, const struct thread *thread)
{
	const struct row *last = thread->n_rows ? &thread->rows[thread->n_rows - 1] : NULL;

	if (!last || last->times.slices < 0)
		return;
	sum->cpu_ns += last->times.cpu_ns;
	sum->delay_ns += last->times.delay_ns;
	sum->slices += last->times.slices;
}

/* Closes what is gone, and forgets what has been for long. */
static void drop_gone(struct sched_times *times, uint64_t began_ns)
{
	GHashTableIter iter;
	struct thread *thread;

	g_hash_table_iter_init(&iter, times->threads);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&thread)) {
		struct process *process;

		if (thread->seen_ns >= began_ns)
			continue;
		if (!thread->is_gone) {
			thread->is_gone = true;
			if (thread->files.schedstat >= 0 || thread->files.status >= 0)
				times->n_files -= 2;
			thread_files_close(&thread->files);
			process =
				g_hash_table_lookup(times->processes, GINT_TO_POINTER(thread->pid));
			if (process)
				add_last(&process->gone, thread);
		}
		if (began_ns - thread->seen_ns > GONE_NS ||
			g_hash_table_size(times->threads) >= MAX_THREADS)
			g_hash_table_iter_remove(&iter);
	}
}

uint64_t sched_times_look(struct sched_times *times)
{
	uint64_t began_ns = procfs_now(), n_slices = 0;
	GHashTableIter iter;
	struct process *process;
	void *key;

	find_processes(times);
	times->n_threads = times->n_status = 0;
	g_array_set_size(times->pids, 0);
	g_hash_table_iter_init(&iter, times->processes);
	while (g_hash_table_iter_next(&iter, &key, (void **)&process)) {
		pid_t pid = (pid_t)GPOINTER_TO_UINT(key);
		g_autoptr(GArray) threads = procfs_threads(pid, MAX_THREADS);

		if (!threads->len) {
			g_hash_table_iter_remove(&iter);
			continue;
		}
		g_array_append_val(times->pids, pid);
		for (guint i = 0; i < threads->len; i++)
			n_slices += thread_look(
				times, pid, process->proc, g_array_index(threads, pid_t, i));
	}
	drop_gone(times, began_ns);
	return n_slices;
}

unsigned sched_times_n_threads(const struct sched_times *times)
{
	return times->n_threads;
}

const GArray *sched_times_pids(const struct sched_times *times)
{
	return times->pids;
}

/* The last row at `ns` or before; n_rows: none is. */
static uint32_t row_before(const struct thread *thread, uint64_t ns)
{
	uint32_t low = 0, high = thread->n_rows;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (thread->rows[middle].ns <= ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : thread->n_rows;
}

static int64_t between(int64_t a, int64_t b, double share)
{
	if (a < 0 || b < a)
		return a;
	return a + (int64_t)((double)(b - a) * share);
}

struct cpu_times *sched_times_between(const struct sched_times *times, uint64_t ns)
{
	struct cpu_times *found = NULL;
	GHashTableIter iter;
	struct thread *thread;

	g_hash_table_iter_init(&iter, times->threads);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&thread)) {
		uint32_t i = row_before(thread, ns);
		struct thread_times then;

		if (i == thread->n_rows ||
			(thread->is_gone && thread->seen_ns < ns && ns != UINT64_MAX))
			continue;
		then = thread->rows[i].times;
		if (i + 1 < thread->n_rows) {
			const struct row *a = &thread->rows[i], *b = a + 1;
			double share = (double)(ns - a->ns) / (double)(b->ns - a->ns);

			then.cpu_ns = between(then.cpu_ns, b->times.cpu_ns, share);
			then.delay_ns = between(then.delay_ns, b->times.delay_ns, share);
			then.slices = between(then.slices, b->times.slices, share);
			then.voluntary = between(then.voluntary, b->times.voluntary, share);
			then.involuntary = between(then.involuntary, b->times.involuntary, share);
		}
		if (!found)
			found = cpu_times_new(ns);
		cpu_times_put(found, thread->proc, thread->tid, then);
	}
	return found;
}

GHashTable *sched_times_spans(
	const struct sched_times *times, uint64_t floor_ns, uint64_t begin_ns, uint64_t end_ns)
{
	GHashTable *spans = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	GHashTableIter iter;
	struct thread *thread;

	g_hash_table_iter_init(&iter, times->threads);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&thread)) {
		uint32_t first = row_before(thread, begin_ns), last = row_before(thread, end_ns);
		struct sched_span *span;

		if (last == thread->n_rows)
			continue;
		if (first == thread->n_rows || thread->rows[first].ns < floor_ns)
			first = first == thread->n_rows ? 0 : first + 1;
		if (last + 1 < thread->n_rows)
			last++;
		if (first >= last || thread->rows[first].times.slices < 0)
			continue;
		span = g_new0(struct sched_span, 1);
		span->tid = thread->tid;
		span->begin_ns = thread->rows[first].ns;
		span->end_ns = thread->rows[last].ns;
		span->n_slices = (uint64_t)(thread->rows[last].times.slices -
					    thread->rows[first].times.slices);
		g_hash_table_replace(spans, GUINT_TO_POINTER(thread->tid), span);
	}
	return spans;
}

void sched_times_own_threads(const struct sched_times *times, GHashTable *set)
{
	GHashTableIter iter;
	struct thread *thread;

	g_hash_table_iter_init(&iter, times->threads);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&thread))
		if (thread->is_own)
			g_hash_table_add(set, GUINT_TO_POINTER(thread->tid));
}

bool sched_times_process(const struct sched_times *times, pid_t pid, struct thread_times *times_out)
{
	const struct process *process = g_hash_table_lookup(times->processes, GINT_TO_POINTER(pid));
	GHashTableIter iter;
	struct thread *thread;

	if (!process)
		return false;
	*times_out = process->gone;
	g_hash_table_iter_init(&iter, times->threads);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&thread))
		if (thread->pid == pid && !thread->is_gone)
			add_last(times_out, thread);
	times_out->voluntary = times_out->involuntary = -1;
	return true;
}
