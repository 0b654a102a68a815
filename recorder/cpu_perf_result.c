/* SPDX-License-Identifier: MIT */
/* What the CPU engine of perf events hands out when it ends: samples, processes, counts, and sentences about them. */
#include <string.h>

#include "recorder/cpu_perf_internal.h"
#include "recorder/procfs.h"

static void process_free(void *data)
{
	struct cpu_perf_process *process = data;

	if (process->modules)
		g_array_unref(process->modules);
	g_free(process);
}

void cpu_perf_free(struct cpu_perf *perf)
{
	perf_events_fini(&perf->events);
	perf_spaces_fini(&perf->spaces);
	g_array_unref(perf->wanted);
	g_hash_table_destroy(perf->origins);
	g_rand_free(perf->random);
	pthread_mutex_destroy(&perf->lock);
	pthread_mutex_destroy(&perf->stop_lock);
	pthread_cond_destroy(&perf->stop_changed);
	g_free(perf);
}

struct cpu_perf_result *cpu_perf_result_new(void)
{
	struct cpu_perf_result *result = g_new0(struct cpu_perf_result, 1);

	result->processes = g_ptr_array_new_with_free_func(process_free);
	result->samples = g_array_new(FALSE, FALSE, sizeof(struct cpu_perf_sample));
	result->end_ns = UINT64_MAX;
	result->one_in = 1;
	return result;
}

static void __attribute__((format(printf, 2, 3))) note(GPtrArray *notes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(notes, g_strdup_vprintf(format, args));
	va_end(args);
}

static void make_notes(struct cpu_perf *perf, struct cpu_perf_result *result)
{
	GPtrArray *notes = g_ptr_array_new();
	unsigned n_refused = perf_images_n_refused(perf->spaces.images);
	uint64_t sampled_ns =
		(result->n_ticks + result->n_own_threads + result->n_lost / result->one_in) *
			result->period_ns +
		result->unseen_ns;

	for (guint i = 0; i < perf->events.notes->len; i++)
		note(notes, "%s", (const char *)g_ptr_array_index(perf->events.notes, i));
	if (!result->is_kernel_seen)
		note(notes,
			"CPU time in the kernel has no samples (%.2f s of the processes asked "
			"for): "
			"set kernel.perf_event_paranoid to 1, give trace-record CAP_PERFMON, or "
			"sample by signals",
			(double)result->unseen_ns / 1e9);
	if (result->one_in > 1)
		note(notes,
			"Many threads live shorter than the sampling period: they were sampled at "
			"%u "
			"Hz, and one of %u samples kept",
			perf->options.hz * result->one_in, result->one_in);
	if (result->cpu_ns > sampled_ns + sampled_ns / 10 + 20 * result->period_ns)
		note(notes,
			"Of %.2f s of CPU time %.2f s are in no sample: threads that live shorter "
			"than the sampling period (%.2f ms), or run for moments only, have too "
			"few; trace-record with CAP_PERFMON does not have this limit",
			(double)result->cpu_ns / 1e9, (double)(result->cpu_ns - sampled_ns) / 1e9,
			(double)perf->events.period_ns / 1e6);
	if (result->n_lost)
		note(notes,
			"%" G_GUINT64_FORMAT " samples were lost: this process came too late to "
			"empty the kernel's rings",
			result->n_lost);
	if (result->n_throttled)
		note(notes,
			"The kernel stopped sampling for a while %" G_GUINT64_FORMAT
			" times (kernel.perf_event_max_sample_rate)",
			result->n_throttled);
	if (result->n_overflow)
		note(notes,
			"%" G_GUINT64_FORMAT " samples are in no stack: there are more than %u "
			"different ones",
			result->n_overflow, PERF_SAMPLES_MAX);
	if (n_refused)
		note(notes,
			"The unwind tables of %u files were not read, being too large together: "
			"stacks end there",
			n_refused);
	g_ptr_array_add(notes, NULL);
	result->notes = (char **)g_ptr_array_free(notes, FALSE);
}

static void add_to_result(void *data, const struct cpu_perf_sample *sample)
{
	GArray *samples = data;

	g_array_append_val(samples, *sample);
}

static void make_processes(struct cpu_perf *perf, GPtrArray *processes)
{
	for (guint i = 0; i < perf->spaces.used->len; i++) {
		struct perf_space *space = g_ptr_array_index(perf->spaces.used, i);
		struct cpu_perf_process *process = g_new0(struct cpu_perf_process, 1);

		process->pid = space->pid;
		process->is_wanted = space->is_wanted;
		process->start_ns = space->start_ns;
		memcpy(process->comm, space->comm, sizeof(process->comm));
		process->modules = perf_space_modules(&perf->spaces, space);
		g_ptr_array_add(processes, process);
	}
}

static uint64_t kernel_time_since(const struct cpu_perf *perf)
{
	uint64_t sum = 0;

	for (guint i = 0; i < perf->wanted->len; i++) {
		const struct wanted *wanted = &g_array_index(perf->wanted, struct wanted, i);
		int64_t now = procfs_kernel_ns(wanted->pid);

		if (wanted->kernel_ns >= 0 && now > wanted->kernel_ns)
			sum += (uint64_t)(now - wanted->kernel_ns);
	}
	return sum;
}

struct cpu_perf_result *cpu_perf_end(struct cpu_perf *perf, bool is_dropped)
{
	struct cpu_perf_result *result = perf->result;
	uint64_t n_lost;

	pthread_mutex_lock(&perf->lock);
	result->end_ns = procfs_now();
	pthread_mutex_unlock(&perf->lock);
	pthread_mutex_lock(&perf->stop_lock);
	perf->is_stopped = true;
	pthread_cond_signal(&perf->stop_changed);
	pthread_mutex_unlock(&perf->stop_lock);
	pthread_join(perf->thread, NULL);
	if (is_dropped) {
		cpu_perf_result_free(result);
		perf_samples_free(perf->samples);
		cpu_perf_free(perf);
		return NULL;
	}
	result->start_ns = perf->start_ns;
	result->is_kernel_seen = perf->events.is_kernel_seen;
	result->unseen_ns = result->is_kernel_seen ? 0 : kernel_time_since(perf);
	result->n_threads_missed = perf->events.n_threads_missed;
	perf_events_read(&perf->events, &result->cpu_ns, &n_lost);
	result->cpu_ns -= MIN(perf->cpu_before_ns, result->cpu_ns);
	result->n_lost = MAX(perf->n_lost_records, n_lost - MIN(perf->lost_before, n_lost));
	make_notes(perf, result);
	make_processes(perf, result->processes);
	result->owner = perf->samples;
	perf_samples_each(perf->samples, add_to_result, result->samples);
	cpu_perf_free(perf);
	return result;
}

void cpu_perf_result_free(struct cpu_perf_result *result)
{
	if (!result)
		return;
	g_array_unref(result->samples);
	g_ptr_array_unref(result->processes);
	g_strfreev(result->notes);
	perf_samples_free(result->owner);
	g_free(result);
}
