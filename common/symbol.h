/* SPDX-License-Identifier: MIT */
/* Addresses → function, file, line and inlined frames, a whole batch at a time (libelf, libdw). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct symbol_batch;
struct symbol_cache;

/* A mapped module as the blackbox knows it. Strings and bytes are copied. */
struct symbol_module {
	const char *path;
	const uint8_t
		*build_id; /* NULL with n_build_id 0: none known, the file at path is trusted */
	size_t n_build_id;
	uint64_t base; /* load bias */
	pid_t pid; /* to reach a deleted or namespaced file through /proc while alive; 0: gone */
};

struct symbol_options {
	/* Debug files may be asked for from the servers in DEBUGINFOD_URLS, for so long in all; 0: never. */
	uint64_t debuginfod_ns;
	/* Says on stderr what it is doing after a second and every ten, if stderr is a terminal (log_say()). */
	int is_progress;
	/* What is known already (symbol_cache.h); borrowed. NULL: nothing. */
	struct symbol_cache *cache;
	/* Asked several times a second while a server is waited for: true ends that. NULL: wait. */
	bool (*is_hurried)(void *user);
	void *user; /* of is_hurried */
};

/* One function at an address. Strings belong to the batch; func is "" when unknown, never NULL. */
struct symbol_frame {
	const char *func;	  /* demangled */
	const char *system_name;  /* as in the symbol table */
	const char *file;	  /* "" unknown */
	uint32_t line, func_line; /* 0 unknown */
	uint64_t offset; /* of the address in the symbol around it; 0 also when that is not known */
};

struct symbol_batch *symbol_batch_new(const struct symbol_options *options);
void symbol_batch_free(struct symbol_batch *batch);

/* Returns the module's index for the calls below. The same (path, build-id, base) gives the same index. */
uint32_t symbol_batch_add_module(struct symbol_batch *batch, const struct symbol_module *module);

/* Asks for `pc`, a runtime address (subtract 1 from a return address before). Duplicates are free. */
void symbol_batch_add(struct symbol_batch *batch, uint32_t module, uint64_t pc);

/*
 * Resolves everything added so far. A module whose file is missing or whose build-id differs stays
 * unknown: never a wrong name. Returns the number of modules without any symbols.
 */
size_t symbol_batch_resolve(struct symbol_batch *batch);

/*
 * A sentence about what kept debug files on servers from being had; NULL: nothing did, or nobody asked for
 * that. Borrowed from the batch.
 */
const char *symbol_batch_trouble(const struct symbol_batch *batch);

/*
 * Frames at `pc`, innermost inlined first, physical function last; *n_out ≥ 1 always, with func "" when
 * the address is unknown. Valid until symbol_batch_free().
 */
const struct symbol_frame *symbol_batch_lookup(
	const struct symbol_batch *batch, uint32_t module, uint64_t pc, size_t *n_out);
