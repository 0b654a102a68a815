/* SPDX-License-Identifier: MIT */
/* From rows to a profile with mappings, names and labels. */
#pragma once

#include <stdint.h>

#include "common/symbol.h"
#include "recorder/profile_kind.h"

/* All borrowed. */
struct profile_build {
	const struct profile_kind *kind;
	const GPtrArray *processes;
	const struct profile_rows *rows;
	struct symbol_cache *cache;
	struct profile_rows *sizes; /* labels `bytes` given before; changed; NULL: none are kept */
	int64_t time_ns, duration_ns; /* wall clock; 0: no window */
	uint64_t period;
	const char *comment; /* for people; NULL: none */
};

/* The process that stands for the program: the oldest that lives, else the oldest. NULL: none. */
const struct profile_process *profile_main_process(const GPtrArray *processes);

/* The profile, to profile_free(). Samples without a value are left out. */
struct profile *profile_build(const struct profile_build *build);

/* The pairs of "k=v,k2=v2" as labels of text: a GArray of struct profile_label; `copy` holds the texts. */
GArray *profile_labels_parse(const char *text, char **copy_out);
