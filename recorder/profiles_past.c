/* SPDX-License-Identifier: MIT */
/*
 * CPU profiles of what is already past, of the samples that each process keeps in the order of time. There are few of them
 * a second, so that they may be taken always.
 */
#include <string.h>

#include "recorder/blackbox_tables.h"
#include "recorder/procfs.h"
#include "recorder/profiles_internal.h"

/* As the live one, but for its text, which pprof has no format for: "cpu profile: total N". */
static const struct profile_kind kind_past = {
	.name = "cpu",
	.about = "",
	.types = { { "samples", "count" }, { "cpu", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "cpu", "nanoseconds" },
	.shows_own = true,
	.write_text = profile_kind_write_count,
};

/* A sample that stands for several periods counts as so many; one of a faster profile beside counts as one. */
static void add_sample(const struct profile_process *process, const struct fr_cpu_sample *sample,
	uint64_t period_ns, struct profile_rows *rows)
{
	struct profile_row key = { .process = process->id, .stack = sample->stack };
	uint64_t n_periods = (sample->weight_ns + period_ns / 2) / period_ns;
	struct profile_row *row;
	char labels[160];

	if (sample->labels_id && blackbox_label(process->blackbox, sample->labels_id, labels))
		key.labels = labels;
	row = profile_rows_get(rows, &key);
	row->values[0] += (int64_t)MAX(n_periods, 1);
	row->values[1] += (int64_t)sample->weight_ns;
}

/* Adds the samples of one process; *begin_ns is set back to where they begin. */
static void add_process(const struct profile_process *process, const struct past_window *window,
	uint64_t period_ns, struct profile_rows *rows, struct profiles_past *past,
	uint64_t *begin_ns)
{
	g_autoptr(GArray) samples = NULL;
	uint64_t n_missing =
		blackbox_samples(process->blackbox, MAX(window->begin_ns, 1), &samples);
	uint64_t oldest_ns = process->start_ns;

	for (guint i = 0; i < samples->len; i++) {
		const struct fr_cpu_sample *sample =
			&g_array_index(samples, struct fr_cpu_sample, i);

		if (sample->time_ns > window->end_ns)
			break;
		add_sample(process, sample, period_ns, rows);
		past->n_samples++;
	}
	past->n_missing += n_missing;
	/* Written over, not only a few that were just being written. */
	if (n_missing && samples->len > FR_BB_SAMPLES / 2)
		oldest_ns = MAX(oldest_ns, g_array_index(samples, struct fr_cpu_sample, 0).time_ns);
	*begin_ns = MIN(*begin_ns, oldest_ns);
}

/* Why processes have no samples, as far as they say so: one sentence, to g_free(); NULL: nothing to say. */
static char *refusals(const GPtrArray *processes)
{
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		const char *words = process->blackbox ? profiles_cpu_refusal(process) : NULL;

		if (words)
			return g_strdup_printf("process %d (%s) takes no samples by itself: it %s",
				(int)process->pid, process->exe, words);
	}
	return NULL;
}

static void finish(struct profiles *profiles, const struct profiles_query *query,
	struct profile_build *build, const struct past_window *window, GByteArray **bytes_out)
{
	g_autofree char *comment = past_window_comment(window);

	build->time_ns = profiles_now_real() - (int64_t)(procfs_now() - window->begin_ns);
	build->duration_ns = (int64_t)(window->end_ns - window->begin_ns);
	build->comment = comment;
	*bytes_out = query->debug > 0 ? profiles_write_text(profiles, build)
				      : profiles_pack(profiles, build);
}

int profiles_cpu_past(struct profiles *profiles, const struct profiles_query *query,
	struct profiles_past *past, GByteArray **bytes_out, char **why_out)
{
	struct past_window *window = &past->window;
	g_autoptr(GPtrArray) processes = NULL;
	struct profile_build build = { .kind = &kind_past, .cache = profiles->cache };
	uint64_t begin_ns;
	int rc = profiles_open(profiles, query->pid, &processes, why_out);

	if (rc)
		return rc;
	if (!window->end_ns)
		window->end_ns = procfs_now();
	begin_ns = window->end_ns;
	window->begin_ns = window->end_ns - MIN(window->asked_ns, window->end_ns);
	build.period = 1000000000u / MAX(past->hz, 1u);
	build.processes = processes;
	struct profile_rows *rows = profile_rows_new();
	build.rows = rows;
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (process->blackbox)
			add_process(process, window, build.period, rows, past, &begin_ns);
	}
	window->begin_ns = CLAMP(begin_ns, window->begin_ns, window->end_ns);
	window->remedy = past->n_missing ? "; older samples were written over"
					 : "; nothing that is traced ran before";
	past->note = refusals(processes);
	if (past->n_samples == 0 && past->note) {
		/* It would look like a program that does nothing. */
		*why_out = g_steal_pointer(&past->note);
		rc = PROFILES_E_REFUSED;
	} else {
		finish(profiles, query, &build, window, bytes_out);
	}
	profile_rows_free(rows);
	return rc;
}
