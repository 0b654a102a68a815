/* SPDX-License-Identifier: MIT */
/* What the parts of the symbolizer share about a batch. Not for its users. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/symbol.h"

/* An address of one module, in the image's own virtual addresses, and what became of it. */
struct symbol_query {
	uint64_t addr;
	const char
		*symbol; /* name in the symbol table around addr; NULL none; belongs to the batch */
	uint64_t offset; /* of addr in `symbol` */
	struct symbol_frame *frames; /* NULL until resolved; belongs to the batch */
	uint32_t n_frames;
	uint8_t is_known; /* answered from the cache */
};

/* `text` as valid UTF-8, kept until the batch ends; equal texts share one copy. */
const char *symbol_batch_intern(struct symbol_batch *batch, const char *text);

/* The demangled form of an interned name, or that name itself. Interned. */
const char *symbol_batch_demangle(struct symbol_batch *batch, const char *name);

/* n frames, zeroed, kept until the batch ends. */
struct symbol_frame *symbol_batch_frames(struct symbol_batch *batch, size_t n);

/* To be called now and then while resolving: shows that it takes its time. */
void symbol_batch_tick(struct symbol_batch *batch);
