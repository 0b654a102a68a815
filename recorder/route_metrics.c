/* SPDX-License-Identifier: MIT */
/*
 * /metrics: what a monitoring system wants to see of the program and of us, each traced process by its pid. Read from /proc and the
 * blackboxes when asked; nothing is kept up in between.
 */
#include <glib.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/schema.h"
#include "recorder/blackbox_read.h"
#include "recorder/blackbox_tables.h"
#include "recorder/metrics.h"
#include "recorder/procfs.h"
#include "recorder/profile_kind.h"
#include "recorder/profile_process.h"
#include "recorder/reply.h"
#include "recorder/routes.h"
#include "recorder/sched.h"
#include "recorder/thread_times.h"
#include "recorder/trigger.h"

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* A build starts thousands of processes, and each is a set of time series. */
#define MAX_PROCESSES 64

/* One process. What is not known is NAN, and left out. */
struct process_metrics {
	char pid[16];
	double is_up, threads, resident_bytes, cpu_seconds;
	double ready_seconds, switches;
	bool is_traced; /* has all below */
	struct fr_counters counters;
	struct fr_call_total calls[FR_BB_MAX_CALLS];
	double live_objects, live_bytes, alloc_objects, alloc_bytes;
};

static const char *call_name(unsigned call)
{
	static const char *const names[FR_BB_MAX_CALLS] = {
#define FR_X(name, class, state) [FR_CALL_##name] = #name,
		FR_CALL_TABLE(FR_X)
#undef FR_X
	};

	return call < FR_BB_MAX_CALLS ? names[call] : NULL;
}

/* Of a line of /proc/PID/status, in its unit; NAN: not there. */
static double status_field(const char *text, const char *field)
{
	const char *line = strstr(text, field);
	unsigned long long value;

	return line && sscanf(line + strlen(field), "%llu", &value) == 1 ? (double)value : NAN;
}

/* What the kernel says about a process, also when it is not traced. */
static void read_proc(pid_t pid, struct process_metrics *out)
{
	g_autofree char *status_path = g_strdup_printf("/proc/%d/status", (int)pid);
	g_autofree char *stat_path = g_strdup_printf("/proc/%d/stat", (int)pid);
	g_autofree char *status = NULL, *stat = NULL;
	const char *after_name;
	unsigned long long user, system;

	snprintf(out->pid, sizeof(out->pid), "%d", (int)pid);
	out->threads = out->resident_bytes = out->cpu_seconds = NAN;
	out->is_up = 0;
	if (!g_file_get_contents(status_path, &status, NULL, NULL) || strstr(status, "\nState:\tZ"))
		return;
	out->is_up = 1;
	out->threads = status_field(status, "\nThreads:");
	out->resident_bytes = status_field(status, "\nVmRSS:") * 1024;
	if (!g_file_get_contents(stat_path, &stat, NULL, NULL))
		return;
	/* Fields 14 and 15 of proc(5); the name in parentheses may hold anything. */
	after_name = strrchr(stat, ')');
	if (after_name &&
		sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
			&system) == 2)
		out->cpu_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void read_heap(const struct blackbox *blackbox, struct process_metrics *out)
{
	g_autoptr(GArray) buckets = blackbox_buckets(blackbox, FR_BUCKET_HEAP);

	for (guint i = 0; i < buckets->len; i++) {
		const struct fr_bucket *bucket = &g_array_index(buckets, struct fr_bucket, i);
		double scale = profile_heap_scale(
			(int64_t)bucket->value[0], (int64_t)bucket->value[1], bucket->rate);

		out->alloc_objects += scale * (double)bucket->value[0];
		out->alloc_bytes += scale * (double)bucket->value[1];
		/* Read while they change, a free may be seen before its allocation. */
		if (bucket->value[0] > bucket->value[2])
			out->live_objects += scale * (double)(bucket->value[0] - bucket->value[2]);
		if (bucket->value[1] > bucket->value[3])
			out->live_bytes += scale * (double)(bucket->value[1] - bucket->value[3]);
	}
}

static void read_blackbox(const struct profile_process *process, struct process_metrics *out)
{
	struct blackbox *blackbox = process->blackbox;
	g_autoptr(GArray) slots = blackbox_slots(blackbox, NULL);
	g_autoptr(GArray) threads = profile_process_threads(process);

	out->is_traced = true;
	/* The tracer's own are left out. */
	if (out->is_up != 0)
		out->threads = threads->len;
	blackbox_counters(blackbox, slots, &out->counters);
	if (blackbox_calls(blackbox, out->calls) < 0)
		memset(out->calls, 0, sizeof(out->calls));
	read_heap(blackbox, out);
}

/*
 * The program, and the traced processes that live; a GPtrArray of struct process_metrics. What the program left is shown
 * after its death, too. Processes beyond the limit are counted.
 */
static GPtrArray *read_processes(const char *rundir, pid_t main_pid, unsigned *n_omitted_out)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) processes = profile_processes_open(rundir ? rundir : "", 0);
	const struct profile_process *main_process = NULL;
	struct process_metrics *metrics = g_new0(struct process_metrics, 1);

	*n_omitted_out = 0;
	read_proc(main_pid, metrics);
	g_ptr_array_add(all, metrics);
	/* An exec begins a new blackbox for the same pid: the newest comes last. */
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (process->blackbox && process->pid == main_pid)
			main_process = process;
	}
	if (main_process)
		read_blackbox(main_process, metrics);
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (!process->is_alive || !process->blackbox || process->pid == main_pid)
			continue;
		if (all->len == MAX_PROCESSES) {
			(*n_omitted_out)++;
			continue;
		}
		metrics = g_new0(struct process_metrics, 1);
		read_proc(process->pid, metrics);
		read_blackbox(process, metrics);
		g_ptr_array_add(all, metrics);
	}
	return all;
}

static void read_scheduling(struct sched *sched, const GPtrArray *processes)
{
	for (guint i = 0; i < processes->len; i++) {
		struct process_metrics *metrics = g_ptr_array_index(processes, i);
		struct thread_times times;
		bool is_known = sched_process_times(
			sched, (pid_t)strtol(metrics->pid, NULL, 10), &times);

		metrics->ready_seconds = is_known ? (double)times.delay_ns / 1e9 : NAN;
		metrics->switches = is_known ? (double)times.slices : NAN;
	}
}

/* What is recorded of the scheduler. */
static void add_scheduling(struct metrics *metrics, struct sched *sched)
{
	struct sched_status status;

	sched_status(sched, &status);
	metrics_family(metrics, "flightrec_sched_step",
		"How the scheduler is seen just now: always 1, the step is the label.");
	metrics_add(metrics, 1, "step", sched_step_name(status.step), NULL);
	metrics_family(metrics, "flightrec_sched_records_lost_total",
		"Records of switches that were written over before they were read.");
	metrics_add(metrics, (double)status.n_lost, NULL);
	metrics_family(metrics, "flightrec_sched_reader_cpu_seconds_total",
		"CPU time the recorder used to read them.");
	metrics_add(metrics, (double)status.drain_ns / 1e9, NULL);
}

/* A family with one value per process; `offset` is that of a double, or of a uint64_t counter. */
struct family {
	const char *name, *help;
	size_t offset;
	enum { OF_KERNEL, OF_TRACER, COUNTER, COUNTER_NS } kind;
};

#define VALUE(field) offsetof(struct process_metrics, field)

static const struct family families[] = {
	{ "flightrec_up", "Whether the process lives.", VALUE(is_up), OF_KERNEL },
	{ "flightrec_threads", "Threads of the process.", VALUE(threads), OF_KERNEL },
	{ "flightrec_resident_memory_bytes", "Resident memory of the process.",
		VALUE(resident_bytes), OF_KERNEL },
	{ "flightrec_cpu_seconds_total", "CPU time the process used, user and system.",
		VALUE(cpu_seconds), OF_KERNEL },
	{ "flightrec_run_queue_seconds_total",
		"Time threads were ready to run, but had no CPU, to the last second.",
		VALUE(ready_seconds), OF_KERNEL },
	{ "flightrec_sched_switches_total",
		"Times threads were put on a CPU, to the last second.", VALUE(switches),
		OF_KERNEL },
	{ "flightrec_heap_live_bytes", "Heap memory in use, estimated from samples.",
		VALUE(live_bytes), OF_TRACER },
	{ "flightrec_heap_live_objects", "Heap objects in use, estimated from samples.",
		VALUE(live_objects), OF_TRACER },
	{ "flightrec_heap_allocated_bytes_total", "Heap memory allocated, estimated from samples.",
		VALUE(alloc_bytes), OF_TRACER },
	{ "flightrec_heap_allocated_objects_total",
		"Heap objects allocated, estimated from samples.", VALUE(alloc_objects),
		OF_TRACER },
	{ "flightrec_lock_wait_seconds_total", "Time threads waited for locks.",
		VALUE(counters.block_ns), COUNTER_NS },
	{ "flightrec_lock_waits_total", "Lock operations that waited.",
		VALUE(counters.locks_waited), COUNTER },
	{ "flightrec_locks_uncontended_total", "Lock operations that did not wait.",
		VALUE(counters.locks_free), COUNTER },
	{ "flightrec_threads_created_total", "Threads the process created.",
		VALUE(counters.threads_created), COUNTER },
	{ "flightrec_events_total", "Events handed to the ring.", VALUE(counters.events), COUNTER },
	{ "flightrec_stacks_lost_total", "Stacks lost because the stack table was full.",
		VALUE(counters.stacks_overflow), COUNTER },
	{ "flightrec_stacks_truncated_total", "Stacks cut at the depth limit.",
		VALUE(counters.stacks_cut), COUNTER },
	{ "flightrec_stacks_broken_total", "Stacks whose walk stopped early.",
		VALUE(counters.stacks_broken), COUNTER },
	{ "flightrec_profile_samples_lost_total",
		"Samples lost because a profile's table was full.",
		VALUE(counters.buckets_overflow), COUNTER },
	{ "flightrec_cpu_samples_total", "CPU samples taken, missed ticks included.",
		VALUE(counters.cpu_ticks), COUNTER },
	{ "flightrec_cpu_samples_missed_total", "Ticks that came together with another one.",
		VALUE(counters.cpu_missed), COUNTER },
	{ "flightrec_cpu_samples_lost_total", "CPU samples without a stack.",
		VALUE(counters.cpu_lost), COUNTER },
	{ "flightrec_cpu_samples_tracer_total",
		"CPU samples inside the tracer's own work, its measured cost.",
		VALUE(counters.cpu_own), COUNTER },
};

static void add_family(
	struct metrics *metrics, const struct family *family, const GPtrArray *processes)
{
	metrics_family(metrics, family->name, family->help);
	for (guint i = 0; i < processes->len; i++) {
		const struct process_metrics *process = g_ptr_array_index(processes, i);
		const void *field = (const char *)process + family->offset;
		double value;

		if (family->kind == COUNTER || family->kind == COUNTER_NS)
			value = (double)*(const uint64_t *)field;
		else
			value = *(const double *)field;
		if (family->kind == COUNTER_NS)
			value /= 1e9;
		if (!isnan(value) && (family->kind == OF_KERNEL || process->is_traced))
			metrics_add(metrics, value, "pid", process->pid, NULL);
	}
}

static void add_calls(struct metrics *metrics, const GPtrArray *processes, bool is_time)
{
	for (guint i = 0; i < processes->len; i++) {
		const struct process_metrics *process = g_ptr_array_index(processes, i);

		for (unsigned call = 0; call < FR_BB_MAX_CALLS && process->is_traced; call++) {
			const struct fr_call_total *total = &process->calls[call];
			double value = is_time ? (double)total->dur_ns / 1e9 : (double)total->n;

			if (total->n && call_name(call))
				metrics_add(metrics, value, "pid", process->pid, "call",
					call_name(call), NULL);
		}
	}
}

/* The recorder: what it costs, and what it has lost. */
static void add_own(struct metrics *metrics, struct routes_context *context, unsigned n_omitted)
{
	struct recording_status *status = g_new0(struct recording_status, 1);
	struct process_metrics own = { 0 };

	recording_status(context->recording, status);
	read_proc(getpid(), &own);
	metrics_family(metrics, "flightrec_build_info", "The recorder's version.");
	metrics_add(metrics, 1, "version", FLIGHTREC_VERSION, NULL);
	metrics_family(metrics, "flightrec_processes_omitted",
		"Traced processes beyond those that are shown here.");
	metrics_add(metrics, n_omitted, NULL);
	metrics_family(metrics, "flightrec_events_lost_total", "Events lost in runs and traces.");
	metrics_add(metrics, (double)status->lost_events, NULL);
	metrics_family(metrics, "flightrec_ring_capacity_bytes", "Memory of the flight recorder.");
	metrics_add(metrics, (double)status->ring_bytes, NULL);
	if (status->has_ring_held) {
		metrics_family(metrics, "flightrec_ring_held_bytes",
			"Events that the flight recorder holds.");
		metrics_add(metrics, (double)status->ring_held_bytes, NULL);
	}
	metrics_family(metrics, "flightrec_ring_covered_seconds",
		"How far back the flight recorder holds everything.");
	metrics_add(metrics, (double)status->covered_ns / 1e9, NULL);
	metrics_family(metrics, "flightrec_ring_lost_events_total",
		"Events dropped while a CPU's ring was blocked by a thread within an event.");
	metrics_add(metrics, (double)status->ring_lost_events, NULL);
	metrics_family(metrics, "flightrec_recording", "Whether a run or a trace is on.");
	metrics_add(metrics, status->has_current, NULL);
	metrics_family(metrics, "flightrec_recorder_resident_memory_bytes",
		"Resident memory of the recorder.");
	metrics_add(metrics, own.resident_bytes, NULL);
	metrics_family(metrics, "flightrec_recorder_cpu_seconds_total",
		"CPU time the recorder used, user and system.");
	metrics_add(metrics, own.cpu_seconds, NULL);
	metrics_family(metrics, "flightrec_recorder_start_time_seconds",
		"When the recorder started, Unix time.");
	metrics_add(metrics, (double)context->start_real_ns / 1e9, NULL);
	g_free(status);
}

/* Kinds that nothing has fired are left out. */
static void add_triggers(struct metrics *metrics, struct triggers *triggers)
{
	struct triggers_count counts[FR_TRIGGER_N];

	triggers_counts(triggers, counts);
	metrics_family(metrics, "flightrec_triggers_total",
		"Triggers, by kind and by whether a trace was written or the limits left it out.");
	for (uint32_t kind = 0; kind < FR_TRIGGER_N; kind++) {
		const char *name = triggers_kind_name(kind);

		if (counts[kind].n_fired)
			metrics_add(metrics, (double)counts[kind].n_fired, "kind", name, "result",
				"written", NULL);
		if (counts[kind].n_suppressed)
			metrics_add(metrics, (double)counts[kind].n_suppressed, "kind", name,
				"result", "suppressed", NULL);
	}
}

void route_metrics(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	g_autoptr(GString) text = g_string_new(NULL);
	struct metrics metrics = { .text = text };
	unsigned n_omitted;
	g_autoptr(GPtrArray) processes =
		read_processes(context->rundir, atomic_load(&context->pid), &n_omitted);

	read_scheduling(context->sched, processes);
	for (size_t i = 0; i < G_N_ELEMENTS(families); i++)
		add_family(&metrics, &families[i], processes);
	metrics_family(&metrics, "flightrec_syscalls_total",
		"Calls through libc that enter the kernel, by call.");
	add_calls(&metrics, processes, false);
	metrics_family(&metrics, "flightrec_syscall_seconds_total",
		"Time in these calls, by call; waiting included.");
	add_calls(&metrics, processes, true);
	add_scheduling(&metrics, context->sched);
	add_triggers(&metrics, context->triggers);
	add_own(&metrics, context, n_omitted);
	http_reply(request, 200, CONTENT_TYPE, text->str, text->len);
}
