/* SPDX-License-Identifier: MIT */
/* Functions, inlined frames and lines from an image's debug information. */
#pragma once

#include <stddef.h>

struct symbol_batch;
struct symbol_image;
struct symbol_query;

/*
 * Fills `frames` of the queries that the debug information of `image` covers; leaves the others alone. The
 * queries are sorted by address, without duplicates. The image may be reopened on the way.
 * Returns 1 when the image has debug information, else 0.
 */
int symbol_dwarf_resolve(struct symbol_image *image, struct symbol_batch *batch,
	struct symbol_query *queries, size_t n);
