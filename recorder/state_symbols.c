/* SPDX-License-Identifier: MIT */
/*
 * Processes that map the same file share one look-up: addresses go into the batch relative to the load bias.
 *
 * A stack carries no time. When two different files were mapped over the same address within the window
 * (a plugin unloaded, another loaded in its place), nothing says which one a frame belongs to: such
 * addresses stay unknown rather than wrong.
 */
#include "recorder/state_symbols.h"

#include <string.h>

#include "common/symbol_span.h"
#include "recorder/blackbox_read.h"
#include "recorder/process_state.h"
#include "recorder/state_trace.h"

/* A frame is a return address, which may already lie after the function; a start routine is an entry. */
enum { IS_FRAME = 1, IS_ENTRY = 2 };

#define NO_MODULE UINT32_MAX

struct process {
	const struct process_state *state; /* borrowed */
	GHashTable *addrs;		   /* owned: address → IS_* bits */
	GArray *spans;		/* owned: struct symbol_span; value is the module's index */
	GArray *ambiguous;	/* owned: struct symbol_span */
	uint32_t *batch_module; /* owned: index in the batch for each module */
};

struct state_symbols {
	struct symbol_batch *batch; /* owned */
	GPtrArray *processes;	    /* owns struct process */
	uint64_t n_ambiguous;
};

static void process_free(void *data)
{
	struct process *process = data;

	g_hash_table_unref(process->addrs);
	g_array_unref(process->spans);
	g_array_unref(process->ambiguous);
	g_free(process->batch_module);
	g_free(process);
}

struct state_symbols *state_symbols_new(const struct symbol_options *options)
{
	struct state_symbols *symbols = g_new0(struct state_symbols, 1);

	symbols->batch = symbol_batch_new(options);
	symbols->processes = g_ptr_array_new_with_free_func(process_free);
	return symbols;
}

void state_symbols_free(struct state_symbols *symbols)
{
	if (!symbols)
		return;
	symbol_batch_free(symbols->batch);
	g_ptr_array_unref(symbols->processes);
	g_free(symbols);
}

static int is_same_file(const struct fr_module *a, const struct fr_module *b)
{
	return a->base == b->base && a->n_build_id == b->n_build_id &&
	       memcmp(a->build_id, b->build_id, a->n_build_id) == 0 &&
	       strcmp(a->path, b->path) == 0;
}

static void add_modules(
	struct state_symbols *symbols, struct process *process, uint64_t begin_ns, uint64_t end_ns)
{
	const GArray *modules = process->state->modules;
	const struct fr_module *all = (const struct fr_module *)(const void *)modules->data;

	process->batch_module = g_new0(uint32_t, MAX(modules->len, 1));
	for (guint i = 0; i < modules->len; i++) {
		struct symbol_module module = {
			.path = all[i].path,
			.build_id = all[i].n_build_id ? all[i].build_id : NULL,
			.n_build_id = all[i].n_build_id,
			.pid = process->state->is_alive
				       ? (pid_t)process->state->blackbox->header.pid
				       : 0,
		};
		struct symbol_span span = { .lo = all[i].start, .hi = all[i].end, .value = i };

		if (all[i].load_ns > end_ns || (all[i].unload_ns && all[i].unload_ns < begin_ns))
			continue;
		process->batch_module[i] = symbol_batch_add_module(symbols->batch, &module);
		g_array_append_val(process->spans, span);
		for (guint k = 0; k < i; k++) {
			struct symbol_span both = {
				.lo = MAX(all[i].start, all[k].start),
				.hi = MIN(all[i].end, all[k].end),
			};

			if (both.lo < both.hi && !is_same_file(&all[i], &all[k]) &&
				(!all[k].unload_ns || all[k].unload_ns >= begin_ns))
				g_array_append_val(process->ambiguous, both);
		}
	}
	symbol_span_finish(process->spans);
	symbol_span_finish(process->ambiguous);
}

static void add_addr(struct process *process, uint64_t addr, uintptr_t kind)
{
	void *key = (void *)(uintptr_t)addr;
	uintptr_t kinds = (uintptr_t)g_hash_table_lookup(process->addrs, key);

	if ((kinds & kind) == 0)
		g_hash_table_insert(process->addrs, key, (void *)(kinds | kind));
}

struct stack_sink {
	struct process *process;
	struct state_trace *trace;
};

static void on_stack(void *data, uint32_t id, uint32_t flags, const uint64_t *frames, size_t n)
{
	struct stack_sink *sink = data;

	state_trace_stack(sink->trace, sink->process->state->proc, id, flags, frames, n);
	for (size_t i = 0; i < n; i++)
		add_addr(sink->process, frames[i], IS_FRAME);
}

/* The address to look up for an address as it stands in the trace. */
static uint64_t pc_of(uint64_t addr, uintptr_t kinds)
{
	return kinds & IS_FRAME ? addr - 1 : addr;
}

/* The batch's module around `pc`, or NO_MODULE. *bias_out is to be taken off for the batch. */
static uint32_t module_of(const struct process *process, uint64_t pc, uint64_t *bias_out)
{
	const struct symbol_span *span = symbol_span_find(process->spans, pc);

	if (!span || symbol_span_find(process->ambiguous, pc))
		return NO_MODULE;
	*bias_out = g_array_index(process->state->modules, struct fr_module, span->value).base;
	return process->batch_module[span->value];
}

int state_symbols_add_process(struct state_symbols *symbols, const struct process_state *state,
	uint64_t begin_ns, uint64_t end_ns, struct state_trace *trace)
{
	struct process *process = g_new0(struct process, 1);
	struct stack_sink sink = { .process = process, .trace = trace };
	int ret;

	process->state = state;
	process->addrs = g_hash_table_new(NULL, NULL);
	process->spans = symbol_span_table();
	process->ambiguous = symbol_span_table();
	g_ptr_array_add(symbols->processes, process);
	add_modules(symbols, process, begin_ns, end_ns);
	ret = blackbox_stacks(state->blackbox, on_stack, &sink);
	for (guint i = 0; i < state->slots->len; i++) {
		uint64_t addr = g_array_index(state->slots, struct fr_slot, i).start_routine;

		if (addr)
			add_addr(process, addr, IS_ENTRY);
	}
	return ret;
}

static void request(struct state_symbols *symbols, struct process *process)
{
	GHashTableIter iter;
	void *key, *kinds;

	g_hash_table_iter_init(&iter, process->addrs);
	while (g_hash_table_iter_next(&iter, &key, &kinds)) {
		uint64_t pc = pc_of((uintptr_t)key, (uintptr_t)kinds), bias;
		uint32_t module = module_of(process, pc, &bias);

		if (module != NO_MODULE)
			symbol_batch_add(symbols->batch, module, pc - bias);
		else if (symbol_span_find(process->ambiguous, pc))
			symbols->n_ambiguous++;
	}
}

static void write_process(
	const struct state_symbols *symbols, struct process *process, struct state_trace *trace)
{
	static const struct symbol_frame unknown = { .func = "", .system_name = "", .file = "" };
	GHashTableIter iter;
	void *key, *kinds;

	g_hash_table_iter_init(&iter, process->addrs);
	while (g_hash_table_iter_next(&iter, &key, &kinds)) {
		uint64_t addr = (uintptr_t)key, pc = pc_of(addr, (uintptr_t)kinds), bias;
		uint32_t module = module_of(process, pc, &bias);
		const struct symbol_frame *frames = &unknown;
		size_t n = 1;

		if (module != NO_MODULE)
			frames = symbol_batch_lookup(symbols->batch, module, pc - bias, &n);
		for (size_t i = 0; i < n; i++)
			state_trace_symbol(
				trace, process->state->proc, addr, (uint32_t)i, &frames[i]);
	}
}

void state_symbols_write(struct state_symbols *symbols, struct state_trace *trace, GPtrArray *notes,
	char *trouble, size_t n)
{
	const char *sentence;
	size_t n_without;

	for (guint i = 0; i < symbols->processes->len; i++)
		request(symbols, g_ptr_array_index(symbols->processes, i));
	n_without = symbol_batch_resolve(symbols->batch);
	for (guint i = 0; i < symbols->processes->len; i++)
		write_process(symbols, g_ptr_array_index(symbols->processes, i), trace);
	sentence = symbol_batch_trouble(symbols->batch);
	g_strlcpy(trouble, sentence ? sentence : "", n);
	if (sentence)
		g_ptr_array_add(notes, g_strdup(sentence));
	if (n_without)
		g_ptr_array_add(notes,
			g_strdup_printf(
				"%zu modules in the stacks have no symbols, or their file is gone "
				"or "
				"was replaced by another build: their functions are shown as "
				"module+offset.",
				n_without));
	if (symbols->n_ambiguous)
		g_ptr_array_add(notes,
			g_strdup_printf("%" G_GUINT64_FORMAT
					" addresses belong to libraries that were "
					"unloaded and replaced by others at the same place: their "
					"functions are unknown.",
				symbols->n_ambiguous));
}
