/* SPDX-License-Identifier: MIT */
/* CPU time, from ticks of the threads' own clocks (signals) or from the perf engine. */
#include <string.h>

#include "recorder/blackbox_tables.h"
#include "recorder/cpu_perf.h"
#include "recorder/profile_kind.h"

/* Value 0: ticks since the start of the process. The ns of a profile are these times its period. */
static void add_ticks(const struct profile_process *process, const struct fr_bucket *bucket,
	struct profile_rows *rows)
{
	struct profile_row key = { .process = process->id, .stack = bucket->stack };
	char labels[160];

	if (blackbox_label(process->blackbox, (uint32_t)bucket->key, labels))
		key.labels = labels;
	profile_rows_get(rows, &key)->values[0] += (int64_t)bucket->value[0];
}

static void cpu_collect(const struct profile_kind *kind, const GPtrArray *processes,
	uint32_t wanted, struct profile_rows *rows)
{
	profile_kind_each_bucket(processes, FR_BUCKET_CPU, add_ticks, rows);
}

/* Sum of a counter of the header. */
static uint64_t sum_counter(const GPtrArray *processes, size_t offset)
{
	uint64_t n = 0;

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		uint64_t value;

		if (process->blackbox &&
			blackbox_read(process->blackbox, &value, sizeof(value), offset) == 0)
			n += value;
	}
	return n;
}

uint64_t profile_cpu_lost(const GPtrArray *processes)
{
	return sum_counter(processes, offsetof(struct fr_blackbox, counters.cpu_lost));
}

uint64_t profile_cpu_timers_failed(const GPtrArray *processes)
{
	return sum_counter(processes, offsetof(struct fr_blackbox, counters.cpu_timers_failed));
}

/* The traced process that perf saw as `seen`; NULL: the tracer is not in it. */
static const struct profile_process *find_traced(
	const struct cpu_perf_process *seen, const GPtrArray *traced)
{
	const struct profile_process *best = NULL;

	/* The oldest first: with several images of one pid, the last that began before. */
	for (guint i = 0; i < traced->len; i++) {
		const struct profile_process *process = g_ptr_array_index(traced, i);

		if (process->pid == seen->pid &&
			(!best || seen->start_ns == 0 || process->start_ns <= seen->start_ns))
			best = process;
	}
	return best;
}

GPtrArray *profile_cpu_perf_processes(const struct cpu_perf_result *result, const GPtrArray *traced)
{
	GPtrArray *processes = g_ptr_array_new_with_free_func((GDestroyNotify)profile_process_free);

	for (guint i = 0; i < result->processes->len; i++) {
		const struct cpu_perf_process *seen = g_ptr_array_index(result->processes, i);
		const struct profile_process *of = find_traced(seen, traced);
		struct profile_process *process = g_new0(struct profile_process, 1);

		process->id = PROFILE_PROCESS_PERF + i;
		process->pid = seen->pid;
		process->is_alive = of && of->is_alive;
		process->start_ns = seen->start_ns;
		g_strlcpy(process->exe,
			seen->modules->len ? g_array_index(seen->modules, struct fr_module, 0).path
					   : seen->comm,
			sizeof(process->exe));
		process->perf = result;
		process->perf_index = i;
		g_ptr_array_add(processes, process);
	}
	return processes;
}

void profile_cpu_perf_collect(const struct cpu_perf_result *result, const GPtrArray *processes,
	const GPtrArray *traced, struct profile_rows *rows)
{
	uint64_t n_lost = result->n_lost + result->n_overflow;

	for (guint i = 0; i < result->samples->len; i++) {
		const struct cpu_perf_sample *sample =
			&g_array_index(result->samples, struct cpu_perf_sample, i);
		const struct profile_process *process =
			g_ptr_array_index(processes, sample->process);
		const struct profile_process *of =
			find_traced(g_ptr_array_index(result->processes, sample->process), traced);
		struct profile_row key = { .process = process->id, .stack = i };
		char labels[160];

		if (of && of->blackbox && blackbox_label(of->blackbox, sample->tag, labels))
			key.labels = labels;
		if (sample->n == 0) {
			key.stack = 0;
			key.pseudo = "[unknown]";
		}
		profile_rows_get(rows, &key)->values[0] += (int64_t)sample->count;
	}
	if (n_lost && processes->len) {
		struct profile_row key = {
			.process = ((struct profile_process *)g_ptr_array_index(processes, 0))->id,
			.pseudo = "[lost samples]",
		};

		profile_rows_get(rows, &key)->values[0] += (int64_t)n_lost;
	}
}

const struct profile_kind profile_kind_cpu = {
	.name = "profile",
	.about = "CPU profile. You can specify the duration in the seconds GET parameter. After "
		 "you get "
		 "the profile file, use the go tool pprof command to investigate the profile.",
	.types = { { "samples", "count" }, { "cpu", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "cpu", "nanoseconds" },
	.shows_own = true,
	.collect = cpu_collect,
};
