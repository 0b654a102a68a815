/* SPDX-License-Identifier: MIT */
/* Names found before, by module and address, in bounded memory. Not for several threads at once. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/symbol.h"

struct symbol_answers;

/* What is known about one address. n_frames 0: looked for, and there is no name. */
struct symbol_answer {
	uint64_t addr;
	uint32_t module;
	uint32_t n_frames : 31, has_names : 1; /* has_names: of the module, not of this address */
	const struct symbol_frame *frames;
};

/* Holds at most max_bytes; what was not asked for the longest time goes first. */
struct symbol_answers *symbol_answers_new(size_t max_bytes);
void symbol_answers_free(struct symbol_answers *answers);

/* NULL when unknown. Valid until the next call with the same `answers`. */
const struct symbol_answer *symbol_answers_find(
	struct symbol_answers *answers, uint32_t module, uint64_t addr);

/* Copies `answer` with all its strings, unless it is known. */
void symbol_answers_add(struct symbol_answers *answers, const struct symbol_answer *answer);

size_t symbol_answers_bytes(const struct symbol_answers *answers);
