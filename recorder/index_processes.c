/* SPDX-License-Identifier: MIT */
#include "recorder/index_processes.h"

#include "recorder/process_end.h"
#include "recorder/profile_process.h"

/* Those that live come first, then the youngest. */
static int compare(const void *a_, const void *b_)
{
	const struct profile_process *a = *(struct profile_process *const *)a_;
	const struct profile_process *b = *(struct profile_process *const *)b_;

	if (a->is_alive != b->is_alive)
		return a->is_alive ? -1 : 1;
	return (a->start_ns < b->start_ns) - (a->start_ns > b->start_ns);
}

/* "runs, 4 threads", "was killed by SIGKILL". */
static char *state_words(const char *rundir, const struct profile_process *process)
{
	const struct fr_blackbox *header = &process->blackbox->header;
	g_autofree char *name = NULL;
	g_autoptr(GArray) threads = NULL;
	struct process_end end;

	if (process->is_alive) {
		threads = profile_process_threads(process);
		return g_strdup_printf(
			"runs, %u thread%s", threads->len, threads->len == 1 ? "" : "s");
	}
	if (header->state == FR_PROCESS_EXECED)
		return g_strdup("became another program");
	if (!process_end_read(rundir, header->proc, &end))
		return g_strdup("has ended");
	switch (end.how) {
	case PROCESS_END_SIGNAL:
		name = process_signal_name((int)end.signal);
		return g_strdup_printf(
			"was killed by %s%s", name, end.is_oom ? " (out of memory)" : "");
	case PROCESS_END_EXIT:
		return g_strdup_printf("ended with status %d", end.code);
	default:
		return g_strdup("has ended");
	}
}

static void write_row(const char *rundir, const struct profile_process *process, GString *html)
{
	static const char *const profiles[] = { "heap", "block", "mutex" };
	g_autofree char *words = state_words(rundir, process);
	g_autofree char *path = g_markup_escape_text(process->exe, -1);
	int pid = (int)process->pid;

	g_string_append_printf(html,
		"<tr><td>%d</td><td>%s</td><td>%s</td><td><a "
		"href=\"/debug/pprof/goroutine?debug=2&amp;pid=%d\">threads</a>",
		pid, path, words, pid);
	for (size_t i = 0; i < G_N_ELEMENTS(profiles); i++)
		g_string_append_printf(html,
			" <a href=\"/debug/pprof/%s?debug=1&amp;pid=%d\">%s</a>", profiles[i], pid,
			profiles[i]);
	g_string_append(html, "</td></tr>\n");
}

void index_processes_write(const char *rundir, GString *html)
{
	g_autoptr(GPtrArray) processes = profile_processes_open(rundir, 0);

	if (processes->len == 0)
		return;
	g_ptr_array_sort(processes, compare);
	g_string_append(html, "<h2>Processes</h2>\n<table>\n");
	for (guint i = 0; i < MIN(processes->len, INDEX_PROCESSES_MAX); i++)
		write_row(rundir, g_ptr_array_index(processes, i), html);
	g_string_append(html, "</table>\n");
	if (processes->len > INDEX_PROCESSES_MAX)
		g_string_append_printf(html, "<p>%u more have ended or are not shown.</p>\n",
			processes->len - INDEX_PROCESSES_MAX);
}
