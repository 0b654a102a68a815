/* SPDX-License-Identifier: MIT */
#include "recorder/cpu_times.h"

#include <glib.h>

#include "recorder/blackbox_read.h"
#include "recorder/procfs.h"

#define MAX_THREADS 65536

struct cpu_times {
	uint64_t taken_ns;
	GHashTable *threads; /* owned: proc << 32 | tid → struct thread_times, owned */
	GHashTable *procs;   /* owned: set of proc */
	GHashTable *calls;   /* owned: proc → struct fr_call_total[FR_BB_MAX_CALLS], owned */
};

static void *key_of(uint16_t proc, uint32_t tid)
{
	return (void *)((uintptr_t)proc << 32 | tid);
}

static void take_process(struct cpu_times *times, struct blackbox *blackbox)
{
	struct fr_call_total *totals = g_new0(struct fr_call_total, FR_BB_MAX_CALLS);
	pid_t pid = (pid_t)blackbox->header.pid;
	GArray *threads = procfs_threads(pid, MAX_THREADS);

	for (guint i = 0; i < threads->len; i++) {
		pid_t tid = g_array_index(threads, pid_t, i);
		struct thread_times thread;

		if (thread_times_read(pid, tid, &thread))
			cpu_times_put(
				times, (uint16_t)blackbox->header.proc, (uint32_t)tid, thread);
	}
	g_array_unref(threads);
	blackbox_calls(blackbox, totals);
	g_hash_table_insert(times->calls, (void *)(uintptr_t)blackbox->header.proc, totals);
	g_hash_table_add(times->procs, (void *)(uintptr_t)blackbox->header.proc);
}

struct cpu_times *cpu_times_new(uint64_t taken_ns)
{
	struct cpu_times *times = g_new0(struct cpu_times, 1);

	times->threads = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	times->procs = g_hash_table_new(NULL, NULL);
	times->calls = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	times->taken_ns = taken_ns;
	return times;
}

void cpu_times_put(struct cpu_times *times, uint16_t proc, uint32_t tid, struct thread_times thread)
{
	g_hash_table_insert(times->threads, key_of(proc, tid), g_memdup2(&thread, sizeof(thread)));
	g_hash_table_add(times->procs, (void *)(uintptr_t)proc);
}

struct cpu_times *cpu_times_take(const char *rundir)
{
	struct cpu_times *times = cpu_times_new(procfs_now());
	GArray *numbers = blackbox_list(rundir);

	for (guint i = 0; i < numbers->len; i++) {
		struct blackbox *blackbox;

		if (blackbox_open_proc(rundir, g_array_index(numbers, uint16_t, i), &blackbox))
			continue;
		if (blackbox_is_alive(blackbox))
			take_process(times, blackbox);
		blackbox_close(blackbox);
	}
	g_array_unref(numbers);
	return times;
}

void cpu_times_free(struct cpu_times *times)
{
	if (!times)
		return;
	g_hash_table_unref(times->threads);
	g_hash_table_unref(times->procs);
	g_hash_table_unref(times->calls);
	g_free(times);
}

uint64_t cpu_times_taken_ns(const struct cpu_times *times)
{
	return times->taken_ns;
}

struct thread_times cpu_times_get(const struct cpu_times *times, uint16_t proc, uint32_t tid)
{
	const struct thread_times *thread = g_hash_table_lookup(times->threads, key_of(proc, tid));

	return thread ? *thread : THREAD_TIMES_UNKNOWN;
}

bool cpu_times_has(const struct cpu_times *times, uint16_t proc)
{
	return g_hash_table_contains(times->procs, (void *)(uintptr_t)proc);
}

const struct fr_call_total *cpu_times_calls(const struct cpu_times *times, uint16_t proc)
{
	return g_hash_table_lookup(times->calls, (void *)(uintptr_t)proc);
}
