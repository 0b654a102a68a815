/* SPDX-License-Identifier: MIT */
/*
 * Runs the CPU engine of perf events by itself: cpu_perf_take HZ[t] SECONDS FRAMES PID... [+PID]; t: events per thread,
 * whatever the privilege. Prints one JSON object:
 * the counts, the notes, its own cost, and the stacks with names, "leaf;caller;…". Exit 3: refused, with the
 * sentence on stdout. +PID is added after half of the time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>

#include "common/symbol.h"
#include "proto/schema.h"
#include "recorder/cpu_perf.h"

#define MAX_PIDS 64

static struct symbol_batch *batch;

static uint64_t cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

static const struct fr_module *module_at(const struct cpu_perf_process *process, uint64_t pc)
{
	for (guint i = 0; i < process->modules->len; i++) {
		const struct fr_module *module =
			&g_array_index(process->modules, struct fr_module, i);

		if (pc >= module->start && pc < module->end)
			return module;
	}
	return NULL;
}

static uint32_t batch_module(const struct cpu_perf_process *process, const struct fr_module *module)
{
	return symbol_batch_add_module(batch, &(struct symbol_module){ .path = module->path,
						      .build_id = module->build_id,
						      .n_build_id = module->n_build_id,
						      .base = module->base,
						      .pid = process->pid });
}

/* Innermost name first, inlined ones too. */
static void append_names(GString *text, const struct cpu_perf_process *process, uint64_t address)
{
	const struct fr_module *module = module_at(process, address - 1);
	const struct symbol_frame *frames;
	size_t n;

	if (!module) {
		g_string_append_printf(text, "%s[none]", text->len ? ";" : "");
		return;
	}
	frames = symbol_batch_lookup(batch, batch_module(process, module), address - 1, &n);
	for (size_t i = 0; i < n; i++)
		g_string_append_printf(text, "%s%s", text->len ? ";" : "",
			frames[i].func[0] ? frames[i].func : "[unknown]");
}

static void ask_names(const struct cpu_perf_result *result)
{
	for (guint i = 0; i < result->samples->len; i++) {
		const struct cpu_perf_sample *sample =
			&g_array_index(result->samples, struct cpu_perf_sample, i);
		const struct cpu_perf_process *process =
			g_ptr_array_index(result->processes, sample->process);

		for (uint32_t j = 0; j < sample->n; j++) {
			const struct fr_module *module = module_at(process, sample->frames[j] - 1);

			if (module)
				symbol_batch_add(batch, batch_module(process, module),
					sample->frames[j] - 1);
		}
	}
	symbol_batch_resolve(batch);
}

static json_t *samples_json(const struct cpu_perf_result *result)
{
	json_t *array = json_array();

	for (guint i = 0; i < result->samples->len; i++) {
		const struct cpu_perf_sample *sample =
			&g_array_index(result->samples, struct cpu_perf_sample, i);
		const struct cpu_perf_process *process =
			g_ptr_array_index(result->processes, sample->process);
		g_autoptr(GString) text = g_string_new(NULL);

		for (uint32_t j = 0; j < sample->n; j++)
			append_names(text, process, sample->frames[j]);
		json_array_append_new(
			array, json_pack("{s:i,s:i,s:s,s:i,s:I,s:i,s:s}", "pid", sample->pid, "tid",
				       sample->tid, "comm", process->comm, "flags",
				       (int)sample->flags, "count", (json_int_t)sample->count, "n",
				       (int)sample->n, "stack", text->str));
	}
	return array;
}

static void print_result(const struct cpu_perf_result *result, uint64_t cost_ns)
{
	json_t *notes = json_array(), *processes = json_array(), *object;

	for (char **note = result->notes; *note; note++)
		json_array_append_new(notes, json_string(*note));
	for (guint i = 0; i < result->processes->len; i++) {
		const struct cpu_perf_process *process = g_ptr_array_index(result->processes, i);
		const struct fr_module *first =
			process->modules->len
				? &g_array_index(process->modules, struct fr_module, 0)
				: NULL;

		json_array_append_new(processes,
			json_pack("{s:i,s:s,s:b,s:i,s:s}", "pid", process->pid, "comm",
				process->comm, "is_wanted", process->is_wanted, "n_modules",
				(int)process->modules->len, "program", first ? first->path : ""));
	}
	ask_names(result);
	object = json_pack(
		"{s:I,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:i,s:I,s:I,s:o,s:o,s:o}",
		"cpu_ns", (json_int_t)result->cpu_ns, "one_in", (int)result->one_in, "n_ticks",
		(json_int_t)result->n_ticks, "n_lost", (json_int_t)result->n_lost, "n_throttled",
		(json_int_t)result->n_throttled, "n_overflow", (json_int_t)result->n_overflow,
		"n_own", (json_int_t)result->n_own, "n_own_threads",
		(json_int_t)result->n_own_threads, "n_broken", (json_int_t)result->n_broken,
		"n_cut", (json_int_t)result->n_cut, "n_not_unwound",
		(json_int_t)result->n_not_unwound, "period_ns", (json_int_t)result->period_ns,
		"is_kernel_seen", result->is_kernel_seen, "unseen_ns",
		(json_int_t)result->unseen_ns, "n_threads_missed", (int)result->n_threads_missed,
		"cost_ns", (json_int_t)cost_ns, "duration_ns",
		(json_int_t)(result->end_ns - result->start_ns), "notes", notes, "processes",
		processes, "samples", samples_json(result));
	json_dumpf(object, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(object);
}

int main(int argc, char **argv)
{
	struct cpu_perf_options options;
	struct cpu_perf_result *result;
	struct cpu_perf *perf;
	pid_t pids[MAX_PIDS], later = 0;
	uint64_t cost_ns;
	useconds_t half;
	char *why = NULL;
	size_t n = 0;
	int err;

	if (argc < 5)
		return 2;
	options = (struct cpu_perf_options){ .hz = (unsigned)atoi(argv[1]),
		.max_frames = (unsigned)atoi(argv[3]),
		.is_per_thread = strchr(argv[1], 't') != NULL };
	half = (useconds_t)(strtod(argv[2], NULL) * 500000);
	for (int i = 4; i < argc && n < MAX_PIDS; i++) {
		if (argv[i][0] == '+')
			later = atoi(argv[i] + 1);
		else
			pids[n++] = atoi(argv[i]);
	}
	cost_ns = cpu_ns();
	err = cpu_perf_begin(pids, n, &options, &perf, &why);
	if (err < 0) {
		printf("%s\n", why);
		g_free(why);
		return 3;
	}
	fprintf(stderr, "sampling\n");
	usleep(half);
	if (later && cpu_perf_add(perf, later, &why) < 0) {
		fprintf(stderr, "%s\n", why);
		g_clear_pointer(&why, g_free);
	}
	usleep(half);
	result = cpu_perf_end(perf, false);
	cost_ns = cpu_ns() - cost_ns;
	batch = symbol_batch_new(&(struct symbol_options){ 0 });
	print_result(result, cost_ns);
	cpu_perf_result_free(result);
	symbol_batch_free(batch);
	return 0;
}
