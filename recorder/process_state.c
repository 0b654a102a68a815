/* SPDX-License-Identifier: MIT */
/*
 * The program runs on while its trace is written, so all that changes is copied first, as close to the end
 * of the window as can be. What began after the end is taken back again when it is written.
 */
#include "recorder/process_state.h"

#include <stdlib.h>
#include <string.h>

#include "proto/schema.h"
#include "recorder/blackbox_tables.h"
#include "recorder/cpu_times.h"
#include "recorder/module_probe.h"
#include "recorder/procfs.h"
#include "recorder/sched.h"
#include "recorder/state_trace.h"

#define MAX_FDS 4096
#define MAX_TASKS 65536
#define SURVIVED_NS 1000000000u

static void add_fd(void *data, int fd, const char *target)
{
	g_ptr_array_add(data, g_strdup_printf("%d %s", fd, target));
}

/* Threads that the tracer has no slot for: its table was full, or they were there before it. */
static void add_untraced_threads(struct process_state *state)
{
	pid_t pid = (pid_t)state->blackbox->header.pid;
	GArray *threads = procfs_threads(pid, MAX_TASKS);
	GHashTable *known = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < state->slots->len; i++) {
		const struct fr_slot *slot = &g_array_index(state->slots, struct fr_slot, i);

		if (!slot->is_exited)
			g_hash_table_add(known, (void *)(uintptr_t)slot->tid);
	}
	for (guint i = 0; i < threads->len; i++) {
		pid_t tid = g_array_index(threads, pid_t, i);
		struct fr_slot slot = { .tid = (uint32_t)tid, .fd = -1 };
		struct procfs_stat stat;

		if (g_hash_table_contains(known, (void *)(uintptr_t)tid) ||
			procfs_stat_read(pid, tid, &stat) != 0)
			continue;
		/* liblttng-ust's own two threads are no part of the program, nor is the tracer's. */
		if (slot.tid == state->blackbox->header.helper_tid ||
			g_str_has_suffix(stat.comm, "-ust"))
			continue;
		g_strlcpy(slot.name, stat.comm, sizeof(slot.name));
		slot.start_ns = stat.start_ns;
		slot.state = stat.state == 'R' ? FR_STATE_RUNNING : FR_STATE_SYSCALL;
		g_array_append_val(state->slots, slot);
	}
	g_hash_table_unref(known);
	g_array_unref(threads);
}

/* Mappings without an entry: the vDSO, objects loaded since the tracer last looked, JIT files. */
static void add_unlisted_modules(struct process_state *state)
{
	pid_t pid = (pid_t)state->blackbox->header.pid;
	GArray *mappings = procfs_mappings(pid);
	guint n_listed = state->modules->len;

	for (guint i = 0; i < mappings->len && i < FR_BB_MAX_MODULES * 4; i++) {
		const struct procfs_mapping *mapping =
			&g_array_index(mappings, struct procfs_mapping, i);
		struct fr_module module;
		guint k;

		for (k = 0; k < n_listed; k++) {
			const struct fr_module *listed =
				&g_array_index(state->modules, struct fr_module, k);

			if (!listed->unload_ns && listed->start < mapping->end &&
				mapping->start < listed->end)
				break;
		}
		if (k < n_listed)
			continue;
		module_probe(pid, mapping, &module);
		g_array_append_val(state->modules, module);
	}
	g_array_unref(mappings);
}

/* One that it has survived, as the first process of a container does, is long over. */
static struct fr_crash *take_crash(const struct process_state *state)
{
	struct fr_crash crash;

	if (!blackbox_crash(state->blackbox, &crash) ||
		(state->is_alive && crash.time_ns + SURVIVED_NS < procfs_now()))
		return NULL;
	return g_memdup2(&crash, sizeof(crash));
}

struct process_state *process_state_take(struct blackbox *blackbox)
{
	struct process_state *state = g_new0(struct process_state, 1);
	pid_t pid = (pid_t)blackbox->header.pid;

	state->blackbox = blackbox;
	state->proc = (uint16_t)blackbox->header.proc;
	state->is_alive = blackbox_is_alive(blackbox);
	state->slots = blackbox_slots(blackbox, &state->n_torn);
	state->times = g_array_new(FALSE, FALSE, sizeof(struct thread_times));
	state->fds = g_ptr_array_new_with_free_func(g_free);
	blackbox_counters(blackbox, state->slots, &state->counters);
	blackbox_calls(blackbox, state->calls);
	if (state->is_alive)
		add_untraced_threads(state);
	for (guint i = 0; i < state->slots->len; i++) {
		const struct fr_slot *slot = &g_array_index(state->slots, struct fr_slot, i);
		struct thread_times times = THREAD_TIMES_UNKNOWN;

		/* Nobody can look any more when a thread has ended; the tracer did for its CPU time. */
		if (slot->is_exited)
			times.cpu_ns = (int64_t)MIN(slot->cpu_ns, INT64_MAX);
		else if (state->is_alive)
			thread_times_read(pid, (pid_t)slot->tid, &times);
		g_array_append_val(state->times, times);
	}
	state->modules = blackbox_modules(blackbox);
	state->live = blackbox_live(blackbox);
	state->crash = take_crash(state);
	if (state->is_alive) {
		add_unlisted_modules(state);
		procfs_fds(pid, MAX_FDS, add_fd, state->fds);
		state->command = procfs_command(pid);
	}
	if (!state->command || !*state->command) {
		g_free(state->command);
		state->command = g_strdup(blackbox->header.exe);
	}
	return state;
}

void process_state_free(struct process_state *state)
{
	if (!state)
		return;
	blackbox_close(state->blackbox);
	g_array_unref(state->slots);
	g_array_unref(state->times);
	g_array_unref(state->modules);
	g_array_unref(state->live);
	g_ptr_array_unref(state->fds);
	g_free(state->command);
	g_free(state->crash);
	g_free(state);
}

int process_state_is_inside(const struct process_state *state, const struct process_window *window)
{
	const struct fr_blackbox *header = &state->blackbox->header;

	if (header->start_ns > window->end_ns)
		return 0;
	if (state->is_alive)
		return 1;
	if (header->end_ns || state->end.end_ns)
		return (header->end_ns ? header->end_ns : state->end.end_ns) >= window->begin_ns;
	/* Killed, nobody noted when: before the window if it was already gone as that began. */
	return !window->cpu_begin || cpu_times_has(window->cpu_begin, state->proc) ||
	       header->start_ns >= cpu_times_taken_ns(window->cpu_begin);
}

/* The signal that killed it; 0: none, or nobody knows. */
static uint32_t signal_of(const struct process_state *state, const struct process_window *window)
{
	if (window->death_proc == state->proc && window->death_signal)
		return window->death_signal;
	if (state->end.how == PROCESS_END_SIGNAL)
		return state->end.end_ns <= window->end_ns ? state->end.signal : 0;
	return state->crash && !state->is_alive ? state->crash->signal : 0;
}

/* When the process ended, as far as is known; 0: it had not, at the end of the window. */
static uint64_t end_of(const struct process_state *state, const struct process_window *window)
{
	uint64_t end_ns = state->blackbox->header.end_ns;

	if (!end_ns && state->end.how != PROCESS_END_EXEC)
		end_ns = state->end.end_ns;
	if (end_ns)
		return end_ns > window->end_ns ? 0 : end_ns;
	return state->is_alive ? 0 : window->end_ns;
}

void process_state_write_definitions(const struct process_state *state,
	const struct process_window *window, struct state_trace *trace)
{
	const struct fr_blackbox *header = &state->blackbox->header;
	struct state_process process = {
		.proc = state->proc,
		.pid = header->pid,
		.ppid = header->ppid,
		.parent_proc = header->parent_proc,
		.uid = header->uid,
		.start_ns = header->start_ns,
		.end_ns = end_of(state, window),
		.state = header->state,
		.exe = header->exe,
		.command = state->command,
		.exit_kind = header->exit_kind,
		.exit_code = header->exit_code,
		.signal = signal_of(state, window),
		.is_oom = state->end.is_oom ||
			  (window->is_death_oom && window->death_proc == state->proc),
	};

	if (state->end.how == PROCESS_END_EXIT && process.exit_kind == FR_EXIT_UNKNOWN)
		process.exit_code = state->end.code;

	if (!state->is_alive && !header->end_ns && header->state != FR_PROCESS_EXITED &&
		header->state != FR_PROCESS_EXECED)
		process.state = FR_PROCESS_KILLED;
	state_trace_process(trace, &process);
	for (guint i = 0; i < state->modules->len; i++)
		state_trace_module(
			trace, state->proc, &g_array_index(state->modules, struct fr_module, i));
}

/* What a thread used inside the window, from its totals so far; -1 where the beginning is not known. */
static struct thread_times times_inside(const struct process_state *state,
	const struct process_window *window, const struct fr_slot *slot, struct thread_times total)
{
	uint64_t begin_ns = window->begin_ns;

	if (window->cpu_begin)
		begin_ns = cpu_times_taken_ns(window->cpu_begin);
	if (slot->start_ns >= begin_ns)
		return total;
	/* The thread's own clock at exit and schedstat may differ by what exit itself costs: never less than 0. */
	return thread_times_since(
		total, window->cpu_begin ? cpu_times_get(window->cpu_begin, state->proc, slot->tid)
					 : THREAD_TIMES_UNKNOWN);
}

/* Where a thread was that ran as its process crashed. */
static void set_crash_stack(const struct process_state *state, struct fr_slot *slot)
{
	if (!state->crash || slot->is_exited)
		return;
	if (slot->tid == state->crash->tid)
		slot->stack = state->crash->stack;
	else if (slot->state == FR_STATE_RUNNING && slot->dump_seq == FR_DUMP_CRASH)
		slot->stack = slot->dump_stack;
}

static void fill(int64_t *value, int64_t known)
{
	if (*value < 0)
		*value = known;
}

/* What nobody could look at any more at the end, as far as it was seen before. */
static struct thread_times total_of(const struct process_state *state,
	const struct process_window *window, const struct fr_slot *slot, struct thread_times total)
{
	struct thread_times last;

	if (!window->cpu_last || (state->is_alive && !slot->is_exited))
		return total;
	last = cpu_times_get(window->cpu_last, state->proc, slot->tid);
	fill(&total.cpu_ns, last.cpu_ns);
	fill(&total.delay_ns, last.delay_ns);
	/* Switches are counted by records, where there are any, or not at all: looks are a second apart. */
	return total;
}

static void fill_switches(
	const struct process_window *window, uint32_t tid, struct thread_times *inside)
{
	const struct sched_switches *seen =
		window->switches ? g_hash_table_lookup(window->switches, GUINT_TO_POINTER(tid))
				 : NULL;

	if (!seen)
		return;
	fill(&inside->slices, seen->n_in);
	fill(&inside->voluntary, seen->n_out);
	fill(&inside->involuntary, seen->n_preempted);
}

static void write_thread(const struct process_state *state, const struct process_window *window,
	const struct fr_slot *taken, struct thread_times total, struct state_trace *trace)
{
	struct fr_slot slot = *taken;

	if (slot.start_ns > window->end_ns ||
		(slot.is_exited && slot.end_ns && slot.end_ns < window->begin_ns))
		return;
	if (slot.is_exited && slot.state != FR_STATE_EXITED)
		slot.state = FR_STATE_EXITED;
	/* A state that began after the end says that the one before is over: its event tells it. */
	if (slot.since_ns > window->end_ns && !slot.is_exited) {
		slot.state = FR_STATE_RUNNING;
		slot.call = slot.holder = slot.stack = 0;
		slot.since_ns = slot.obj = 0;
		slot.fd = -1;
	}
	if (!slot.end_ns)
		slot.end_ns = end_of(state, window);
	set_crash_stack(state, &slot);
	total = times_inside(state, window, taken, total_of(state, window, taken, total));
	fill_switches(window, taken->tid, &total);
	state_trace_thread(trace, state->proc, &slot, &total);
}

static void write_calls(const struct process_state *state, const struct process_window *window,
	struct state_trace *trace)
{
	const struct fr_call_total *before =
		window->cpu_begin ? cpu_times_calls(window->cpu_begin, state->proc) : NULL;

	for (uint32_t i = 0; i < FR_CALL_N && i < FR_BB_MAX_CALLS; i++) {
		struct fr_call_total total = state->calls[i];

		if (before) {
			total.n -= MIN(before[i].n, total.n);
			total.n_short -= MIN(before[i].n_short, total.n_short);
			total.dur_ns -= MIN(before[i].dur_ns, total.dur_ns);
			total.short_ns -= MIN(before[i].short_ns, total.short_ns);
			total.bytes -= MIN(before[i].bytes, total.bytes);
		}
		if (total.n)
			state_trace_call_total(trace, state->proc, i, &total);
	}
}

void process_state_write_end(const struct process_state *state, const struct process_window *window,
	struct state_trace *trace)
{
	for (guint i = 0; i < state->slots->len; i++)
		write_thread(state, window, &g_array_index(state->slots, struct fr_slot, i),
			g_array_index(state->times, struct thread_times, i), trace);
#define FR_X(field, text) state_trace_counter(trace, state->proc, #field, state->counters.field);
	FR_COUNTER_TABLE(FR_X)
#undef FR_X
	write_calls(state, window, trace);
	for (guint i = 0; i < state->live->len; i++)
		state_trace_live(
			trace, state->proc, &g_array_index(state->live, struct fr_live, i));
	for (guint i = 0; i < state->fds->len; i++) {
		const char *text = g_ptr_array_index(state->fds, i);
		char *target;
		long fd = strtol(text, &target, 10);

		state_trace_fd(trace, state->proc, (int32_t)fd, target + 1);
	}
}
