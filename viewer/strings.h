/* SPDX-License-Identifier: MIT */
/* Interned strings: equal text has one u32 id, so tables compare and store ids. Single-threaded. */
#pragma once

#include <stdint.h>

struct strings;

struct strings *strings_new(void);
void strings_free(struct strings *strings);

/* Id of `text`, which is copied the first time. NULL counts as "". Id 0 is "". */
uint32_t strings_add(struct strings *strings, const char *text);

/* Text of `id`; "" for an id that was never given out. Valid until strings_free(). */
const char *strings_get(const struct strings *strings, uint32_t id);

/* Ids given out so far: 0 to this less 1. */
uint32_t strings_n(const struct strings *strings);
