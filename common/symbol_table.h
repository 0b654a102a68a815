/* SPDX-License-Identifier: MIT */
/* The functions of an image by address, from its symbol tables. */
#pragma once

#include <glib.h>

struct symbol_image;

/*
 * All functions of .symtab (of the image or of its debug file) or else .dynsym, with .gnu_debugdata, and
 * the stubs of the procedure linkage table as `name@plt`. One span each, at the image's own virtual
 * addresses; where symbols share an address, the one a person would use comes first. Names are
 * interned in `strings`. Free with g_array_unref().
 */
GArray *symbol_table_read(struct symbol_image *image, GStringChunk *strings);

/* How far a name is from what people write: smaller is better. Compares aliases of one address. */
unsigned symbol_name_rank(const char *name);
