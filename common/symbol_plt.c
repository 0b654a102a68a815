/* SPDX-License-Identifier: MIT */
/*
 * A stub is a jump through a slot of the global offset table, `jmp *disp(%rip)`, with or without endbr64
 * and bnd before it. The slot's relocation names the function. Decoding the jump instead of counting
 * stubs works for every layout that the linkers make (lazy, IBT's second table, .plt.got).
 */
#include "common/symbol_plt.h"

#include <stdint.h>
#include <string.h>

#include "common/symbol_span.h"

#define STUB_SIZE 16

/* Slot address → name (borrowed from the ELF file). */
static void slots_of_section(Elf *elf, Elf_Scn *section, const GElf_Shdr *shdr, GHashTable *slots)
{
	Elf_Data *data = elf_getdata(section, NULL);
	Elf_Scn *symbols = elf_getscn(elf, shdr->sh_link);
	Elf_Data *symbol_data = symbols ? elf_getdata(symbols, NULL) : NULL;
	GElf_Shdr symbols_shdr;
	GElf_Rela rela;
	GElf_Sym sym;

	if (!data || !symbol_data || !gelf_getshdr(symbols, &symbols_shdr))
		return;
	for (int i = 0; gelf_getrela(data, i, &rela); i++) {
		unsigned type = (unsigned)GELF_R_TYPE(rela.r_info);
		const char *name;

		if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) ||
			!gelf_getsym(symbol_data, (int)GELF_R_SYM(rela.r_info), &sym))
			continue;
		name = elf_strptr(elf, symbols_shdr.sh_link, sym.st_name);
		if (name && *name)
			g_hash_table_insert(
				slots, (void *)(uintptr_t)rela.r_offset, (void *)(uintptr_t)name);
	}
}

/* The slot that the stub at `code` jumps through; 0 when it is no such stub. */
static uint64_t stub_slot(const uint8_t *code, size_t n, uint64_t addr)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t at = 0;
	int32_t disp;

	if (n >= sizeof(endbr64) && memcmp(code, endbr64, sizeof(endbr64)) == 0)
		at += sizeof(endbr64);
	if (at < n && code[at] == 0xf2)
		at++;
	if (at + 6 > n || code[at] != 0xff || code[at + 1] != 0x25)
		return 0;
	memcpy(&disp, code + at + 2, sizeof(disp));
	return addr + at + 6 + (uint64_t)(int64_t)disp;
}

static void stubs_of_section(Elf_Scn *section, const GElf_Shdr *shdr, size_t step, GElf_Addr bias,
	GHashTable *slots, GArray *spans, GStringChunk *strings)
{
	Elf_Data *data = elf_getdata(section, NULL);
	const uint8_t *code = data ? data->d_buf : NULL;

	for (size_t at = 0; code && at + step <= data->d_size; at += step) {
		uint64_t slot = stub_slot(code + at, step, shdr->sh_addr + at);
		const char *name = g_hash_table_lookup(slots, (void *)(uintptr_t)slot);
		struct symbol_span span = { .lo = shdr->sh_addr + at + bias };
		char *text;

		if (!slot || !name)
			continue;
		span.hi = span.lo + step;
		text = g_strconcat(name, "@plt", NULL);
		span.name = g_string_chunk_insert_const(strings, text);
		g_free(text);
		g_array_append_val(spans, span);
	}
}

void symbol_plt_read(Elf *elf, GElf_Addr bias, GArray *spans, GStringChunk *strings)
{
	GHashTable *slots;
	GElf_Ehdr ehdr;
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;
	size_t names;

	if (!gelf_getehdr(elf, &ehdr) || ehdr.e_machine != EM_X86_64 ||
		elf_getshdrstrndx(elf, &names) != 0)
		return;
	slots = g_hash_table_new(NULL, NULL);
	while ((section = elf_nextscn(elf, section)) != NULL)
		if (gelf_getshdr(section, &shdr) && shdr.sh_type == SHT_RELA)
			slots_of_section(elf, section, &shdr, slots);
	while ((section = elf_nextscn(elf, section)) != NULL) {
		const char *name;

		if (!gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_PROGBITS)
			continue;
		name = elf_strptr(elf, names, shdr.sh_name);
		if (!name || !g_str_has_prefix(name, ".plt"))
			continue;
		/* .plt.got packs stubs without endbr64 into 8 bytes each. */
		stubs_of_section(section, &shdr, shdr.sh_entsize == 8 ? 8 : STUB_SIZE, bias, slots,
			spans, strings);
	}
	g_hash_table_unref(slots);
}
