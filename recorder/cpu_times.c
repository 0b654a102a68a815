/* SPDX-License-Identifier: MIT */
#include "recorder/cpu_times.h"

#include <glib.h>

#include "recorder/blackbox_read.h"
#include "recorder/procfs.h"

#define MAX_THREADS 65536

struct cpu_times {
	uint64_t taken_ns;
	GHashTable *ns;	   /* owned: proc << 32 | tid → CPU ns */
	GHashTable *calls; /* owned: proc → struct fr_call_total[FR_BB_MAX_CALLS], owned */
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
		int64_t ns = procfs_cpu_ns(pid, tid);

		if (ns >= 0)
			g_hash_table_insert(times->ns,
				key_of((uint16_t)blackbox->header.proc, (uint32_t)tid),
				(void *)(uintptr_t)ns);
	}
	g_array_unref(threads);
	blackbox_calls(blackbox, totals);
	g_hash_table_insert(times->calls, (void *)(uintptr_t)blackbox->header.proc, totals);
}

struct cpu_times *cpu_times_take(const char *rundir)
{
	struct cpu_times *times = g_new0(struct cpu_times, 1);
	GArray *numbers = blackbox_list(rundir);

	times->ns = g_hash_table_new(NULL, NULL);
	times->calls = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	times->taken_ns = procfs_now();
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
	g_hash_table_unref(times->ns);
	g_hash_table_unref(times->calls);
	g_free(times);
}

uint64_t cpu_times_taken_ns(const struct cpu_times *times)
{
	return times->taken_ns;
}

int64_t cpu_times_get(const struct cpu_times *times, uint16_t proc, uint32_t tid)
{
	void *value;

	if (!g_hash_table_lookup_extended(times->ns, key_of(proc, tid), NULL, &value))
		return -1;
	return (int64_t)(intptr_t)value;
}

int cpu_times_has(const struct cpu_times *times, uint16_t proc)
{
	return cpu_times_calls(times, proc) != NULL;
}

const struct fr_call_total *cpu_times_calls(const struct cpu_times *times, uint16_t proc)
{
	return g_hash_table_lookup(times->calls, (void *)(uintptr_t)proc);
}
