/* SPDX-License-Identifier: MIT */
/* An opened module: its symbol table, its debug information and where that was found. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <elfutils/libdwfl.h>
#include <glib.h>

#include "common/symbol.h"

struct symbol_debuginfod;
struct symbol_image;

/*
 * Opens the file of `module` (a struct symbol_module; used during the call only). `fd`, from
 * symbol_file_open(), is taken over, also on failure. Returns 0, or -EINVAL when it is no ELF file that libdwfl
 * takes. An image is for one thread at a time.
 */
int symbol_image_open(const struct symbol_module *module, int fd, struct symbol_image **image_out);
void symbol_image_free(struct symbol_image *image);

/* Debug files not found here are asked for in `round` (borrowed until changed; NULL: nowhere). */
void symbol_image_set_debuginfod(struct symbol_image *image, struct symbol_debuginfod *round);

/* Functions by address, as symbol_table_read() gives them. Read once; borrowed. */
const GArray *symbol_image_symbols(struct symbol_image *image);

/* Compile units by address, as symbol_units_read() gives them. Read once; borrowed. */
const GArray *symbol_image_units(struct symbol_image *image);

/* The debug information, or NULL. Borrowed until symbol_image_reopen() or symbol_image_rest(). */
Dwarf *symbol_image_dwarf(struct symbol_image *image, Dwarf_Addr *bias_out);

/*
 * The split unit with this id out of the package beside the image or its debug file: 1, or 0 when there is none.
 * Borrowed until the next call of this kind, or what ends symbol_image_dwarf().
 */
int symbol_image_split_unit(
	struct symbol_image *image, Dwarf_Die *skeleton, uint64_t id, Dwarf_Die *die_out);

/*
 * Drops everything libdw has read and opens the same files again: what it parsed stays in memory until
 * then. Returns 0 or -errno.
 */
int symbol_image_reopen(struct symbol_image *image);

/*
 * Keeps the tables and the descriptors and drops the rest, for a look-up some time later: the next call
 * above opens again. Returns the bytes that it holds then.
 */
size_t symbol_image_rest(struct symbol_image *image);

/* Borrowed; reported at its own virtual addresses, so that a runtime address minus the load bias fits. */
Dwfl_Module *symbol_image_module(struct symbol_image *image);
