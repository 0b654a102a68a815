/* SPDX-License-Identifier: MIT */
/*
 * Puts stacks of processes into a profile: mappings, locations and their names. In two passes, since names are looked
 * up all at once: ask for every stack, resolve, then take them. Single-threaded; the cache behind it is not.
 */
#pragma once

#include <stdbool.h>

#include "common/symbol.h"
#include "recorder/profile_process.h"
#include "viewer/profile.h"

struct profile_symbols;

/*
 * `cache` of symbol_cache.h keeps names between requests. is_shared: the profile holds several processes. All
 * borrowed.
 */
struct profile_symbols *profile_symbols_new(
	struct profile *profile, struct symbol_cache *cache, bool is_shared);
/* Leaves out frames of the tracer: what it does inside the program's calls is no part of the program. */
void profile_symbols_hide_own(struct profile_symbols *symbols);
void profile_symbols_free(struct profile_symbols *symbols);

/* Adds the mappings of a process; the first process is the main one. Borrowed until the end. */
void profile_symbols_add_process(
	struct profile_symbols *symbols, const struct profile_process *process);

/* Asks for a stack of an added process; for an address that is an entry, not a return address. */
void profile_symbols_want(
	struct profile_symbols *symbols, const struct profile_process *process, uint32_t stack);
void profile_symbols_want_entry(
	struct profile_symbols *symbols, const struct profile_process *process, uint64_t address);

/* Looks up all names. Call once, after the last want and before the first of the functions below. */
void profile_symbols_resolve(struct profile_symbols *symbols);

/*
 * The locations of a stack that was asked for, leaf first, into an array of uint64_t. Never empty: what is not known
 * is one frame that says so.
 */
void profile_symbols_stack(struct profile_symbols *symbols, const struct profile_process *process,
	uint32_t stack, GArray *locations_out);

/* The location of an entry that was asked for. */
uint64_t profile_symbols_entry(
	struct profile_symbols *symbols, const struct profile_process *process, uint64_t address);

/* The location of a frame that is no code. */
uint64_t profile_symbols_pseudo(struct profile_symbols *symbols, const char *name);
