/* SPDX-License-Identifier: MIT */
/* Addresses to names for clients that ask themselves: /debug/pprof/symbol. */
#include "common/symbol_span.h"
#include "recorder/profiles_internal.h"

/* Looks up what has no name yet in one process. */
static void look_up(struct profiles *profiles, const struct profile_process *process,
	const uint64_t *addresses, size_t n, char **names)
{
	g_autoptr(GArray) modules = profile_process_modules(process);
	g_autoptr(GArray) spans = symbol_span_table();
	struct symbol_options options = { .cache = profiles->cache };
	struct symbol_batch *batch = symbol_batch_new(&options);
	g_autofree uint32_t *of = g_new0(uint32_t, modules->len + 1);

	for (guint i = 0; i < modules->len; i++) {
		const struct fr_module *module = &g_array_index(modules, struct fr_module, i);
		struct symbol_span span = { .lo = module->start, .hi = module->end, .value = i };
		struct symbol_module key = {
			.path = module->path,
			.build_id = module->n_build_id ? module->build_id : NULL,
			.n_build_id = module->n_build_id,
			.pid = process->is_alive ? process->pid : 0,
		};

		of[i] = symbol_batch_add_module(batch, &key);
		if (!module->unload_ns)
			g_array_append_val(spans, span);
	}
	symbol_span_finish(spans);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < n; i++) {
			const struct symbol_span *span =
				names[i] ? NULL : symbol_span_find(spans, addresses[i]);
			const struct symbol_frame *frames;
			size_t n_frames = 0;
			uint64_t pc;

			if (!span)
				continue;
			pc = addresses[i] -
			     g_array_index(modules, struct fr_module, span->value).base;
			if (!pass) {
				symbol_batch_add(batch, of[span->value], pc);
				continue;
			}
			frames = symbol_batch_lookup(batch, of[span->value], pc, &n_frames);
			/* The function that is really there, whatever was inlined into it. */
			if (n_frames && *frames[n_frames - 1].func)
				names[i] = g_strdup(frames[n_frames - 1].func);
		}
		if (!pass)
			symbol_batch_resolve(batch);
	}
	symbol_batch_free(batch);
}

void profiles_symbols(
	struct profiles *profiles, pid_t pid, const uint64_t *addresses, size_t n, char **names_out)
{
	g_autoptr(GPtrArray) processes = NULL;

	for (size_t i = 0; i < n; i++)
		names_out[i] = NULL;
	if (!profiles || !n)
		return;
	processes = profile_processes_open(profiles->rundir, pid);
	g_mutex_lock(&profiles->building);
	for (int is_alive = 1; is_alive >= 0; is_alive--)
		for (guint i = 0; i < processes->len; i++) {
			const struct profile_process *process = g_ptr_array_index(processes, i);

			if (process->is_alive == is_alive)
				look_up(profiles, process, addresses, n, names_out);
		}
	g_mutex_unlock(&profiles->building);
}
