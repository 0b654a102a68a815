/* SPDX-License-Identifier: MIT */
/*
 * A stub is a jump through a slot of the global offset table. The slot's relocation names the function.
 * Decoding the jump instead of counting stubs works for every layout that the linkers make: lazy ones, those for
 * Intel's IBT (a second table) and Arm's BTI, and .plt.got.
 */
#include "common/symbol_plt.h"

#include <stdint.h>
#include <string.h>

#include "common/symbol_span.h"

#define STUB_SIZE 16

/* The relocations of slots, and how stubs look. */
struct machine {
	unsigned jump_slot, glob_dat, irelative;
	/*
	 * Decodes at `at` of n bytes of code, which begin at `addr`: length of the stub, 0 when there is none; sets
	 * *slot_out. `entry` is what the linker says of the length.
	 */
	size_t (*stub)(const uint8_t *code, size_t n, size_t at, size_t entry, uint64_t addr,
		uint64_t *slot_out);
	unsigned is_in_steps; /* stubs are `entry` apart; else they may be at any instruction */
};

/* `jmp *disp(%rip)`, with or without endbr64 and bnd before it. */
static size_t stub_x86_64(
	const uint8_t *code, size_t n, size_t at, size_t entry, uint64_t addr, uint64_t *slot_out)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t begin = at;
	int32_t disp;

	if (at + sizeof(endbr64) <= n && memcmp(code + at, endbr64, sizeof(endbr64)) == 0)
		at += sizeof(endbr64);
	if (at < n && code[at] == 0xf2)
		at++;
	if (at + 6 > n || code[at] != 0xff || code[at + 1] != 0x25)
		return 0;
	memcpy(&disp, code + at + 2, sizeof(disp));
	*slot_out = addr + at + 6 + (uint64_t)(int64_t)disp;
	return MIN(entry, n - begin);
}

static uint32_t word_at(const uint8_t *code, size_t at)
{
	uint32_t word;

	memcpy(&word, code + at, sizeof(word));
	return GUINT32_FROM_LE(word);
}

/* `adrp x16, page; ldr x17, [x16, offset]; add x16, x16, offset; br x17`, perhaps between `bti c` and `nop`. */
static size_t stub_aarch64(
	const uint8_t *code, size_t n, size_t at, size_t entry, uint64_t addr, uint64_t *slot_out)
{
	const uint32_t bti_c = 0xd503245f, nop = 0xd503201f;
	size_t begin = at;
	uint32_t adrp, ldr;
	int64_t page;

	(void)entry;
	if (at + 4 <= n && word_at(code, at) == bti_c)
		at += 4;
	if (at + 16 > n)
		return 0;
	adrp = word_at(code, at);
	ldr = word_at(code, at + 4);
	if ((adrp & 0x9f00001f) != 0x90000010 || (ldr & 0xffc003ff) != 0xf9400211 ||
		word_at(code, at + 12) != 0xd61f0220)
		return 0;
	/* 21 bits of pages: the low two in bits 29 and 30. */
	page = (int64_t)((adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3));
	page = (page ^ 0x100000) - 0x100000;
	*slot_out =
		((addr + at) & ~(uint64_t)4095) + ((uint64_t)page << 12) + (ldr >> 10 & 0xfff) * 8;
	at += 16;
	if (at + 4 <= n && word_at(code, at) == nop)
		at += 4;
	return at - begin;
}

static const struct machine *machine_of(Elf *elf)
{
	static const struct machine x86_64 = {
		.jump_slot = R_X86_64_JUMP_SLOT,
		.glob_dat = R_X86_64_GLOB_DAT,
		.irelative = R_X86_64_IRELATIVE,
		.stub = stub_x86_64,
		.is_in_steps = 1,
	};
	static const struct machine aarch64 = {
		.jump_slot = R_AARCH64_JUMP_SLOT,
		.glob_dat = R_AARCH64_GLOB_DAT,
		.irelative = R_AARCH64_IRELATIVE,
		.stub = stub_aarch64,
	};
	GElf_Ehdr ehdr;

	if (!gelf_getehdr(elf, &ehdr))
		return NULL;
	return ehdr.e_machine == EM_X86_64    ? &x86_64
	       : ehdr.e_machine == EM_AARCH64 ? &aarch64
					      : NULL;
}

/* The symbol that begins at `addr`, of several the one that is preferred; NULL: none. */
static const char *name_of_resolver(const GArray *spans, uint64_t addr)
{
	const struct symbol_span *best = NULL;

	for (guint i = 0; i < spans->len; i++) {
		const struct symbol_span *span = &g_array_index(spans, struct symbol_span, i);

		if (span->lo == addr && (!best || span->rank < best->rank))
			best = span;
	}
	return best ? best->name : NULL;
}

/* Slot address → name (borrowed from the ELF file or the spans). */
static void slots_of_section(const struct machine *machine, Elf *elf, Elf_Scn *section,
	GElf_Addr bias, const GArray *spans, GHashTable *slots)
{
	Elf_Data *data = elf_getdata(section, NULL), *symbol_data;
	Elf_Scn *symbols;
	GElf_Shdr shdr, symbols_shdr;
	GElf_Rela rela;
	GElf_Sym sym;

	if (!data || !gelf_getshdr(section, &shdr))
		return;
	/* Static programs have relocations without symbols. */
	symbols = shdr.sh_link ? elf_getscn(elf, shdr.sh_link) : NULL;
	symbol_data =
		symbols && gelf_getshdr(symbols, &symbols_shdr) ? elf_getdata(symbols, NULL) : NULL;
	for (int i = 0; gelf_getrela(data, i, &rela); i++) {
		unsigned type = (unsigned)GELF_R_TYPE(rela.r_info);
		const char *name = NULL;

		if (type == machine->irelative)
			name = name_of_resolver(spans, (uint64_t)rela.r_addend + bias);
		else if ((type == machine->jump_slot || type == machine->glob_dat) && symbol_data &&
			 gelf_getsym(symbol_data, (int)GELF_R_SYM(rela.r_info), &sym))
			name = elf_strptr(elf, symbols_shdr.sh_link, sym.st_name);
		if (name && *name)
			g_hash_table_insert(
				slots, (void *)(uintptr_t)rela.r_offset, (void *)(uintptr_t)name);
	}
}

static void stubs_of_section(const struct machine *machine, Elf_Scn *section, const GElf_Shdr *shdr,
	GElf_Addr bias, GHashTable *slots, GArray *spans, GStringChunk *strings)
{
	Elf_Data *data = elf_getdata(section, NULL);
	const uint8_t *code = data ? data->d_buf : NULL;
	/* .plt.got packs stubs without endbr64 into 8 bytes each. */
	size_t entry = shdr->sh_entsize == 8 ? 8 : STUB_SIZE;

	for (size_t at = 0, size; code && at < data->d_size; at += size) {
		uint64_t slot;
		struct symbol_span span = { .lo = shdr->sh_addr + at + bias };
		const char *name;
		char *text;

		size = machine->stub(code, data->d_size, at, entry, shdr->sh_addr, &slot);
		name = size ? g_hash_table_lookup(slots, (void *)(uintptr_t)slot) : NULL;
		if (!size)
			size = machine->is_in_steps ? entry : 4;
		if (!name)
			continue;
		span.hi = span.lo + size;
		text = g_strconcat(name, "@plt", NULL);
		span.name = g_string_chunk_insert_const(strings, text);
		g_free(text);
		g_array_append_val(spans, span);
	}
}

void symbol_plt_read(Elf *elf, GElf_Addr bias, GArray *spans, GStringChunk *strings)
{
	const struct machine *machine = machine_of(elf);
	GHashTable *slots;
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;
	size_t names;

	if (!machine || elf_getshdrstrndx(elf, &names) != 0)
		return;
	slots = g_hash_table_new(NULL, NULL);
	while ((section = elf_nextscn(elf, section)) != NULL)
		if (gelf_getshdr(section, &shdr) && shdr.sh_type == SHT_RELA)
			slots_of_section(machine, elf, section, bias, spans, slots);
	while ((section = elf_nextscn(elf, section)) != NULL) {
		const char *name;

		if (!gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_PROGBITS)
			continue;
		name = elf_strptr(elf, names, shdr.sh_name);
		if (name && (g_str_has_prefix(name, ".plt") || strcmp(name, ".iplt") == 0))
			stubs_of_section(machine, section, &shdr, bias, slots, spans, strings);
	}
	g_hash_table_unref(slots);
}
