/* SPDX-License-Identifier: MIT */
#include "recorder/pack.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "recorder/access.h"
#include "recorder/recording.h"

#define MAX_ENV 16

char *pack_command(char *const argv[])
{
	GString *text = g_string_new(NULL);

	for (size_t i = 0; argv[i]; i++) {
		bool is_plain =
			argv[i][0] != '\0' &&
			strspn(argv[i],
				"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				"-_./=:,+@%") == strlen(argv[i]);
		g_autofree char *quoted = is_plain ? g_strdup(argv[i]) : g_shell_quote(argv[i]);

		g_string_append_printf(text, "%s%s", i ? " " : "", quoted);
	}
	return g_string_free(text, FALSE);
}

void pack_add_note(struct pack_job *job, const char *note)
{
	size_t n = 0;

	while (job->notes[n])
		n++;
	if (note && n < PACK_MAX_NOTES)
		job->notes[n] = note;
}

/* Keys and values that live as long as the call. */
struct env_list {
	struct trace_out_env env[MAX_ENV];
	size_t n;
};

/* Takes over `value`. */
static void env_add(struct env_list *list, const char *key, char *value)
{
	if (list->n == MAX_ENV) {
		g_free(value);
		return;
	}
	list->env[list->n++] = (struct trace_out_env){ .key = key, .value = value };
}

static void env_add_number(struct env_list *list, const char *key, uint64_t value)
{
	env_add(list, key, g_strdup_printf("%" PRIu64, value));
}

static void env_add_duration(struct env_list *list, const char *key, uint64_t ns)
{
	char text[64];

	units_duration_format((int64_t)ns, text, sizeof(text));
	env_add(list, key, g_strdup(text));
}

int pack_write(const struct pack_job *job, int fd, struct trace_out_result *result_out)
{
	const struct options *options = job->options;
	struct env_list list = { .n = 0 };
	struct trace_out_request request = {
		.rundir = job->rundir,
		.ust_dir = job->ust_dir,
		.mode = job->mode,
		.end_reason = job->end_reason,
		.asked_ns = job->asked_ns,
		.begin_ns = job->begin_ns,
		.end_ns = job->end_ns,
		.sched = job->sched,
		.notes = job->notes,
		.losses = job->losses,
		.cpu_begin = job->cpu_begin,
		.symbols = job->symbols,
		.on_safe = job->on_safe,
		.is_hurried = job->is_hurried,
		.user = job->user,
		.trigger = job->trigger,
		.death = job->death,
		.death_signal = job->death_signal,
		.is_nameless = job->is_nameless,
		.add_members = job->add_members,
		.members = job->members,
		.is_progress = !options->is_quiet,
		.debuginfod_ns = options->debuginfod_ns,
	};
	int err;

	env_add(&list, "command", access_command(options));
	env_add(&list, "settings.events", options_events_format(options->events));
	env_add_duration(&list, "settings.lock_threshold", options->lock_ns);
	env_add_duration(&list, "settings.syscall_threshold", options->syscall_ns);
	env_add_number(&list, "settings.alloc_rate", options->alloc_rate);
	env_add_number(&list, "settings.cpu_always", options->cpu_always_hz);
	env_add_number(&list, "settings.stack_depth", options->stack_depth);
	env_add_number(&list, "settings.buffer_size", options->buffer_bytes);
	env_add_number(&list, "settings.max_trace_size", options->max_trace_bytes);
	env_add_duration(&list, "settings.debuginfod", options->debuginfod_ns);
	request.env = list.env;
	request.n_env = list.n;
	err = trace_out_write(fd, &request, result_out);
	for (size_t i = 0; i < list.n; i++)
		g_free((char *)(uintptr_t)list.env[i].value);
	return err;
}
