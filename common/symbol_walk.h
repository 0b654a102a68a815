/* SPDX-License-Identifier: MIT */
/* One pass over the DIEs of a compile unit, for a sorted set of addresses. */
#pragma once

#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>

struct symbol_walk;

/* One level around an address: depth 0 is the physical function, deeper ones are inlined into it. */
struct symbol_hit {
	uint32_t want; /* index of the address, in order of symbol_walk_add() */
	uint32_t depth;
	Dwarf_Die die;
};

struct symbol_walk *symbol_walk_new(size_t n);
void symbol_walk_free(struct symbol_walk *walk);

/* Adds a wanted address, as in the DWARF data. Ascending. */
void symbol_walk_add(struct symbol_walk *walk, uint64_t addr);

/* Walks the unit whose DIE is `top`, once. */
void symbol_walk_run(struct symbol_walk *walk, Dwarf_Die *top);

/* The levels around the address number `want`, physical function first. Valid until symbol_walk_free(). */
const struct symbol_hit *symbol_walk_hits(
	const struct symbol_walk *walk, size_t want, size_t *n_out);
