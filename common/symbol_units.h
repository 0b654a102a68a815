/* SPDX-License-Identifier: MIT */
/* Which compile unit an address belongs to. */
#pragma once

#include <elfutils/libdw.h>
#include <glib.h>

/*
 * Spans of all compile units, moved by `bias`; `value` is the offset of the unit's DIE. Taken from the units
 * themselves, since clang and Rust write no .debug_aranges. Free with g_array_unref().
 */
GArray *symbol_units_read(Dwarf *dwarf, Dwarf_Addr bias);
