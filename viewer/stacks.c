/* SPDX-License-Identifier: MIT */
/*
 * Symbols come keyed by (process, address, depth) in any order. They are sorted once and joined to the
 * addresses that stacks use; what no stack uses is dropped.
 */
#include "viewer/stacks.h"

#include <stdlib.h>
#include <string.h>

struct symbol {
	uint64_t addr;
	uint32_t proc, depth;
	struct line line;
};

static int path_is_runtime(const char *path)
{
	static const char *const prefixes[] = { "libc.so", "libc-2", "libpthread", "libstdc++",
		"libc++", "libgcc_s", "ld-linux", "ld-2", "libflightrec", "librt", "ld-musl" };
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++)
		if (g_str_has_prefix(name, prefixes[i]))
			return 1;
	return 0;
}

void stacks_init(struct stacks *stacks, struct strings *strings)
{
	/* By STACK_INDEX_*. */
	static const char *const pseudo[] = { "[no stack]", "[stack table full]", "[preempted]",
		"[off CPU, outside of recorded calls]", "[on CPU, not sampled]",
		"[outside of recorded calls]" };

	*stacks = (struct stacks){ .strings = strings };
	stacks->modules = g_array_new(FALSE, FALSE, sizeof(struct module));
	stacks->lines = g_array_new(FALSE, FALSE, sizeof(struct line));
	stacks->locations = g_array_new(FALSE, FALSE, sizeof(struct location));
	stacks->frames = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	stacks->stacks = g_array_new(FALSE, FALSE, sizeof(struct stack));
	stacks->symbols = g_array_new(FALSE, FALSE, sizeof(struct symbol));
	for (uint32_t i = 0; i < G_N_ELEMENTS(pseudo); i++) {
		struct stack stack = { .id = i, .site = strings_add(strings, pseudo[i]) };
		g_array_append_val(stacks->stacks, stack);
	}
}

void stacks_fini(struct stacks *stacks)
{
	GArray *arrays[] = { stacks->modules, stacks->lines, stacks->locations, stacks->frames,
		stacks->stacks, stacks->symbols };

	for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++)
		if (arrays[i])
			g_array_free(arrays[i], TRUE);
	idmap_fini(&stacks->by_id);
	idmap_fini(&stacks->by_addr);
	*stacks = (struct stacks){ 0 };
}

void stacks_add_module(struct stacks *stacks, const struct event *event)
{
	struct module module = {
		.base = event->def_module.base,
		.start = event->def_module.start,
		.end = event->def_module.end,
		.file_offset = event->def_module.file_offset,
		.load_ns = event->def_module.load,
		.unload_ns = event->def_module.unload,
		.proc = event->proc,
		.build_id = strings_add(stacks->strings, event->def_module.build_id),
		.path = strings_add(stacks->strings, event->def_module.path),
		.is_runtime = path_is_runtime(event->def_module.path),
	};

	if (module.end > module.start)
		g_array_append_val(stacks->modules, module);
}

void stacks_add_stack(struct stacks *stacks, const struct event *event)
{
	struct stack stack = {
		.proc = event->proc,
		.id = event->def_stack.id,
		.flags = event->def_stack.flags,
		.first_frame = stacks->frames->len,
		.n_frames = event->def_stack.n_frames,
	};

	if (stack.id <= STACK_INDEX_OVERFLOW ||
		idmap_get(&stacks->by_id, stack.proc, stack.id) != IDMAP_NONE)
		return;
	for (uint32_t i = 0; i < stack.n_frames; i++) {
		uint64_t addr = event->def_stack.frames[i];
		uint32_t index = idmap_get(&stacks->by_addr, stack.proc, addr);
		if (index == IDMAP_NONE) {
			struct location location = {
				.addr = addr, .proc = stack.proc, .module = MODULE_NONE
			};
			index = stacks->locations->len;
			g_array_append_val(stacks->locations, location);
			idmap_set(&stacks->by_addr, stack.proc, addr, index);
		}
		g_array_append_val(stacks->frames, index);
	}
	idmap_set(&stacks->by_id, stack.proc, stack.id, stacks->stacks->len);
	g_array_append_val(stacks->stacks, stack);
}

void stacks_add_symbol(struct stacks *stacks, const struct event *event)
{
	struct symbol symbol = {
		.addr = event->def_symbol.addr,
		.proc = event->proc,
		.depth = event->def_symbol.depth,
		.line = {
			.func = strings_add(stacks->strings, event->def_symbol.func),
			.system_name = strings_add(stacks->strings, event->def_symbol.system_name),
			.file = strings_add(stacks->strings, event->def_symbol.file),
			.line = event->def_symbol.line,
			.func_line = event->def_symbol.func_line,
		},
	};

	if (!symbol.line.func)
		symbol.line.func = symbol.line.system_name;
	if (!symbol.line.system_name)
		symbol.line.system_name = symbol.line.func;
	if (symbol.line.func) /* without a name there is nothing to join */
		g_array_append_val(stacks->symbols, symbol);
}

static int symbol_compare(const void *a_, const void *b_)
{
	const struct symbol *a = a_, *b = b_;

	if (a->proc != b->proc)
		return a->proc < b->proc ? -1 : 1;
	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->depth < b->depth ? -1 : a->depth > b->depth;
}

static int module_compare(const void *a_, const void *b_)
{
	const struct module *a = a_, *b = b_;

	if (a->proc != b->proc)
		return a->proc < b->proc ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->load_ns < b->load_ns ? -1 : a->load_ns > b->load_ns;
}

/* First index in the sorted modules whose (proc, start) is above (proc, addr). */
static uint32_t module_upper(const struct stacks *stacks, uint32_t proc, uint64_t addr)
{
	uint32_t low = 0, high = stacks->modules->len;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct module *module =
			&g_array_index(stacks->modules, struct module, middle);
		if (module->proc < proc || (module->proc == proc && module->start <= addr))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Module of a return address. Where different libraries took turns at one address it is unknown, since an
 * address alone does not say when it was taken; one that came back counts as one.
 */
static uint32_t module_find(const struct stacks *stacks, uint32_t proc, uint64_t addr)
{
	const struct module *found = NULL;
	uint32_t index = MODULE_NONE;

	for (uint32_t i = module_upper(stacks, proc, addr - 1); i-- > 0;) {
		const struct module *module = &g_array_index(stacks->modules, struct module, i);

		if (module->proc != proc)
			break;
		if (addr - 1 >= module->end)
			continue;
		if (found && (found->path != module->path || found->base != module->base))
			return MODULE_NONE;
		found = module;
		index = i;
	}
	return index;
}

void stacks_resolve(struct stacks *stacks)
{
	GArray *symbols = stacks->symbols;

	if (symbols->len)
		qsort(symbols->data, symbols->len, sizeof(struct symbol), symbol_compare);
	if (stacks->modules->len)
		qsort(stacks->modules->data, stacks->modules->len, sizeof(struct module),
			module_compare);
	for (uint32_t i = 0; i < symbols->len;) {
		const struct symbol *first = &g_array_index(symbols, struct symbol, i);
		uint32_t index = idmap_get(&stacks->by_addr, first->proc, first->addr);
		struct location *location = index == IDMAP_NONE ? NULL
								: &g_array_index(stacks->locations,
									  struct location, index);
		if (location)
			location->first_line = stacks->lines->len;
		for (; i < symbols->len; i++) {
			const struct symbol *symbol = &g_array_index(symbols, struct symbol, i);
			if (symbol->proc != first->proc || symbol->addr != first->addr)
				break;
			if (location) {
				g_array_append_val(stacks->lines, symbol->line);
				location->n_lines++;
			}
		}
	}
	g_array_set_size(symbols, 0);
	for (uint32_t i = 0; i < stacks->locations->len; i++) {
		struct location *location = &g_array_index(stacks->locations, struct location, i);
		/* A table with a length has its data. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		location->module = module_find(stacks, location->proc, location->addr);
	}
}

uint32_t stacks_find(struct stacks *stacks, uint32_t proc, uint32_t id)
{
	if (id <= STACK_INDEX_OVERFLOW)
		return id;
	uint32_t index = idmap_get(&stacks->by_id, proc, id);
	if (index == IDMAP_NONE) {
		struct stack stack = { .proc = proc, .id = id, .flags = STACK_FLAG_UNDEFINED };
		index = stacks->stacks->len;
		g_array_append_val(stacks->stacks, stack);
		idmap_set(&stacks->by_id, proc, id, index);
	}
	return index;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

void stacks_append_function(
	const struct stacks *stacks, const struct location *location, uint32_t line, GString *out)
{
	if (line < location->n_lines) {
		const struct line *found =
			&g_array_index(stacks->lines, struct line, location->first_line + line);
		g_string_append(out, strings_get(stacks->strings, found->func));
	} else if (location->module != MODULE_NONE) {
		const struct module *module =
			&g_array_index(stacks->modules, struct module, location->module);
		g_string_append_printf(out, "%s+0x%" G_GINT64_MODIFIER "x",
			base_name(strings_get(stacks->strings, module->path)),
			location->addr - 1 - module->base);
	} else {
		g_string_append_printf(out, "0x%" G_GINT64_MODIFIER "x", location->addr - 1);
	}
}

/* Inlined library code (std::lock_guard and the like) says less than the function it is in. */
static int line_is_runtime(const struct stacks *stacks, const struct line *line)
{
	const char *func = strings_get(stacks->strings, line->func);

	return g_str_has_prefix(func, "std::") || g_str_has_prefix(func, "__gnu_cxx::") ||
	       g_str_has_prefix(func, "__gthread") || g_str_has_prefix(func, "operator new") ||
	       g_str_has_prefix(func, "flightrec_");
}

static int location_is_runtime(const struct stacks *stacks, const struct location *location)
{
	if (location->module != MODULE_NONE &&
		g_array_index(stacks->modules, struct module, location->module).is_runtime)
		return 1;
	for (uint32_t i = 0; i < location->n_lines; i++)
		if (!line_is_runtime(stacks,
			    &g_array_index(stacks->lines, struct line, location->first_line + i)))
			return 0;
	return location->n_lines > 0;
}

/* A place without a name (a static function of a stripped program) is told by the nearest caller that has one. */
static void append_named_caller(
	const struct stacks *stacks, const struct stack *stack, uint32_t from, GString *out)
{
	for (uint32_t i = from; i < stack->n_frames; i++) {
		const struct location *location = stacks_frame(stacks, stack, i);

		if (location->n_lines == 0 || location_is_runtime(stacks, location))
			continue;
		stacks_append_function(stacks, location, location->n_lines - 1, out);
		g_string_append(out, " > ");
		return;
	}
}

uint32_t stacks_site(struct stacks *stacks, uint32_t index)
{
	struct stack *stack = &g_array_index(stacks->stacks, struct stack, index);
	uint32_t i = 0, line = 0;

	if (stack->site)
		return stack->site;
	g_autoptr(GString) text = g_string_new(NULL);
	if (stack->n_frames == 0) {
		g_string_printf(text,
			stack->flags & STACK_FLAG_UNDEFINED ? "[stack %u is not in the trace]"
							    : "[empty stack %u]",
			stack->id);
	} else {
		while (i < stack->n_frames &&
			location_is_runtime(stacks, stacks_frame(stacks, stack, i)))
			i++;
		const struct location *location =
			stacks_frame(stacks, stack, i < stack->n_frames ? i : 0);
		while (line + 1 < location->n_lines &&
			line_is_runtime(stacks, &g_array_index(stacks->lines, struct line,
							location->first_line + line)))
			line++;
		if (location->n_lines == 0)
			append_named_caller(stacks, stack, i + 1, text);
		stacks_append_function(stacks, location, line, text);
		if (line < location->n_lines) {
			const struct line *at = &g_array_index(
				stacks->lines, struct line, location->first_line + line);
			if (at->file && at->line)
				g_string_append_printf(text, " (%s:%u)",
					base_name(strings_get(stacks->strings, at->file)),
					at->line);
		}
	}
	stack->site = strings_add(stacks->strings, text->str);
	return stack->site;
}
