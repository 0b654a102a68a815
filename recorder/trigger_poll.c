/* SPDX-License-Identifier: MIT */
/*
 * A deadlock is searched for only when a thread has waited for a second, and once for the same waits: threads that wait for
 * long are ordinary, and all of them together cost one reading of their slots.
 */
#include "recorder/trigger_poll.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/schema.h"
#include "recorder/blackbox_tables.h"
#include "recorder/deadlock.h"
#include "recorder/procfs.h"
#include "recorder/profile_kind.h"

#define MAX_LOOKS 64
#define SLOTS_PER_READ 32
#define LONG_WAIT_NS 1000000000ull
/* A search that found nothing is repeated now and then: who holds a lock may have become known. */
#define SEARCH_AGAIN_NS 10000000000ull

enum level {
	LEVEL_THREADS,
	LEVEL_RSS,
	LEVEL_HEAP,
	LEVEL_N,
};

/* What is remembered of a process. */
struct memory {
	bool is_above[LEVEL_N];
	uint64_t waits;	      /* of wait_signature() when deadlocks were last searched; 0: never */
	uint64_t searched_ns; /* when that was */
	bool is_seen;
};

struct trigger_poll {
	const struct options *options;
	const char *rundir;
	GHashTable *memories; /* proc -> owned struct memory */
	GHashTable *circles;  /* signatures of deadlocks that were told */
	guint next;	      /* of the processes, to go on with */
};

/* What one reading of the slots tells. */
struct slots_look {
	uint64_t n_living;
	uint64_t waits; /* signature of the long waits; 0: there are none */
};

struct trigger_poll *trigger_poll_new(const struct options *options, const char *rundir)
{
	struct trigger_poll *poll = g_new0(struct trigger_poll, 1);

	poll->options = options;
	poll->rundir = rundir;
	poll->memories = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	poll->circles = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	return poll;
}

void trigger_poll_free(struct trigger_poll *poll)
{
	if (!poll)
		return;
	g_hash_table_unref(poll->memories);
	g_hash_table_unref(poll->circles);
	g_free(poll);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash ^= value + 0x9e3779b97f4a7c15ull + (hash << 6) + (hash >> 2);
	return hash ? hash : 1;
}

/* Waits that may be part of a circle. */
static bool is_lock_wait(uint32_t state)
{
	return state == FR_STATE_MUTEX || state == FR_STATE_RWLOCK || state == FR_STATE_SPIN ||
	       state == FR_STATE_JOIN || state == FR_STATE_ONCE;
}

/* A slot that is torn for the moment is looked at again in a second. */
static void look_at_slots(const struct blackbox *blackbox, uint64_t now, struct slots_look *look)
{
	struct fr_slot *slots = g_new(struct fr_slot, SLOTS_PER_READ);

	*look = (struct slots_look){ 0 };
	for (uint32_t i = 0; i < blackbox->header.n_threads; i += SLOTS_PER_READ) {
		uint32_t n = MIN(SLOTS_PER_READ, blackbox->header.n_threads - i);

		if (blackbox_read(blackbox, slots, n * sizeof(*slots),
			    blackbox->header.off_slots + i * sizeof(*slots)))
			break;
		for (uint32_t k = 0; k < n; k++) {
			const struct fr_slot *slot = &slots[k];

			if (!slot->tid || slot->is_exited)
				continue;
			look->n_living++;
			if (is_lock_wait(slot->state) && slot->since_ns &&
				slot->since_ns + LONG_WAIT_NS < now)
				look->waits = mix(mix(look->waits, slot->tid), slot->since_ns);
		}
	}
	g_free(slots);
}

static uint64_t read_rss(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/statm", (int)pid), *text = NULL;
	unsigned long long size, resident = 0;

	if (!g_file_get_contents(path, &text, NULL, NULL) ||
		sscanf(text, "%llu %llu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* As the profile heap has it. */
static uint64_t read_heap(const struct blackbox *blackbox)
{
	g_autoptr(GArray) buckets = blackbox_buckets(blackbox, FR_BUCKET_HEAP);
	double sum = 0;

	for (guint i = 0; i < buckets->len; i++) {
		const struct fr_bucket *bucket = &g_array_index(buckets, struct fr_bucket, i);
		int64_t n = (int64_t)(bucket->value[0] - bucket->value[2]);
		int64_t bytes = (int64_t)(bucket->value[1] - bucket->value[3]);

		if (n > 0 && bytes > 0)
			sum += (double)bytes * profile_heap_scale(n, bytes, bucket->rate);
	}
	return (uint64_t)sum;
}

/* True when the value has come to its limit since it was last well below. */
static bool rises(bool *is_above, uint64_t value, uint64_t limit)
{
	bool was_above = *is_above;

	if (value >= limit)
		*is_above = true;
	else if (value < limit - limit / 10)
		*is_above = false;
	return *is_above && !was_above;
}

struct look {
	struct trigger_poll *poll;
	const struct watch_process *process;
	struct memory *memory;
	uint64_t now;
	trigger_poll_fn fn;
	void *user;
};

static void check_level(
	const struct look *look, enum level level, uint32_t kind, uint64_t value, uint64_t limit)
{
	struct trace_trigger trigger = {
		.kind = kind,
		.time_ns = look->now,
		.value = value,
		.limit = limit,
		.proc = look->process->proc,
	};

	if (rises(&look->memory->is_above[level], value, limit))
		look->fn(look->user, &trigger, look->process);
}

/* The threads of a circle, "a waits for b, …", and what tells it from another. */
static char *circle_words(const struct deadlock *deadlock, uint64_t *signature_out)
{
	GString *text = g_string_new("deadlock: ");
	uint64_t sum = 0;

	for (guint i = 0; i < deadlock->waits->len; i++) {
		const struct deadlock_wait *wait =
			&g_array_index(deadlock->waits, struct deadlock_wait, i);

		/* Wherever the circle begins, it is the same. */
		sum += mix(mix(1, (uint64_t)wait->pid << 32 | wait->tid), wait->since_ns);
		if (i < 4)
			g_string_append_printf(text, "%sthread %u (%s) waits for thread %u",
				i ? ", " : "", wait->tid, wait->name, wait->holder);
	}
	if (deadlock->waits->len > 4)
		g_string_append_printf(text, " and %u more", deadlock->waits->len - 4);
	*signature_out = sum;
	return g_string_free(text, FALSE);
}

static void search_deadlocks(const struct look *look)
{
	g_autoptr(GPtrArray) processes =
		profile_processes_open(look->poll->rundir, look->process->pid);
	g_autoptr(GPtrArray) deadlocks = deadlock_find(processes);

	for (guint i = 0; i < deadlocks->len; i++) {
		const struct deadlock *deadlock = g_ptr_array_index(deadlocks, i);
		const struct deadlock_wait *first =
			&g_array_index(deadlock->waits, struct deadlock_wait, 0);
		uint64_t signature;
		g_autofree char *words = circle_words(deadlock, &signature);
		struct trace_trigger trigger = {
			.kind = FR_TRIGGER_DEADLOCK,
			.reason = words,
			.time_ns = look->now,
			.obj = first->obj,
			.tid = first->tid,
			.stack = first->stack,
			.proc = look->process->proc,
		};

		if (g_hash_table_add(look->poll->circles, g_memdup2(&signature, sizeof(signature))))
			look->fn(look->user, &trigger, look->process);
	}
}

static void look_at_process(const struct look *look)
{
	const struct options *options = look->poll->options;
	struct memory *memory = look->memory;
	struct slots_look slots;
	struct blackbox *blackbox;

	if (options->on_rss_bytes)
		check_level(look, LEVEL_RSS, FR_TRIGGER_RSS, read_rss(look->process->pid),
			options->on_rss_bytes);
	if (!options->on_threads && !options->on_heap_bytes && options->on_deadlock == OPTIONS_NO)
		return;
	if (blackbox_open_proc(look->poll->rundir, look->process->proc, &blackbox) != 0)
		return;
	look_at_slots(blackbox, look->now, &slots);
	if (options->on_threads)
		check_level(look, LEVEL_THREADS, FR_TRIGGER_THREADS, slots.n_living,
			options->on_threads);
	if (options->on_heap_bytes)
		check_level(look, LEVEL_HEAP, FR_TRIGGER_HEAP, read_heap(blackbox),
			options->on_heap_bytes);
	blackbox_close(blackbox);
	if (options->on_deadlock == OPTIONS_NO || !slots.waits ||
		(slots.waits == memory->waits && look->now - memory->searched_ns < SEARCH_AGAIN_NS))
		return;
	memory->waits = slots.waits;
	memory->searched_ns = look->now;
	search_deadlocks(look);
}

static gboolean is_unseen(gpointer key, gpointer value, gpointer user)
{
	struct memory *memory = value;
	bool is_seen = memory->is_seen;

	(void)key, (void)user;
	memory->is_seen = false;
	return !is_seen;
}

void trigger_poll_look(
	struct trigger_poll *poll, const GArray *processes, trigger_poll_fn fn, void *user)
{
	struct look look = { .poll = poll, .now = procfs_now(), .fn = fn, .user = user };

	for (guint i = 0; i < processes->len; i++) {
		const struct watch_process *process =
			&g_array_index(processes, struct watch_process, i);
		gpointer key = GUINT_TO_POINTER((guint)process->proc);
		struct memory *memory = g_hash_table_lookup(poll->memories, key);

		if (!memory) {
			memory = g_new0(struct memory, 1);
			g_hash_table_insert(poll->memories, key, memory);
		}
		memory->is_seen = true;
	}
	for (guint i = 0; i < MIN(processes->len, MAX_LOOKS); i++) {
		look.process = &g_array_index(
			processes, struct watch_process, poll->next++ % processes->len);
		look.memory = g_hash_table_lookup(
			poll->memories, GUINT_TO_POINTER((guint)look.process->proc));
		look_at_process(&look);
	}
	g_hash_table_foreach_remove(poll->memories, is_unseen, NULL);
}
