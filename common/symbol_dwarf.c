/* SPDX-License-Identifier: MIT */
/*
 * Only units that hold a wanted address are read. Memory: libdw keeps what it parsed of a unit until the whole file is
 * closed, so it is closed and opened again whenever it grew by MAX_GROWTH.
 */
#include "common/symbol_dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <glib.h>
#include <malloc.h>
#include <string.h>

#include "common/symbol_batch.h"
#include "common/symbol_image.h"
#include "common/symbol_span.h"
#include "common/symbol_walk.h"

#define MAX_GROWTH (64u << 20)
#define UNITS_PER_CHECK 4

/* A wanted address and the unit that holds it. */
struct unit_want {
	Dwarf_Off unit; /* offset of the unit's DIE */
	struct symbol_query *query;
};

static int want_compare(const void *a, const void *b)
{
	const struct unit_want *x = a, *y = b;

	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	return x->query->addr < y->query->addr ? -1 : x->query->addr > y->query->addr;
}

/* Which unit each address belongs to, ordered by unit and address. */
static GArray *unit_wants(const GArray *units, struct symbol_query *queries, size_t n)
{
	GArray *wants = g_array_new(FALSE, FALSE, sizeof(struct unit_want));

	for (size_t i = 0; i < n; i++) {
		const struct symbol_span *span = symbol_span_find(units, queries[i].addr);
		struct unit_want want = { .query = &queries[i] };

		if (!span)
			continue;
		want.unit = span->value;
		g_array_append_val(wants, want);
	}
	g_array_sort(wants, want_compare);
	return wants;
}

static const char *die_string(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;

	return dwarf_attr_integrate(die, name, &attr) ? dwarf_formstring(&attr) : NULL;
}

static const char *die_linkage_name(Dwarf_Die *die)
{
	const char *name = die_string(die, DW_AT_linkage_name);

	return name ? name : die_string(die, DW_AT_MIPS_linkage_name);
}

/* Names a frame after its DIE. `symbol`, for the physical function only, is the symbol table's name. */
static void frame_set_names(
	struct symbol_frame *frame, struct symbol_batch *batch, Dwarf_Die *die, const char *symbol)
{
	const char *linkage = die_linkage_name(die), *name = dwarf_diename(die);
	int is_mangled = symbol && (!strncmp(symbol, "_Z", 2) || !strncmp(symbol, "_R", 2));

	if (linkage && (linkage[0] == '_' && (linkage[1] == 'Z' || linkage[1] == 'R'))) {
		/* A clone's symbol says more: _Z3foov.cold */
		if (symbol && g_str_has_prefix(symbol, linkage))
			linkage = symbol;
		frame->system_name = symbol_batch_intern(batch, linkage);
		frame->func = symbol_batch_demangle(batch, frame->system_name);
	} else if (symbol && (is_mangled || !name || (*name == '_' && *symbol != '_'))) {
		/* Local functions of C++ have no linkage name; libc's own aliases begin with __. */
		frame->system_name = symbol;
		frame->func = symbol_batch_demangle(batch, symbol);
	} else {
		frame->func = symbol_batch_intern(batch, name ? name : "");
		frame->system_name = symbol ? symbol : frame->func;
	}
}

static void frame_set_call_site(struct symbol_frame *frame, struct symbol_batch *batch,
	Dwarf_Die *inlined, Dwarf_Files *files, size_t n_files)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attr), &value) == 0)
		frame->line = (uint32_t)MIN(value, UINT32_MAX);
	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attr), &value) == 0 &&
		value < n_files) {
		const char *file = dwarf_filesrc(files, value, NULL, NULL);

		frame->file = symbol_batch_intern(batch, file ? file : "");
	}
}

static void frame_set_line(
	struct symbol_frame *frame, struct symbol_batch *batch, Dwarf_Die *unit, Dwarf_Addr addr)
{
	Dwarf_Line *row = dwarf_getsrc_die(unit, addr);
	const char *file;
	int line = 0;

	if (!row)
		return;
	file = dwarf_linesrc(row, NULL, NULL);
	if (dwarf_lineno(row, &line) == 0 && line > 0)
		frame->line = (uint32_t)line;
	frame->file = symbol_batch_intern(batch, file ? file : "");
}

/* Inlined functions whose names are in a file that is missing say nothing. Returns how many frames are left. */
static size_t drop_nameless(struct symbol_frame *frames, size_t n)
{
	size_t n_left = 0;

	for (size_t i = 0; i < n; i++)
		if (*frames[i].func || i == n - 1)
			frames[n_left++] = frames[i];
	return n_left;
}

/*
 * Turns the chain of DIEs around an address, physical function first, into frames, innermost first. `top` is the DIE
 * of the unit that holds them: `unit` itself or, where that is a skeleton, the split one, whose numbers of files are
 * its own.
 */
static void query_set_frames(struct symbol_query *query, struct symbol_batch *batch,
	const struct symbol_hit *hits, size_t n, Dwarf_Die *unit, Dwarf_Die *top, Dwarf_Addr bias)
{
	struct symbol_frame *frames = symbol_batch_frames(batch, n);
	Dwarf_Files *files = NULL;
	size_t n_files = 0;

	/* clang gives split units no table of files: their numbers are the skeleton's. */
	if (dwarf_getsrcfiles(top, &files, &n_files) != 0 &&
		dwarf_getsrcfiles(unit, &files, &n_files) != 0)
		n_files = 0;
	frame_set_line(&frames[0], batch, unit, query->addr - bias);
	for (size_t i = 0; i < n; i++) {
		Dwarf_Die die = hits[n - 1 - i].die;
		int line;

		frame_set_names(&frames[i], batch, &die, i == n - 1 ? query->symbol : NULL);
		if (dwarf_decl_line(&die, &line) == 0 && line > 0)
			frames[i].func_line = (uint32_t)line;
		if (i + 1 < n)
			frame_set_call_site(&frames[i + 1], batch, &die, files, n_files);
	}
	query->frames = frames;
	query->n_frames = (uint32_t)drop_nameless(frames, n);
}

/* A unit without a DIE for an address (assembler) may still have its line. */
static void query_set_line_only(
	struct symbol_query *query, struct symbol_batch *batch, Dwarf_Die *unit, Dwarf_Addr bias)
{
	struct symbol_frame *frame;

	if (!query->symbol)
		return;
	frame = symbol_batch_frames(batch, 1);
	frame->system_name = query->symbol;
	frame->func = symbol_batch_demangle(batch, query->symbol);
	frame_set_line(frame, batch, unit, query->addr - bias);
	query->frames = frame;
	query->n_frames = 1;
}

/* All wanted addresses of one unit. */
static void unit_resolve(struct symbol_image *image, Dwarf *dwarf, Dwarf_Addr bias,
	struct symbol_batch *batch, const struct unit_want *wants, size_t n)
{
	struct symbol_walk *walk;
	Dwarf_Die unit, split, *top = &unit;
	uint64_t id = 0;
	uint8_t type;

	if (!dwarf_offdie(dwarf, wants[0].unit, &unit))
		return;
	memset(&split, 0, sizeof(split));
	if (dwarf_cu_info(unit.cu, NULL, &type, NULL, &split, &id, NULL, NULL) == 0 &&
		type == DW_UT_skeleton &&
		(split.addr || symbol_image_split_unit(image, &unit, id, &split)))
		top = &split;
	walk = symbol_walk_new(n);
	for (size_t i = 0; i < n; i++)
		symbol_walk_add(walk, wants[i].query->addr - bias);
	symbol_walk_run(walk, top);
	for (size_t i = 0; i < n; i++) {
		size_t n_hits;
		const struct symbol_hit *hits = symbol_walk_hits(walk, i, &n_hits);

		if (n_hits)
			query_set_frames(wants[i].query, batch, hits, n_hits, &unit, top, bias);
		else
			query_set_line_only(wants[i].query, batch, &unit, bias);
	}
	symbol_walk_free(walk);
}

static size_t heap_in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

int symbol_dwarf_resolve(struct symbol_image *image, struct symbol_batch *batch,
	struct symbol_query *queries, size_t n)
{
	Dwarf_Addr bias = 0;
	Dwarf *dwarf = symbol_image_dwarf(image, &bias);
	size_t heap_at_start, n_units = 0;
	GArray *wants;

	if (!dwarf)
		return 0;
	wants = unit_wants(symbol_image_units(image), queries, n);
	heap_at_start = heap_in_use();
	for (guint i = 0, end; i < wants->len; i = end) {
		struct unit_want *first = &g_array_index(wants, struct unit_want, i);

		for (end = i + 1; end < wants->len; end++)
			if (g_array_index(wants, struct unit_want, end).unit != first->unit)
				break;
		unit_resolve(image, dwarf, bias, batch, first, end - i);
		symbol_batch_tick(batch);
		if (++n_units % UNITS_PER_CHECK || heap_in_use() < heap_at_start + MAX_GROWTH)
			continue;
		if (symbol_image_reopen(image) != 0)
			break;
		dwarf = symbol_image_dwarf(image, &bias);
		if (!dwarf)
			break;
		heap_at_start = heap_in_use();
	}
	g_array_unref(wants);
	if (n_units)
		malloc_trim(0);
	return 1;
}
