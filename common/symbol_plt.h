/* SPDX-License-Identifier: MIT */
/* Procedure linkage stubs have no symbols: their names come from the relocations they jump through. */
#pragma once

#include <gelf.h>
#include <glib.h>

/*
 * Appends a span `name@plt` for each stub of .plt, .plt.sec and .plt.got in an x86-64 `elf`, with addresses
 * moved by `bias`; nothing for other machines. Names are interned in `strings`.
 */
void symbol_plt_read(Elf *elf, GElf_Addr bias, GArray *spans, GStringChunk *strings);
