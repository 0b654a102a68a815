/* SPDX-License-Identifier: MIT */
/*
 * The walk goes into namespaces and types, and into a subprogram only when its ranges hold a wanted
 * address. Compilers may put a function's body inside another function's DIE (nested functions, methods
 * of local classes): if an address is still without one afterwards, a second walk goes everywhere.
 */
#include "common/symbol_walk.h"

#include <dwarf.h>
#include <glib.h>

/* Deeper nesting than any compiler writes is damage. */
#define MAX_DEPTH 200

struct want {
	uint64_t addr;
	uint32_t owner;	   /* number of the subprogram that holds it; 0 none yet */
	uint32_t n_levels; /* found so far */
	uint32_t first_hit;
};

struct symbol_walk {
	GArray *wants; /* owned: struct want, sorted by address */
	GArray *hits;  /* owned: struct symbol_hit; sorted when the walk is over */
	uint32_t n_owners;
	gboolean is_pruned;
};

struct symbol_walk *symbol_walk_new(size_t n)
{
	struct symbol_walk *walk = g_new0(struct symbol_walk, 1);

	walk->wants = g_array_sized_new(FALSE, FALSE, sizeof(struct want), (guint)n);
	walk->hits = g_array_new(FALSE, FALSE, sizeof(struct symbol_hit));
	return walk;
}

void symbol_walk_free(struct symbol_walk *walk)
{
	g_array_unref(walk->wants);
	g_array_unref(walk->hits);
	g_free(walk);
}

void symbol_walk_add(struct symbol_walk *walk, uint64_t addr)
{
	struct want want = { .addr = addr };

	g_array_append_val(walk->wants, want);
}

/* Index of the first wanted address at or after `addr`. */
static guint lower_bound(const struct symbol_walk *walk, uint64_t addr)
{
	guint lo = 0, hi = walk->wants->len;

	while (lo < hi) {
		guint mid = lo + (hi - lo) / 2;

		if (g_array_index(walk->wants, struct want, mid).addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Notes `die` as level `depth` of `owner` for each wanted address in its ranges. An address belongs to
 * the first subprogram that has it (folded functions share code), and takes each level once.
 */
static guint claim(struct symbol_walk *walk, Dwarf_Die *die, uint32_t owner, uint32_t depth)
{
	Dwarf_Addr base, lo, hi;
	guint n = 0;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &lo, &hi)) > 0) {
		if (lo == 0)
			continue;
		for (guint i = lower_bound(walk, lo); i < walk->wants->len; i++) {
			struct want *want = &g_array_index(walk->wants, struct want, i);
			struct symbol_hit hit = { .want = i, .depth = depth, .die = *die };

			if (want->addr >= hi)
				break;
			if (depth == 0 ? want->owner != 0
				       : want->owner != owner || want->n_levels != depth)
				continue;
			want->owner = owner;
			want->n_levels = depth + 1;
			g_array_append_val(walk->hits, hit);
			n++;
		}
	}
	return n;
}

static gboolean is_block_wanted(const struct symbol_walk *walk, Dwarf_Die *die)
{
	Dwarf_Addr base, lo, hi;
	gboolean has_ranges = FALSE;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &lo, &hi)) > 0) {
		guint i = lower_bound(walk, lo);

		has_ranges = TRUE;
		if (i < walk->wants->len && g_array_index(walk->wants, struct want, i).addr < hi)
			return TRUE;
	}
	return !has_ranges;
}

/* owner 0: not inside a function. `depth` is that of the next inlined level; `level` bounds recursion. */
static void walk_children(
	struct symbol_walk *walk, Dwarf_Die *parent, uint32_t owner, uint32_t depth, unsigned level)
{
	Dwarf_Die die;

	if (level > MAX_DEPTH || dwarf_child(parent, &die) != 0)
		return;
	do {
		uint32_t inner;

		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
			inner = ++walk->n_owners;
			if (claim(walk, &die, inner, 0) || !walk->is_pruned)
				walk_children(walk, &die, inner, 1, level + 1);
			break;
		case DW_TAG_inlined_subroutine:
			if (owner && claim(walk, &die, owner, depth))
				walk_children(walk, &die, owner, depth + 1, level + 1);
			break;
		case DW_TAG_lexical_block:
		case DW_TAG_try_block:
		case DW_TAG_catch_block:
		case DW_TAG_with_stmt:
			if (owner && (!walk->is_pruned || is_block_wanted(walk, &die)))
				walk_children(walk, &die, owner, depth, level + 1);
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
		case DW_TAG_interface_type:
		case DW_TAG_enumeration_type:
			walk_children(walk, &die, 0, 0, level + 1);
			break;
		default:
			break;
		}
	} while (dwarf_siblingof(&die, &die) == 0);
}

static int hit_compare(const void *a, const void *b)
{
	const struct symbol_hit *x = a, *y = b;

	if (x->want != y->want)
		return x->want < y->want ? -1 : 1;
	return x->depth < y->depth ? -1 : x->depth > y->depth;
}

static gboolean is_any_missing(const struct symbol_walk *walk)
{
	for (guint i = 0; i < walk->wants->len; i++)
		if (g_array_index(walk->wants, struct want, i).owner == 0)
			return TRUE;
	return FALSE;
}

void symbol_walk_run(struct symbol_walk *walk, Dwarf_Die *top)
{
	walk->is_pruned = TRUE;
	walk_children(walk, top, 0, 0, 0);
	if (is_any_missing(walk)) {
		walk->is_pruned = FALSE;
		walk_children(walk, top, 0, 0, 0);
	}
	g_array_sort(walk->hits, hit_compare);
	for (guint i = walk->hits->len; i > 0; i--) {
		const struct symbol_hit *hit = &g_array_index(walk->hits, struct symbol_hit, i - 1);

		g_array_index(walk->wants, struct want, hit->want).first_hit = i - 1;
	}
}

const struct symbol_hit *symbol_walk_hits(
	const struct symbol_walk *walk, size_t want, size_t *n_out)
{
	const struct want *w = &g_array_index(walk->wants, struct want, want);

	*n_out = w->n_levels;
	if (!w->n_levels)
		return NULL;
	return &g_array_index(walk->hits, struct symbol_hit, w->first_hit);
}
