/* SPDX-License-Identifier: MIT */
/* Writes the stacks of processes into the state trace, then a name for every address in them. */
#pragma once

#include <stdint.h>

#include <glib.h>

#include "common/symbol.h"

struct process_state;
struct state_symbols;
struct state_trace;

struct state_symbols *state_symbols_new(const struct symbol_options *options);
void state_symbols_free(struct state_symbols *symbols);

/*
 * Writes all stacks of the process and remembers their addresses, and those of its threads' start
 * routines. `state` is borrowed until state_symbols_free(). A module counts as a source of names when it was
 * mapped at some time between begin_ns and end_ns. Returns the number of damaged stacks, or -errno.
 */
int state_symbols_add_process(struct state_symbols *symbols, const struct process_state *state,
	uint64_t begin_ns, uint64_t end_ns, struct state_trace *trace);

/*
 * Looks up all addresses and writes the symbol events. Adds sentences about what has no names to `notes`
 * (owned strings). `trouble` of n bytes takes the one about servers, which is in the notes, too; or "".
 */
void state_symbols_write(struct state_symbols *symbols, struct state_trace *trace, GPtrArray *notes,
	char *trouble, size_t n);
