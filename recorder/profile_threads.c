/* SPDX-License-Identifier: MIT */
/* Threads: where each is now (goroutine, thread), and who created them since the start (threadcreate). */
#include "recorder/blackbox_tables.h"
#include "recorder/procfs.h"
#include "recorder/profile_kind.h"
#include "viewer/profile_text.h"

bool profile_thread_is_waiting(const struct fr_slot *slot)
{
	return slot->state != FR_STATE_RUNNING && slot->state != FR_STATE_EXITED;
}

bool profile_thread_is_asleep(const struct profile_process *process, const struct fr_slot *slot)
{
	struct procfs_stat stat;

	return process->is_alive && slot->state == FR_STATE_RUNNING &&
	       procfs_stat_read(process->pid, (pid_t)slot->tid, &stat) == 0 && stat.state != 'R';
}

uint32_t profile_thread_stack(const struct profile_process *process, const struct fr_slot *slot,
	uint32_t wanted, const char **pseudo_out)
{
	bool has_answered = wanted && process->is_alive && slot->dump_seq == wanted &&
			    slot->dump_stack != FR_STACK_NONE;

	*pseudo_out = NULL;
	/* One that waits says where in its slot; it may have answered before it began to wait. */
	if (profile_thread_is_waiting(slot) && slot->stack != FR_STACK_NONE)
		return slot->stack;
	if (has_answered)
		return slot->dump_stack;
	if (slot->start_ns == 0)
		*pseudo_out = "[untraced thread]";
	else if (slot->state != FR_STATE_RUNNING)
		*pseudo_out = "[unknown]";
	else if (!process->is_alive)
		*pseudo_out = "[running at the end]";
	else if (profile_thread_is_asleep(process, slot))
		*pseudo_out = "[asleep in a call that is not followed]";
	else
		*pseudo_out = "[running, gave no answer]";
	return FR_STACK_NONE;
}

static void threads_collect(const struct profile_kind *kind, const GPtrArray *processes,
	uint32_t wanted, struct profile_rows *rows)
{
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		g_autoptr(GArray) threads = NULL;

		if (!profile_process_is_shown(process, processes))
			continue;
		threads = profile_process_threads(process);
		for (guint k = 0; k < threads->len; k++) {
			const struct fr_slot *slot = &g_array_index(threads, struct fr_slot, k);
			struct profile_row key = {
				.process = process->id,
				.labels = slot->labels[0] ? slot->labels : NULL,
			};

			key.stack = profile_thread_stack(process, slot, wanted, &key.pseudo);
			profile_rows_get(rows, &key)->values[0]++;
		}
	}
}

static uint64_t threads_count(const struct profile_kind *kind, const GPtrArray *processes)
{
	uint64_t n = 0;

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		g_autoptr(GArray) threads = NULL;

		if (!profile_process_is_shown(process, processes))
			continue;
		threads = profile_process_threads(process);
		n += threads->len;
	}
	return n;
}

static void add_created(const struct profile_process *process, const struct fr_bucket *bucket,
	struct profile_rows *rows)
{
	struct profile_row key = { .process = process->id, .stack = bucket->stack };

	profile_rows_get(rows, &key)->values[0] += (int64_t)bucket->value[0];
}

static void threadcreate_collect(const struct profile_kind *kind, const GPtrArray *processes,
	uint32_t wanted, struct profile_rows *rows)
{
	profile_kind_each_bucket(processes, FR_BUCKET_THREAD, add_created, rows);
}

const struct profile_kind profile_kind_goroutine = {
	.name = "goroutine",
	.about = "Stacks of all threads now, under the name that Go's tools ask for. Use debug=2 "
		 "to see "
		 "each thread with what it waits for.",
	.types = { { "goroutine", "count" } },
	.n_types = 1,
	.period_type = { "goroutine", "count" },
	.has_delta = true,
	.is_threads = true,
	.collect = threads_collect,
	.write_text = profile_kind_write_count,
	.count = threads_count,
};

const struct profile_kind profile_kind_thread = {
	.name = "thread",
	.about = "Stacks of all threads now: goroutine under our own name.",
	.types = { { "thread", "count" } },
	.n_types = 1,
	.period_type = { "thread", "count" },
	.has_delta = true,
	.is_threads = true,
	.collect = threads_collect,
	.write_text = profile_kind_write_count,
	.count = threads_count,
};

const struct profile_kind profile_kind_threadcreate = {
	.name = "threadcreate",
	.about = "Stacks that created threads since the start.",
	.types = { { "threadcreate", "count" } },
	.n_types = 1,
	.period_type = { "threadcreate", "count" },
	.has_delta = true,
	.collect = threadcreate_collect,
	.write_text = profile_kind_write_count,
	.count = profile_kind_total,
};
