/* SPDX-License-Identifier: MIT */
/*
 * libdwfl's look-up by address scans all symbols at each call. Read once and sorted, 100,000 symbols
 * take some 15 ms and a look-up 0.1 us.
 */
#include "common/symbol_table.h"

#include <string.h>

#include "common/symbol_image.h"
#include "common/symbol_plt.h"
#include "common/symbol_span.h"

#define RANK_LOCAL (1u << 20)
#define RANK_NO_TYPE (1u << 21)
#define RANK_NO_SIZE (1u << 22)

unsigned symbol_name_rank(const char *name)
{
	unsigned n_underscores = 0, n = (unsigned)MIN(strlen(name), 1000);

	/* Mangled names begin with an underscore and are no less a name for it. */
	if (strncmp(name, "_Z", 2) != 0 && strncmp(name, "_R", 2) != 0)
		n_underscores = (unsigned)strspn(name, "_");
	return MIN(n_underscores, 15) << 12 | n;
}

/* End of the executable section around `addr`; 0 when it lies in none: then it is no code. */
static uint64_t code_end(const GArray *sections, uint64_t addr)
{
	const struct symbol_span *section = symbol_span_find(sections, addr);

	return section ? section->hi : 0;
}

static GArray *code_sections(Elf *elf, GElf_Addr bias)
{
	GArray *sections = symbol_span_table();
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;

	while ((section = elf_nextscn(elf, section)) != NULL) {
		struct symbol_span span = { 0 };

		if (!gelf_getshdr(section, &shdr) || !(shdr.sh_flags & SHF_EXECINSTR))
			continue;
		span.lo = shdr.sh_addr + bias;
		span.hi = span.lo + shdr.sh_size;
		g_array_append_val(sections, span);
	}
	symbol_span_finish(sections);
	return sections;
}

/* Whether the symbol can name code; fills the span but for the end of zero-sized ones. */
static int symbol_span_of(const GElf_Sym *sym, const char *name, uint64_t addr,
	GStringChunk *strings, struct symbol_span *span)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);
	char *bare;

	if (!*name || *name == '$' || sym->st_shndx == SHN_UNDEF ||
		(type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE))
		return 0;
	/* Versions in .symtab are part of the name: foo@@V1. */
	bare = g_strndup(name, strcspn(name, "@"));
	span->lo = addr;
	if (__builtin_add_overflow(addr, sym->st_size, &span->hi))
		span->hi = addr;
	span->name = g_string_chunk_insert_const(strings, bare);
	span->rank = symbol_name_rank(bare);
	if (GELF_ST_BIND(sym->st_info) == STB_LOCAL)
		span->rank |= RANK_LOCAL;
	if (type == STT_NOTYPE)
		span->rank |= RANK_NO_TYPE;
	if (sym->st_size == 0)
		span->rank |= RANK_NO_SIZE;
	g_free(bare);
	return 1;
}

/* A symbol without a size ends where the next one begins, or its section. */
static void set_missing_ends(GArray *spans, const GArray *sections)
{
	uint64_t next = UINT64_MAX, current = UINT64_MAX;

	for (guint i = spans->len; i > 0; i--) {
		struct symbol_span *span = &g_array_index(spans, struct symbol_span, i - 1);

		if (span->lo != current) {
			next = current;
			current = span->lo;
		}
		if (span->hi == span->lo)
			span->hi = MIN(next, code_end(sections, span->lo));
	}
}

GArray *symbol_table_read(struct symbol_image *image, GStringChunk *strings)
{
	Dwfl_Module *module = symbol_image_module(image);
	GArray *spans = symbol_span_table(), *sections;
	int n = module ? dwfl_module_getsymtab(module) : 0;
	GElf_Addr bias = 0;
	Elf *elf = module ? dwfl_module_getelf(module, &bias) : NULL;

	if (!elf)
		return spans;
	sections = code_sections(elf, bias);
	for (int i = 0; i < n; i++) {
		struct symbol_span span = { 0 };
		GElf_Addr addr;
		GElf_Sym sym;
		const char *name =
			dwfl_module_getsym_info(module, i, &sym, &addr, NULL, NULL, NULL);

		if (name && code_end(sections, addr) &&
			symbol_span_of(&sym, name, addr, strings, &span))
			g_array_append_val(spans, span);
	}
	symbol_plt_read(elf, bias, spans, strings);
	symbol_span_finish(spans);
	set_missing_ends(spans, sections);
	symbol_span_finish(spans);
	g_array_unref(sections);
	return spans;
}
