/* SPDX-License-Identifier: MIT */
/* Split units out of a package (.dwp), which libdw before 0.192 does not read. */
#pragma once

#include <elfutils/libdw.h>
#include <stdint.h>

struct symbol_dwp;

/* The package at `path`; NULL: there is none, or it is none that is understood. */
struct symbol_dwp *symbol_dwp_open(const char *path);
void symbol_dwp_free(struct symbol_dwp *dwp);

/*
 * The DIE of the split unit with this id, whose skeleton is `skeleton`; 1, or 0 when it is not in the package.
 * Valid until the next call with the same package, or its end.
 */
int symbol_dwp_unit(struct symbol_dwp *dwp, Dwarf_Die *skeleton, uint64_t id, Dwarf_Die *die_out);
