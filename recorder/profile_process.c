/* SPDX-License-Identifier: MIT */
#include "recorder/profile_process.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "proto/schema.h"
#include "recorder/cpu_perf.h"
#include "recorder/module_probe.h"
#include "recorder/procfs.h"

#define MAX_TASKS 65536

static void process_free(void *data)
{
	profile_process_free(data);
}

void profile_process_free(struct profile_process *process)
{
	if (!process)
		return;
	blackbox_close(process->blackbox);
	if (process->threads)
		g_array_unref(process->threads);
	g_free(process);
}

static int compare_starts(const void *a_, const void *b_)
{
	const struct profile_process *a = *(struct profile_process *const *)a_;
	const struct profile_process *b = *(struct profile_process *const *)b_;

	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

/* Once: with so many processes it would be said at every request. */
static void tell_limit(void)
{
	static atomic_bool is_told;

	if (!atomic_exchange(&is_told, true))
		log_error(
			"Profiles lack some of the processes: there are more than this process may "
			"have open files (ulimit -Hn)");
}

GPtrArray *profile_processes_open(const char *rundir, pid_t pid)
{
	GPtrArray *processes = g_ptr_array_new_with_free_func(process_free);
	g_autoptr(GArray) numbers =
		rundir ? blackbox_list(rundir) : g_array_new(FALSE, FALSE, sizeof(uint16_t));

	for (guint i = 0; i < numbers->len; i++) {
		struct profile_process *process;
		struct blackbox *blackbox = NULL;
		int err;

		err = blackbox_open_proc(rundir, g_array_index(numbers, uint16_t, i), &blackbox);
		if (err) {
			if (err == -EMFILE || err == -ENFILE)
				tell_limit();
			continue;
		}
		if (pid && (pid_t)blackbox->header.pid != pid) {
			blackbox_close(blackbox);
			continue;
		}
		process = g_new0(struct profile_process, 1);
		process->id = blackbox->header.proc;
		process->pid = (pid_t)blackbox->header.pid;
		process->is_alive = blackbox_is_alive(blackbox);
		process->start_ns = blackbox->header.start_ns;
		g_strlcpy(process->exe, blackbox->header.exe, sizeof(process->exe));
		process->blackbox = blackbox;
		g_ptr_array_add(processes, process);
	}
	g_ptr_array_sort(processes, compare_starts);
	return processes;
}

bool profile_processes_are_alive(const GPtrArray *processes)
{
	for (guint i = 0; i < processes->len; i++)
		if (((struct profile_process *)g_ptr_array_index(processes, i))->is_alive)
			return true;
	return false;
}

/* An image that was replaced by exec() or a process that gave up says nothing about the end of the program. */
static bool is_gone_image(const struct profile_process *process)
{
	return process->blackbox && process->blackbox->header.state == FR_PROCESS_EXECED;
}

bool profile_process_is_shown(const struct profile_process *process, const GPtrArray *processes)
{
	if (process->is_alive)
		return true;
	return !profile_processes_are_alive(processes) &&
	       (!is_gone_image(process) || processes->len == 1);
}

size_t profile_process_stack(const struct profile_process *process, uint32_t stack,
	uint64_t frames_out[FR_STACK_MAX_FRAMES])
{
	const struct cpu_perf_sample *sample;
	uint32_t flags;

	if (process->blackbox)
		return blackbox_stack(process->blackbox, stack, frames_out, &flags);
	if (!process->perf || stack >= process->perf->samples->len)
		return 0;
	sample = &g_array_index(process->perf->samples, struct cpu_perf_sample, stack);
	if (sample->n > FR_STACK_MAX_FRAMES)
		return 0;
	memcpy(frames_out, sample->frames, sample->n * sizeof(*frames_out));
	return sample->n;
}

/* The listed module that lies where the mapping does. */
static const struct fr_module *find_listed(
	const GArray *listed, const struct procfs_mapping *mapping)
{
	for (guint i = 0; i < listed->len; i++) {
		const struct fr_module *module = &g_array_index(listed, struct fr_module, i);

		if (!module->unload_ns && module->start < mapping->end &&
			mapping->start < module->end)
			return module;
	}
	return NULL;
}

/* What the kernel says is mapped; names and build ids from the blackbox where it lists them. */
static void add_mapped(const struct profile_process *process, const GArray *listed, GArray *modules)
{
	g_autoptr(GArray) mappings = procfs_mappings(process->pid);

	for (guint i = 0; i < mappings->len && i < 4 * FR_BB_MAX_MODULES; i++) {
		const struct procfs_mapping *mapping =
			&g_array_index(mappings, struct procfs_mapping, i);
		const struct fr_module *of = find_listed(listed, mapping);
		struct fr_module module;

		if (of) {
			module = *of;
			module.start = mapping->start;
			module.end = mapping->end;
			module.file_offset = mapping->offset;
			if (mapping->path[0] == '[')
				g_strlcpy(module.path, mapping->path, sizeof(module.path));
		} else {
			module_probe(process->pid, mapping, &module);
		}
		g_array_append_val(modules, module);
	}
}

/* Modules of the blackbox that are not there any more, or all of them when it is dead. */
static void add_listed(const GArray *listed, GArray *modules, bool is_mapped)
{
	guint n_mapped = modules->len;

	for (guint i = 0; i < listed->len; i++) {
		struct fr_module module = g_array_index(listed, struct fr_module, i);
		guint k = 0;

		while (k < n_mapped &&
			(g_array_index(modules, struct fr_module, k).start >= module.end ||
				module.start >= g_array_index(modules, struct fr_module, k).end))
			k++;
		if (!module.unload_ns && k < n_mapped)
			continue;
		/* Unmapped behind the tracer's back, or since we looked. */
		if (is_mapped && !module.unload_ns)
			module.unload_ns = 1;
		g_array_append_val(modules, module);
	}
}

static int module_rank(const struct fr_module *module, const char *exe)
{
	if (module->unload_ns)
		return 2;
	return strcmp(module->path, exe) != 0;
}

/* The program first, the unloaded last, else as they came. */
static GArray *sort_modules(GArray *modules, const char *exe)
{
	GArray *sorted = g_array_sized_new(FALSE, FALSE, sizeof(struct fr_module), modules->len);

	for (int rank = 0; rank <= 2; rank++)
		for (guint i = 0; i < modules->len; i++) {
			const struct fr_module *module =
				&g_array_index(modules, struct fr_module, i);

			if (module_rank(module, exe) == rank)
				g_array_append_vals(sorted, module, 1);
		}
	g_array_unref(modules);
	return sorted;
}

GArray *profile_process_modules(const struct profile_process *process)
{
	GArray *modules = g_array_new(FALSE, FALSE, sizeof(struct fr_module));

	if (process->blackbox) {
		g_autoptr(GArray) listed = blackbox_modules(process->blackbox);

		if (process->is_alive)
			add_mapped(process, listed, modules);
		add_listed(listed, modules, modules->len > 0);
	} else if (process->perf) {
		const struct cpu_perf_process *seen =
			g_ptr_array_index(process->perf->processes, process->perf_index);

		g_array_append_vals(modules, seen->modules->data, seen->modules->len);
	}
	return sort_modules(modules, process->exe);
}

/* Threads that the kernel knows and the tracer does not. */
static void add_untraced(const struct profile_process *process, GArray *threads)
{
	uint32_t helper = process->blackbox->header.helper_tid;
	g_autoptr(GArray) tids = procfs_threads(process->pid, MAX_TASKS);
	g_autoptr(GHashTable) known = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < threads->len; i++)
		g_hash_table_add(
			known, GUINT_TO_POINTER(g_array_index(threads, struct fr_slot, i).tid));
	for (guint i = 0; i < tids->len; i++) {
		pid_t tid = g_array_index(tids, pid_t, i);
		struct fr_slot slot = { .tid = (uint32_t)tid, .fd = -1 };
		struct procfs_stat stat;

		/* liblttng-ust's own two threads are no part of the program. */
		if (slot.tid == helper ||
			g_hash_table_contains(known, GUINT_TO_POINTER(slot.tid)) ||
			procfs_stat_read(process->pid, tid, &stat) != 0 ||
			g_str_has_suffix(stat.comm, "-ust"))
			continue;
		g_strlcpy(slot.name, stat.comm, sizeof(slot.name));
		slot.state = stat.state == 'R' ? FR_STATE_RUNNING : FR_STATE_SYSCALL;
		g_array_append_val(threads, slot);
	}
}

/* Names stand in lines of text, in double quotes. */
static void clean_name(char name[16])
{
	bool is_utf8 = g_utf8_validate(name, -1, NULL);

	for (char *at = name; *at; at++)
		if ((unsigned char)*at < ' ' || *at == '"' || *at == '\\' || *at == 0x7f ||
			((unsigned char)*at >= 0x80 && !is_utf8))
			*at = '?';
}

GArray *profile_process_threads_now(const struct profile_process *process)
{
	GArray *threads = g_array_new(FALSE, FALSE, sizeof(struct fr_slot));
	g_autoptr(GArray) slots = NULL;

	if (!process->blackbox)
		return threads;
	slots = blackbox_slots(process->blackbox, NULL);
	for (guint i = 0; i < slots->len; i++) {
		const struct fr_slot *slot = &g_array_index(slots, struct fr_slot, i);

		if (!slot->is_exited && slot->state != FR_STATE_EXITED &&
			slot->tid != process->blackbox->header.helper_tid)
			g_array_append_vals(threads, slot, 1);
	}
	if (process->is_alive)
		add_untraced(process, threads);
	for (guint i = 0; i < threads->len; i++)
		clean_name(g_array_index(threads, struct fr_slot, i).name);
	return threads;
}

GArray *profile_process_threads(const struct profile_process *process)
{
	return process->threads ? g_array_ref(process->threads)
				: profile_process_threads_now(process);
}

void profile_process_look(struct profile_process *process)
{
	GArray *before = g_steal_pointer(&process->threads);

	if (before)
		g_array_unref(before);
	process->threads = profile_process_threads_now(process);
}
