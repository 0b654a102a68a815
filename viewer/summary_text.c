/* SPDX-License-Identifier: MIT */
/*
 * The summary for people: a section per question, empty ones left out, numbers before names so that columns
 * line up whatever the names are. Every line fits 100 columns.
 */
#include "viewer/summary.h"

#include "viewer/format.h"
#include "viewer/summary_print.h"

#define N_STATE_COLUMNS 5
#define MIN_UNFOLLOWED_NS 1000000

/* The states that took the most time, without running; returns how many, rest_out: whether others have any. */
static size_t pick_states(
	const struct summary *summary, uint32_t picked[N_STATE_COLUMNS], int *is_rest_out)
{
	uint64_t sums[FR_STATE_N] = { 0 }, outside;
	size_t n = 0;

	for (guint i = 0; i < summary->by_thread->len; i++) {
		const struct thread_time *time = thread_states_get(
			summary->states, g_array_index(summary->by_thread, uint32_t, i));
		for (int j = 0; j < FR_STATE_N; j++)
			sums[j] += time->blocked_ns[j];
	}
	/* Outside of calls is none of the kinds, but part of the rest. */
	outside = sums[FR_STATE_RUNNING];
	sums[FR_STATE_RUNNING] = 0;
	for (; n < N_STATE_COLUMNS; n++) {
		uint32_t best = 0;
		for (uint32_t j = 1; j < FR_STATE_EXITED; j++)
			if (sums[j] > sums[best])
				best = j;
		if (!sums[best])
			break;
		picked[n] = best;
		sums[best] = 0;
	}
	*is_rest_out = outside > 0;
	for (int j = 0; j < FR_STATE_N; j++)
		*is_rest_out |= sums[j] > 0;
	/* The column for the others takes the place of one, if all are taken. */
	return n - (size_t)(*is_rest_out && n == N_STATE_COLUMNS);
}

static void print_process_line(const struct summary *summary, uint32_t index, FILE *out)
{
	const struct trace *trace = summary->trace;
	const struct process *process = trace_process(trace, index);
	const char *command = strings_get(trace->strings, process->command);
	g_autofree char *name =
		format_text(*command ? command : trace_process_name(trace, index), 70, 0);

	if (process->pid)
		fprintf(out, "  pid %u: %s%s%s\n", process->pid, name,
			process->end_ns ? " (ended)" : "",
			process->is_defined ? "" : " (its state was lost)");
	else
		fprintf(out, "  pid unknown: a process whose state was lost\n");
}

/* Where they took a share of the processors that one may wonder about. */
static void print_unfollowed(const struct summary *summary, FILE *out)
{
	struct summary_unfollowed unfollowed = summary_unfollowed(summary);
	uint64_t run_ns = 0;
	char buffer[FORMAT_SIZE];

	for (guint i = 0; i < summary->by_thread->len; i++)
		run_ns += thread_states_get(
			summary->states, g_array_index(summary->by_thread, uint32_t, i))
				  ->run_ns;
	if (unfollowed.run_ns >= MIN_UNFOLLOWED_NS && unfollowed.run_ns >= run_ns / 100)
		fprintf(out,
			"  %u more that the tracer does not follow (its own, those of raw "
			"clone): %s on a processor\n",
			unfollowed.n, format_ns(buffer, unfollowed.run_ns));
}

static void print_threads(const struct summary *summary, FILE *out, unsigned top)
{
	const struct trace *trace = summary->trace;
	uint32_t states[N_STATE_COLUMNS], last = UINT32_MAX;
	int is_rest, is_sched = summary_has_sched(summary);
	size_t n = pick_states(summary, states, &is_rest);
	char buffer[FORMAT_SIZE];

	if (summary->by_thread->len == 0)
		return;
	if (is_sched)
		fprintf(out,
			"\nThreads: where their time went (RUN: on a processor, READY: waiting "
			"for one, the rest: blocked)\n");
	else
		fprintf(out,
			"\nThreads: where their time went (RUN: running or runnable, the rest of "
			"PRESENT;\n  CPU: on a processor, also inside calls)\n");
	fprintf(out, "  %7s %-15s %8s %8s %8s", "TID", "NAME", "PRESENT", "RUN",
		is_sched ? "READY" : "CPU");
	for (size_t i = 0; i < n; i++) {
		g_autofree char *name = g_ascii_strup(event_state_name(states[i]), -1);
		fprintf(out, " %8s", name);
	}
	fprintf(out, "%s\n", is_rest ? "    OTHER" : "");
	for (guint i = 0; i < summary_at_most(summary->by_thread, top); i++) {
		uint32_t index = g_array_index(summary->by_thread, uint32_t, i);
		const struct thread *thread = trace_thread(trace, index);
		const struct thread_time *time = thread_states_get(summary->states, index);
		g_autofree char *name = format_text(trace_thread_name(trace, index), 15, 0);
		uint64_t shown = 0, all = 0;
		if (thread->process != last && trace->processes->len > 1)
			print_process_line(summary, thread->process, out);
		last = thread->process;
		fprintf(out, "  %7u %-15s %8s", thread->tid, name,
			format_ns(buffer, time->present_ns));
		fprintf(out, " %8s", format_ns(buffer, time->run_ns));
		if (is_sched)
			fprintf(out, " %8s", format_ns(buffer, time->runnable_ns));
		else
			fprintf(out, " %8s",
				thread->cpu_ns >= 0 ? format_ns(buffer, (uint64_t)thread->cpu_ns)
						    : "?");
		for (size_t j = 0; j < n; j++) {
			shown += time->blocked_ns[states[j]];
			fprintf(out, " %8s", format_ns(buffer, time->blocked_ns[states[j]]));
		}
		for (int j = 0; j < FR_STATE_N; j++)
			all += time->blocked_ns[j];
		if (is_rest)
			fprintf(out, " %8s", format_ns(buffer, all - shown));
		fputc('\n', out);
	}
	summary_print_more(out, summary->by_thread, top);
	print_unfollowed(summary, out);
}

static void print_lock_pair(
	const struct summary *summary, const struct lock_pair *pair, int is_contention, FILE *out)
{
	const struct trace *trace = summary->trace;
	const char *verb = is_contention ? "held by" : "let in by";
	g_autofree char *waiter =
		format_text(strings_get(trace->strings, pair->waiter_site), SUMMARY_WIDTH - 36, 1);
	char a[FORMAT_SIZE], b[FORMAT_SIZE];

	fprintf(out, "  %8s %9s %8s    at %s\n", format_ns(a, pair->total.ns),
		format_count(b, (double)pair->total.n), "", waiter);
	if (pair->holder == THREAD_NONE && !pair->holder_site)
		return;
	g_autoptr(GString) holder = g_string_new(NULL);
	if (pair->holder != THREAD_NONE)
		g_string_append_printf(holder, "%s (%u)", trace_thread_name(trace, pair->holder),
			trace_thread(trace, pair->holder)->tid);
	else
		g_string_append(holder, "a thread unknown");
	if (pair->holder_site)
		g_string_append_printf(
			holder, " at %s", strings_get(trace->strings, pair->holder_site));
	g_autofree char *text = format_text(holder->str, SUMMARY_WIDTH - 45, 1);
	fprintf(out, "%35s%s %s\n", "", verb, text);
}

static void print_locks(const struct summary *summary, FILE *out, unsigned top, int is_contention,
	const char *title)
{
	const struct trace *trace = summary->trace;
	unsigned n_shown = 0, n_left = 0;
	char a[FORMAT_SIZE], b[FORMAT_SIZE], c[FORMAT_SIZE];

	for (guint i = 0; i < summary->by_lock->len; i++) {
		uint32_t index = g_array_index(summary->by_lock, uint32_t, i);
		const struct lock *lock = &g_array_index(summary->locks.locks, struct lock, index);
		const struct lock_pair *pairs[3];
		if (summary_is_contention(lock->kind) != is_contention)
			continue;
		if (top && n_shown == top) {
			n_left++;
			continue;
		}
		if (n_shown++ == 0)
			fprintf(out, "\n%s\n  %8s %9s %8s  %s\n", title, "WAITED", "COUNT", "MAX",
				"LOCK, PLACE");
		fprintf(out, "  %8s %9s %8s  %s 0x%" G_GINT64_MODIFIER "x",
			format_ns(a, lock->total.ns), format_count(b, (double)lock->total.n),
			format_ns(c, lock->total.max_ns),
			lock->kind == FR_LOCK_RWLOCK_RD || lock->kind == FR_LOCK_RWLOCK_WR
				? "rwlock"
				: event_lock_name(lock->kind),
			lock->obj);
		if (trace->processes->len > 1)
			fprintf(out, " of pid %u", trace_process(trace, lock->process)->pid);
		if (lock->n_failed)
			fprintf(out, ", %u timed out or failed", lock->n_failed);
		fputc('\n', out);
		if (lock->n_open)
			fprintf(out, "%33s%u still waiting at the end, for %s in sum\n", "",
				lock->n_open, format_ns(a, lock->open_ns));
		size_t n = summary_lock_pairs(summary, index, pairs, G_N_ELEMENTS(pairs));
		uint64_t n_waits = 0;
		for (size_t j = 0; j < n; j++) {
			print_lock_pair(summary, pairs[j], is_contention, out);
			n_waits += pairs[j]->total.n;
		}
		if (n_waits < lock->total.n)
			fprintf(out, "  %8s %9" G_GUINT64_FORMAT " %8s    at other places\n", "",
				lock->total.n - n_waits, "");
	}
	if (n_left)
		fprintf(out, "  ... and %u more (--top=N shows more, --top=0 all)\n", n_left);
}

static void print_calls(const struct summary *summary, FILE *out, unsigned top)
{
	const char *mode = trace_receipt(summary->trace, "mode");
	int is_exact = 0;
	char a[FORMAT_SIZE], b[FORMAT_SIZE], c[FORMAT_SIZE], d[FORMAT_SIZE], e[FORMAT_SIZE];
	uint64_t n_short = 0;

	if (summary->by_call->len == 0)
		return;
	for (uint32_t i = 0; i <= FR_CALL_N; i++) {
		is_exact |= summary->calls.by_call[i].exact_n > 0;
		n_short += summary->calls.by_call[i].short_n;
	}
	fprintf(out, "\nSystem calls through libc, by time%s\n",
		is_exact ? " (ALL, ALL TIME: counted by the tracer, events or not)" : "");
	fprintf(out, "  %-16s %8s %8s %8s %8s %9s %6s%s\n", "CALL", "EVENTS", "TIME", "MEAN", "MAX",
		"BYTES", "ERRORS", is_exact ? "      ALL ALL TIME" : "");
	for (guint i = 0; i < summary_at_most(summary->by_call, top); i++) {
		uint32_t call = g_array_index(summary->by_call, uint32_t, i);
		const struct call_stat *stat = &summary->calls.by_call[call];
		fprintf(out, "  %-16s %8s %8s %8s %8s", event_call_name(call),
			format_count(a, (double)stat->n), format_ns(b, stat->ns),
			format_ns(c, stat->n ? stat->ns / stat->n : 0), format_ns(d, stat->max_ns));
		fprintf(out, " %9s %6s", format_bytes(e, (double)stat->bytes),
			format_count(a, (double)stat->n_errors));
		if (is_exact)
			fprintf(out, " %8s %8s", format_count(b, (double)stat->exact_n),
				format_ns(c, stat->exact_ns));
		if (stat->n_open)
			fprintf(out, "\n%19s%" G_GUINT64_FORMAT " not over at the end, %s so far",
				"", stat->n_open, format_ns(a, stat->open_ns));
		fputc('\n', out);
	}
	summary_print_more(out, summary->by_call, top);
	if (n_short)
		fprintf(out,
			"  %" G_GUINT64_FORMAT " short calls have no event and are only in ALL.\n",
			n_short);
	if (is_exact && mode && g_str_equal(mode, "snapshot"))
		fprintf(out, "  ALL counts since the start of each process, not of the window.\n");
}

static void append_target(
	const struct summary *summary, const struct call_site *site, GString *text)
{
	const struct trace *trace = summary->trace;
	uint32_t proc = trace_process(trace, site->process)->proc;
	uint32_t target = idmap_get(&trace->fds, proc, (uint32_t)site->fd);

	if (site->call == FR_CALL_syscall && site->fd >= 0) {
		g_string_append_printf(text, " number %d", site->fd);
	} else if (site->path) {
		g_autofree char *path =
			format_text(site->is_path_various ? "several paths"
							  : strings_get(trace->strings, site->path),
				26, 1);
		g_string_append_printf(text, " %s", path);
	} else if (site->fd == CALL_FD_VARIOUS) {
		g_string_append(text, " several fds");
	} else if (site->fd >= 0) {
		g_string_append_printf(text, " fd %d", site->fd);
		if (target != IDMAP_NONE) {
			g_autofree char *name =
				format_text(strings_get(trace->strings, target), 18, 1);
			g_string_append_printf(text, "=%s", name);
		}
	}
}

static void print_call_sites(const struct summary *summary, FILE *out, unsigned top)
{
	const struct trace *trace = summary->trace;
	char a[FORMAT_SIZE], b[FORMAT_SIZE], c[FORMAT_SIZE], d[FORMAT_SIZE];

	if (summary->by_call_site->len == 0)
		return;
	fprintf(out, "\nSystem calls by place\n  %8s %8s %8s %9s  %s\n", "TIME", "EVENTS", "MAX",
		"BYTES", "CALL, PLACE");
	for (guint i = 0; i < summary_at_most(summary->by_call_site, top); i++) {
		const struct call_site *site = &g_array_index(summary->calls.sites,
			struct call_site, g_array_index(summary->by_call_site, uint32_t, i));
		g_autoptr(GString) text = g_string_new(event_call_name(site->call));
		append_target(summary, site, text);
		g_string_append(text, " at ");
		g_autofree char *place = format_text(strings_get(trace->strings, site->site),
			SUMMARY_WIDTH - 40 - (size_t)g_utf8_strlen(text->str, -1), 1);
		fprintf(out, "  %8s %8s %8s %9s  %s%s\n", format_ns(a, site->ns),
			format_count(b, (double)site->n), format_ns(c, site->max_ns),
			format_bytes(d, (double)site->bytes), text->str, place);
	}
	summary_print_more(out, summary->by_call_site, top);
}

static void print_allocs(const struct summary *summary, FILE *out, unsigned top)
{
	char a[FORMAT_SIZE], b[FORMAT_SIZE], c[FORMAT_SIZE], d[FORMAT_SIZE];

	if (summary->alloc_places->len == 0)
		return;
	fprintf(out,
		"\nAllocations by place, scaled from %" G_GUINT64_FORMAT
		" samples (IN USE: at the end of the window)\n",
		summary->allocs.n_samples);
	fprintf(out, "  %9s %8s %9s %8s %7s  %s\n", "IN USE", "OBJECTS", "ALLOCATED", "OBJECTS",
		"SAMPLES", "PLACE");
	for (guint i = 0; i < summary_at_most(summary->alloc_places, top); i++) {
		const struct alloc_place *place =
			&g_array_index(summary->alloc_places, struct alloc_place, i);
		g_autofree char *site = format_text(
			strings_get(summary->trace->strings, place->site), SUMMARY_WIDTH - 50, 1);
		fprintf(out, "  %9s %8s %9s %8s %7" G_GUINT64_FORMAT "  %s\n",
			format_bytes(a, place->in_use_bytes),
			format_count(b, place->in_use_objects), format_bytes(c, place->bytes),
			format_count(d, place->objects), place->n_samples, site);
	}
	summary_print_more(out, summary->alloc_places, top);
}

static void print_types(const struct summary *summary, FILE *out, unsigned top, const char *title,
	const GArray *types, const GArray *order)
{
	const struct trace *trace = summary->trace;
	char a[5][FORMAT_SIZE];

	if (order->len == 0)
		return;
	fprintf(out, "\n%s\n  %8s %8s %8s %8s %8s  %s\n", title, "COUNT", "P50", "P90", "P99",
		"MAX", "TYPE");
	for (guint i = 0; i < summary_at_most(order, top); i++) {
		const struct task_type *type =
			&g_array_index(types, struct task_type, g_array_index(order, uint32_t, i));
		const struct latency *latency = &type->latency;
		g_autofree char *name = format_text(strings_get(trace->strings, type->type), 50, 1);
		fprintf(out, "  %8s %8s %8s %8s %8s  %s", format_count(a[0], (double)latency->n),
			format_ns(a[1], latency_percentile(latency, 50)),
			format_ns(a[2], latency_percentile(latency, 90)),
			format_ns(a[3], latency_percentile(latency, 99)),
			format_ns(a[4], latency->max_ns), name);
		if (type->n_open)
			fprintf(out,
				"\n%48s%" G_GUINT64_FORMAT " open at the end, the oldest for %s",
				"", type->n_open, format_ns(a[0], trace->end_ns - type->oldest_ns));
		fputc('\n', out);
	}
	summary_print_more(out, order, top);
}

static void print_user(const struct summary *summary, FILE *out, unsigned top)
{
	const struct tasks *tasks = &summary->tasks;

	print_types(summary, out, top, "Tasks", tasks->tasks, summary->by_task);
	if (tasks->n_ended_only)
		fprintf(out, "  %" G_GUINT64_FORMAT " tasks ended that began before the window.\n",
			tasks->n_ended_only);
	print_types(summary, out, top, "Regions", tasks->regions, summary->by_region);
	if (tasks->n_dropped)
		fprintf(out,
			"  %" G_GUINT64_FORMAT " tasks or regions beyond the limit of open ones.\n",
			tasks->n_dropped);
	if (tasks->counters->len)
		fprintf(out, "\nCounters of the program\n  %12s %12s %12s %9s  %s\n", "LAST",
			"LEAST", "MOST", "VALUES", "NAME");
	for (guint i = 0; i < summary_at_most(tasks->counters, top); i++) {
		const struct user_counter *counter =
			&g_array_index(tasks->counters, struct user_counter, i);
		g_autofree char *name =
			format_text(strings_get(summary->trace->strings, counter->name), 45, 1);
		fprintf(out,
			"  %12" G_GINT64_FORMAT " %12" G_GINT64_FORMAT " %12" G_GINT64_FORMAT
			" %9" G_GUINT64_FORMAT "  %s\n",
			counter->last, counter->min, counter->max, counter->n, name);
	}
	summary_print_more(out, tasks->counters, top);
	if (tasks->n_logs)
		fprintf(out,
			"\n%" G_GUINT64_FORMAT
			" log messages; read them with: trace-view dump --event='*:log' FILE\n",
			tasks->n_logs);
}

void summary_print_text(const struct summary *summary, FILE *out, unsigned top)
{
	summary_print_head(summary, out);
	summary_print_death(summary, out);
	summary_print_triggers(summary, out);
	if (summary->findings)
		findings_print(summary->findings, out, top);
	print_threads(summary, out, top);
	summary_print_sched(summary, out, top);
	print_locks(summary, out, top, 1, "Contended locks, by time waited");
	print_locks(summary, out, top, 0, "Waits for other threads, by time waited");
	if (summary->locks.rest.n)
		fprintf(out,
			"  %" G_GUINT64_FORMAT " more waits at locks beyond the table's limit.\n",
			summary->locks.rest.n);
	summary_print_wakers(summary, out, top);
	summary_print_cpu(summary, out, top);
	print_calls(summary, out, top);
	print_call_sites(summary, out, top);
	print_allocs(summary, out, top);
	print_user(summary, out, top);
}
