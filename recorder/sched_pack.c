/* SPDX-License-Identifier: MIT */
/*
 * Which process a record belongs to is known by now: pids are looked up among the traced processes, of which one pid may have
 * had several, by exec() or when it was given out again. Threads that are not the program's are left out: the tracer's
 * own, and those of liblttng-ust.
 */
#include "recorder/sched_internal.h"

#include <string.h>

#include "recorder/archive.h"
#include "recorder/blackbox_read.h"
#include "recorder/ctf_writer.h"
#include "recorder/process_state.h"
#include "recorder/procfs.h"

#define FIELDS(...) ((const struct ctf_field[]){ __VA_ARGS__, { .name = NULL } })
#define U32(n)                             \
	{                                  \
		.name = n, .type = CTF_U32 \
	}
#define COMMON { .name = "proc", .type = CTF_U16 }, U32("tid"), U32("cpu")

enum {
	EVENT_IN,
	EVENT_OUT,
	EVENT_WAKEUP,
	EVENT_N,
};

/* clang-format off */
static const struct ctf_class classes[] = {
	[EVENT_IN] = { "flightrec_kernel:switch_in", FIELDS(COMMON) },
	[EVENT_OUT] = { "flightrec_kernel:switch_out", FIELDS(COMMON, U32("is_preempted")) },
	[EVENT_WAKEUP] = { "flightrec_kernel:wakeup",
		FIELDS(COMMON, U32("waker_pid"), U32("waker_tid"),
			{ .name = "waker_comm", .type = CTF_STRING }) },
};
/* clang-format on */

/* A traced process while its pid was its own. */
struct owner {
	uint64_t start_ns;
	uint16_t proc;
};

struct job {
	GHashTable *owners; /* owned: pid → GArray of struct owner by ascending start, owned */
	GHashTable *hidden; /* owned: set of tids that are not the program's */
	GHashTable *names;  /* owned: tid → name, owned: of wakers */
	GHashTable *spans;  /* owned: tid → struct sched_span */
	uint64_t begin_ns, end_ns;
	struct ctf_writer *writer; /* owned */
	GHashTable *threads;	   /* tid → struct sched_switches; NULL: not wanted */
};

static void owners_free(void *data)
{
	g_array_unref(data);
}

static int owner_compare(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

static bool is_tracing(const struct process_state *state, const struct procfs_stat *stat, pid_t tid)
{
	return (uint32_t)tid == state->blackbox->header.helper_tid ||
	       g_str_has_suffix(stat->comm, "-ust");
}

/* Threads that have no part in the program, and the names of all that live. */
static void look_at_threads(struct job *job, const struct process_state *state)
{
	pid_t pid = (pid_t)state->blackbox->header.pid;
	g_autoptr(GArray) threads = procfs_threads(pid, G_MAXUINT);

	g_hash_table_add(job->hidden, GUINT_TO_POINTER(state->blackbox->header.helper_tid));
	for (guint i = 0; i < threads->len; i++) {
		pid_t tid = g_array_index(threads, pid_t, i);
		struct procfs_stat stat;

		if (procfs_stat_read(pid, tid, &stat) != 0)
			continue;
		if (is_tracing(state, &stat, tid))
			g_hash_table_add(job->hidden, GINT_TO_POINTER(tid));
		/* They may have woken others; threads with a slot are named by it. */
		g_hash_table_replace(job->names, GINT_TO_POINTER(tid), g_strdup(stat.comm));
	}
}

static void add_process(struct job *job, const struct process_state *state)
{
	const struct fr_blackbox *header = &state->blackbox->header;
	struct owner owner = { header->start_ns, state->proc };
	GArray *owners = g_hash_table_lookup(job->owners, GUINT_TO_POINTER(header->pid));

	if (!owners) {
		owners = g_array_new(FALSE, FALSE, sizeof(struct owner));
		g_hash_table_insert(job->owners, GUINT_TO_POINTER(header->pid), owners);
	}
	g_array_append_val(owners, owner);
	g_array_sort(owners, owner_compare);
	if (state->is_alive)
		look_at_threads(job, state);
	for (guint i = 0; i < state->slots->len; i++) {
		const struct fr_slot *slot = &g_array_index(state->slots, struct fr_slot, i);

		if (slot->tid && slot->name[0])
			g_hash_table_replace(job->names, GUINT_TO_POINTER(slot->tid),
				g_strndup(slot->name, sizeof(slot->name)));
	}
}

/* What a pid was at that time; before it was traced, what it became. */
static uint16_t proc_of(const struct job *job, uint32_t pid, uint64_t ns)
{
	const GArray *owners = g_hash_table_lookup(job->owners, GUINT_TO_POINTER(pid));
	uint16_t proc = 0;

	for (guint i = 0; owners && i < owners->len; i++) {
		const struct owner *owner = &g_array_index(owners, struct owner, i);

		if (i == 0 || owner->start_ns <= ns)
			proc = owner->proc;
	}
	return proc;
}

static void write_record(struct job *job, const struct sched_record *record)
{
	static const size_t class_of[] = {
		[SCHED_IN] = EVENT_IN,
		[SCHED_OUT] = EVENT_OUT,
		[SCHED_PREEMPTED] = EVENT_OUT,
		[SCHED_WAKEUP] = EVENT_WAKEUP,
	};
	struct ctf_writer *w = job->writer;

	ctf_writer_begin(w, class_of[record->kind], record->ns);
	ctf_put_u16(w, proc_of(job, record->pid, record->ns));
	ctf_put_u32(w, record->tid);
	ctf_put_u32(w, record->cpu);
	if (class_of[record->kind] == EVENT_OUT)
		ctf_put_u32(w, record->kind == SCHED_PREEMPTED);
	if (record->kind == SCHED_WAKEUP) {
		ctf_put_u32(w, record->waker_pid);
		ctf_put_u32(w, record->waker_tid);
		ctf_put_string(
			w, g_hash_table_lookup(job->names, GUINT_TO_POINTER(record->waker_tid)));
	}
	ctf_writer_end(w);
}

static void count(struct job *job, const struct sched_record *record)
{
	struct sched_switches *thread =
		g_hash_table_lookup(job->threads, GUINT_TO_POINTER(record->tid));

	if (!thread) {
		thread = g_new0(struct sched_switches, 1);
		g_hash_table_insert(job->threads, GUINT_TO_POINTER(record->tid), thread);
	}
	thread->n_in += record->kind == SCHED_IN;
	thread->n_out += record->kind == SCHED_OUT;
	thread->n_preempted += record->kind == SCHED_PREEMPTED;
}

/* Writes what lies in the window, and counts for the receipt what lies between looks. Returns 0 or -errno. */
static int write_records(struct job *job, struct sched_cursor *cursor, struct sched_packed *packed)
{
	struct sched_record record;
	int err = 0;

	while (sched_cursor_next(cursor, &record, &err)) {
		if (record.kind == SCHED_IN) {
			struct sched_span *span =
				g_hash_table_lookup(job->spans, GUINT_TO_POINTER(record.tid));

			if (span && record.ns > span->begin_ns && record.ns <= span->end_ns)
				span->n_records++;
		}
		if (record.ns < job->begin_ns || record.ns > job->end_ns ||
			g_hash_table_contains(job->hidden, GUINT_TO_POINTER(record.tid)))
			continue;
		packed->n_records += record.kind == SCHED_IN;
		if (job->threads)
			count(job, &record);
		write_record(job, &record);
	}
	return err;
}

static int add_members(
	struct job *job, struct archive_out *out, int fd, struct sched_packed *packed)
{
	static const struct ctf_env env[] = {
		{ "domain", "flightrec" },
		{ "tracer_name", "flightrec" },
		{ "tracer_version", FLIGHTREC_VERSION },
	};
	GString *metadata;
	int err = ctf_writer_flush(job->writer, &packed->n_bytes);

	if (err)
		return err;
	metadata = ctf_writer_metadata(job->writer, env, G_N_ELEMENTS(env));
	err = archive_out_add(out, "trace/sched/metadata", metadata->str, metadata->len);
	if (!err)
		err = archive_out_add_fd(out, "trace/sched/sched", fd, packed->n_bytes);
	g_string_free(metadata, TRUE);
	return err;
}

static void compare(struct job *job, struct sched_packed *packed)
{
	GHashTableIter iter;
	struct sched_span *span;

	g_hash_table_iter_init(&iter, job->spans);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&span)) {
		packed->n_slices += span->n_slices;
		packed->n_compared += span->n_records;
	}
}

/* The earliest and latest look that the receipt counts between. */
static void widen(const struct job *job, uint64_t *begin_ns, uint64_t *end_ns)
{
	GHashTableIter iter;
	struct sched_span *span;

	g_hash_table_iter_init(&iter, job->spans);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&span)) {
		*begin_ns = MIN(*begin_ns, span->begin_ns);
		*end_ns = MAX(*end_ns, span->end_ns);
	}
}

static void copy_name(void *key, void *value, void *data)
{
	g_hash_table_replace(data, key, g_strdup(value));
}

/* Takes from the scheduler's own state what the job needs: after it, no lock is held. */
static struct sched_cursor *collect(
	struct sched *sched, struct job *job, struct sched_packed *packed)
{
	uint64_t begin_ns = job->begin_ns, end_ns = job->end_ns;
	struct sched_history_state state;
	struct sched_cursor *cursor;

	pthread_mutex_lock(&sched->mutex);
	packed->step = sched_step(sched);
	if (!sched->history) {
		pthread_mutex_unlock(&sched->mutex);
		return NULL;
	}
	sched_look(sched);
	sched_drain(sched);
	sched_history_state(sched->history, &state);
	if (sched->rested_ns > begin_ns)
		packed->step = sched->best; /* it still took records in a part of the window */
	packed->begin_ns = MAX(state.covered_ns, begin_ns);
	packed->n_lost = sched_history_missing(sched->history, begin_ns, end_ns);
	job->spans = sched_times_spans(sched->times, state.covered_ns, begin_ns, end_ns);
	widen(job, &begin_ns, &end_ns);
	cursor = sched_history_read(sched->history, begin_ns, end_ns);
	sched_times_own_threads(sched->times, job->hidden);
	g_hash_table_foreach(sched->wakers, copy_name, job->names);
	pthread_mutex_unlock(&sched->mutex);
	return cursor;
}

int sched_pack(struct sched *sched, uint64_t begin_ns, uint64_t end_ns,
	const struct ctf_clock *clock, const GPtrArray *processes, struct archive_out *out, int fd,
	struct sched_packed *packed_out)
{
	struct job job = { .begin_ns = begin_ns, .end_ns = end_ns };
	struct sched_packed packed = { .step = FR_SCHED_NONE };
	struct sched_cursor *cursor;
	int err = 0;

	*packed_out = packed;
	if (!sched)
		return 0;
	job.names = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	job.hidden = g_hash_table_new(NULL, NULL);
	cursor = collect(sched, &job, &packed);
	if (cursor) {
		job.owners = g_hash_table_new_full(NULL, NULL, NULL, owners_free);
		for (guint i = 0; i < processes->len; i++)
			add_process(&job, g_ptr_array_index(processes, i));
		job.writer = ctf_writer_new(fd, classes, EVENT_N, clock);
		if (packed.begin_ns <= begin_ns && packed.n_lost == 0)
			job.threads = g_hash_table_new_full(NULL, NULL, NULL, g_free);
		err = write_records(&job, cursor, &packed);
		if (!err)
			err = add_members(&job, out, fd, &packed);
		compare(&job, &packed);
		ctf_writer_free(job.writer);
		g_hash_table_unref(job.owners);
		g_hash_table_unref(job.spans);
		sched_cursor_free(cursor);
	}
	g_hash_table_unref(job.names);
	g_hash_table_unref(job.hidden);
	packed.threads = job.threads;
	if (!err)
		*packed_out = packed;
	else if (job.threads)
		g_hash_table_unref(job.threads);
	return err;
}
