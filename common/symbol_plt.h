/* SPDX-License-Identifier: MIT */
/* Procedure linkage stubs have no symbols: their names come from the relocations they jump through. */
#pragma once

#include <gelf.h>
#include <glib.h>

/*
 * Appends a span `name@plt` for each stub of .plt, .plt.sec, .plt.got and .iplt in an x86-64 or aarch64 `elf`, with
 * addresses moved by `bias`; nothing for other machines. Stubs for a static program's own indirect functions are
 * named after the symbol of their resolver, which is looked for in `spans`. Names are interned in `strings`.
 */
void symbol_plt_read(Elf *elf, GElf_Addr bias, GArray *spans, GStringChunk *strings);
