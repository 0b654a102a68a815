/* SPDX-License-Identifier: MIT */
/*
 * A package holds the sections of many split files one behind the other, and an index that says which part of
 * each belongs to a unit. For one unit we lay a header of an ELF file in front of the mapped package, whose
 * sections are just these parts: that is a .dwo file, which libdw reads. Addresses stand in the program; the
 * unit's own are put behind the header. All numbers come from a file and are checked against its size.
 */
#include "common/symbol_dwp.h"

#include <dwarf.h>
#include <fcntl.h>
#include <gelf.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/symbol_file.h"

#define MAX_COLUMNS 8

/* Sections of a .dwo that we hand on, by their column in the index; 0: all of the section. */
enum part {
	PART_INFO,
	PART_ABBREV,
	PART_LINE,
	PART_STR_OFFSETS,
	PART_RNGLISTS,
	PART_STR,
	PART_ADDR,
	N_PARTS
};

static const struct {
	const char *name;
	uint32_t column_v2, column_v5; /* DW_SECT_* */
} parts[N_PARTS] = {
	[PART_INFO] = { ".debug_info.dwo", 1, 1 },
	[PART_ABBREV] = { ".debug_abbrev.dwo", 3, 3 },
	[PART_LINE] = { ".debug_line.dwo", 4, 4 },
	[PART_STR_OFFSETS] = { ".debug_str_offsets.dwo", 6, 6 },
	[PART_RNGLISTS] = { ".debug_rnglists.dwo", UINT32_MAX, 8 },
	[PART_STR] = { ".debug_str.dwo", 0, 0 },
	[PART_ADDR] = { ".debug_addr.dwo", 0, 0 },
};

struct range {
	uint64_t offset, size; /* size 0: not there */
};

struct symbol_dwp {
	int fd; /* owned */
	uint64_t size;
	uint8_t *file; /* owned mapping */
	struct range sections[N_PARTS], index;
	unsigned version; /* of the index: 2 or 5 */
	uint32_t n_columns, n_units, n_slots;
	/* The unit that was asked for last. */
	Dwarf *dwarf;  /* owned */
	Elf *elf;      /* owned */
	uint8_t *unit; /* owned mapping: header, addresses, package */
	size_t unit_size;
};

static int is_inside(const struct symbol_dwp *dwp, const struct range *range)
{
	return range->offset <= dwp->size && range->size <= dwp->size - range->offset;
}

/* Where the sections are. 0 when one of them cannot be used. */
static int read_sections(struct symbol_dwp *dwp, Elf *elf)
{
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;
	size_t names;

	if (elf_kind(elf) != ELF_K_ELF || elf_getshdrstrndx(elf, &names) != 0)
		return 0;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		const char *name =
			gelf_getshdr(section, &shdr) ? elf_strptr(elf, names, shdr.sh_name) : NULL;
		struct range range = { shdr.sh_offset, shdr.sh_size };

		if (!name || shdr.sh_type == SHT_NOBITS)
			continue;
		if (shdr.sh_flags & SHF_COMPRESSED || !is_inside(dwp, &range))
			return 0;
		if (strcmp(name, ".debug_cu_index") == 0)
			dwp->index = range;
		for (size_t i = 0; i < N_PARTS; i++)
			if (strcmp(name, parts[i].name) == 0)
				dwp->sections[i] = range;
	}
	return dwp->index.size >= 16 && dwp->sections[PART_INFO].size &&
	       dwp->sections[PART_ABBREV].size;
}

static uint32_t index_u32(const struct symbol_dwp *dwp, uint64_t at)
{
	uint32_t value;

	memcpy(&value, dwp->file + dwp->index.offset + at, sizeof(value));
	return value;
}

/* Head of the index: version, counts. 0 when it does not fit its section. */
static int read_index(struct symbol_dwp *dwp)
{
	uint32_t first = index_u32(dwp, 0);
	uint64_t need;

	/* Version 5 has 16 bits of version and 16 of padding. */
	dwp->version = first == 2 ? 2 : first & 0xffff;
	dwp->n_columns = index_u32(dwp, 4);
	dwp->n_units = index_u32(dwp, 8);
	dwp->n_slots = index_u32(dwp, 12);
	if ((dwp->version != 2 && dwp->version != 5) || dwp->n_columns > MAX_COLUMNS ||
		(dwp->n_slots & (dwp->n_slots - 1)))
		return 0;
	need = 16 + (uint64_t)dwp->n_slots * 12 + (uint64_t)dwp->n_columns * 4 +
	       (uint64_t)dwp->n_units * dwp->n_columns * 8;
	return dwp->n_slots && need <= dwp->index.size;
}

struct symbol_dwp *symbol_dwp_open(const char *path)
{
	int fd = symbol_file_open_regular(path), is_good = 0;
	struct symbol_dwp *dwp;
	struct stat st;
	Elf *elf;

	if (fd < 0)
		return NULL;
	dwp = g_new0(struct symbol_dwp, 1);
	dwp->fd = fd;
	dwp->file = MAP_FAILED;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		dwp->size = (uint64_t)st.st_size;
		dwp->file = mmap(NULL, dwp->size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	elf_version(EV_CURRENT);
	elf = dwp->file != MAP_FAILED ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	if (elf)
		is_good = read_sections(dwp, elf) && read_index(dwp);
	elf_end(elf);
	if (is_good)
		return dwp;
	symbol_dwp_free(dwp);
	return NULL;
}

static void unit_end(struct symbol_dwp *dwp)
{
	dwarf_end(dwp->dwarf);
	elf_end(dwp->elf);
	if (dwp->unit)
		munmap(dwp->unit, dwp->unit_size);
	dwp->dwarf = NULL;
	dwp->elf = NULL;
	dwp->unit = NULL;
}

void symbol_dwp_free(struct symbol_dwp *dwp)
{
	if (!dwp)
		return;
	unit_end(dwp);
	if (dwp->file != MAP_FAILED)
		munmap(dwp->file, dwp->size);
	close(dwp->fd);
	g_free(dwp);
}

/* The row of a unit in the index, from 1; 0: none. */
static uint32_t find_row(const struct symbol_dwp *dwp, uint64_t id)
{
	uint64_t mask = dwp->n_slots - 1, slot = id & mask, step = (id >> 32 & mask) | 1;

	for (uint32_t i = 0; i < dwp->n_slots; i++, slot = (slot + step) & mask) {
		uint32_t row = index_u32(dwp, 16 + (uint64_t)dwp->n_slots * 8 + slot * 4);
		uint64_t here;

		if (!row)
			return 0;
		memcpy(&here, dwp->file + dwp->index.offset + 16 + slot * 8, sizeof(here));
		if (here == id)
			return row <= dwp->n_units ? row : 0;
	}
	return 0;
}

/* The unit's parts of the sections, as offsets in the package. 0 when one does not fit its section. */
static int unit_ranges(const struct symbol_dwp *dwp, uint32_t row, struct range *out)
{
	uint64_t columns = 16 + (uint64_t)dwp->n_slots * 12;
	uint64_t offsets = columns + (uint64_t)dwp->n_columns * 4;
	uint64_t sizes = offsets + (uint64_t)dwp->n_units * dwp->n_columns * 4;

	out[PART_STR] = dwp->sections[PART_STR];
	for (uint32_t c = 0; c < dwp->n_columns; c++) {
		uint32_t column = index_u32(dwp, columns + c * 4ull);
		uint64_t at = ((uint64_t)(row - 1) * dwp->n_columns + c) * 4;

		for (size_t i = 0; i < PART_STR; i++) {
			const struct range *section = &dwp->sections[i];
			struct range range = { index_u32(dwp, offsets + at),
				index_u32(dwp, sizes + at) };

			if (column != (dwp->version == 2 ? parts[i].column_v2 : parts[i].column_v5))
				continue;
			if (range.offset > section->size ||
				range.size > section->size - range.offset)
				return 0;
			out[i] = (struct range){ section->offset + range.offset, range.size };
		}
	}
	return out[PART_INFO].size && out[PART_ABBREV].size;
}

/* The addresses of the skeleton's unit: from its base to the end of its table, or of the section. */
static Elf_Data addresses_of(Dwarf_Die *skeleton)
{
	Elf *elf = dwarf_getelf(dwarf_cu_getdwarf(skeleton->cu));
	Elf_Data none = { 0 }, *data = NULL;
	Elf_Scn *section = NULL;
	Dwarf_Attribute attr;
	Dwarf_Word base;
	GElf_Shdr shdr;
	size_t names;

	if ((dwarf_formudata(dwarf_attr(skeleton, DW_AT_addr_base, &attr), &base) != 0 &&
		    dwarf_formudata(dwarf_attr(skeleton, DW_AT_GNU_addr_base, &attr), &base) !=
			    0) ||
		elf_getshdrstrndx(elf, &names) != 0)
		return none;
	while (!data && (section = elf_nextscn(elf, section)) != NULL) {
		const char *name =
			gelf_getshdr(section, &shdr) ? elf_strptr(elf, names, shdr.sh_name) : NULL;

		if (name && strcmp(name, ".debug_addr") == 0 && !(shdr.sh_flags & SHF_COMPRESSED))
			data = elf_rawdata(section, NULL);
	}
	if (!data || !data->d_buf || base >= data->d_size)
		return none;
	none.d_buf = (char *)data->d_buf + base;
	none.d_size = data->d_size - base;
	/* The table's length stands 8 bytes before its first address, and does not count itself. */
	if (base >= 8 && dwarf_hasattr(skeleton, DW_AT_addr_base)) {
		uint32_t length;

		memcpy(&length, (char *)data->d_buf + base - 8, sizeof(length));
		if (length >= 4 && length - 4 < none.d_size)
			none.d_size = length - 4;
	}
	return none;
}

/* The header of an ELF file whose sections are `ranges` of the mapping. */
static void write_header(uint8_t *at, const struct range *ranges)
{
	Elf64_Ehdr *head = (Elf64_Ehdr *)(void *)at;
	Elf64_Shdr *sections = (Elf64_Shdr *)(void *)(head + 1);
	char *names = (char *)(sections + N_PARTS + 2), *name = names + 1;

	memcpy(head->e_ident, ELFMAG, SELFMAG);
	head->e_ident[EI_CLASS] = ELFCLASS64;
	head->e_ident[EI_DATA] = G_BYTE_ORDER == G_LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;
	head->e_ident[EI_VERSION] = EV_CURRENT;
	head->e_type = ET_REL;
	head->e_machine = EM_X86_64;
	head->e_version = EV_CURRENT;
	head->e_shoff = sizeof(*head);
	head->e_ehsize = sizeof(*head);
	head->e_shentsize = sizeof(*sections);
	head->e_shnum = N_PARTS + 2;
	head->e_shstrndx = N_PARTS + 1;
	for (size_t i = 0; i < N_PARTS; i++) {
		Elf64_Shdr *section = &sections[i + 1];

		section->sh_name = (Elf64_Word)(name - names);
		/* A part that is not there must not be looked for. */
		section->sh_type = ranges[i].size ? SHT_PROGBITS : SHT_NULL;
		section->sh_offset = ranges[i].offset;
		section->sh_size = ranges[i].size;
		section->sh_addralign = 1;
		name = stpcpy(name, parts[i].name) + 1;
	}
	sections[N_PARTS + 1].sh_name = (Elf64_Word)(name - names);
	sections[N_PARTS + 1].sh_type = SHT_STRTAB;
	sections[N_PARTS + 1].sh_offset = (uint64_t)((uint8_t *)names - at);
	name = stpcpy(name, ".shstrtab") + 1;
	sections[N_PARTS + 1].sh_size = (uint64_t)(name - names);
	sections[N_PARTS + 1].sh_addralign = 1;
}

/* Lays header and addresses in front of the package. 0 when there is no memory. */
static int unit_map(struct symbol_dwp *dwp, struct range *ranges, const Elf_Data *addresses)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t n_head = sizeof(Elf64_Ehdr) + (N_PARTS + 2) * sizeof(Elf64_Shdr) + 512, front;
	uint8_t *at;

	front = (n_head + addresses->d_size + page - 1) / page * page;
	at = mmap(NULL, front + dwp->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return 0;
	dwp->unit = at;
	dwp->unit_size = front + dwp->size;
	if (mmap(at + front, dwp->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, dwp->fd,
		    0) == MAP_FAILED)
		return 0;
	for (size_t i = 0; i < N_PARTS; i++)
		ranges[i].offset += ranges[i].size ? front : 0;
	ranges[PART_ADDR] = (struct range){ n_head, addresses->d_size };
	if (addresses->d_size)
		memcpy(at + n_head, addresses->d_buf, addresses->d_size);
	write_header(at, ranges);
	return 1;
}

int symbol_dwp_unit(struct symbol_dwp *dwp, Dwarf_Die *skeleton, uint64_t id, Dwarf_Die *die_out)
{
	struct range ranges[N_PARTS] = { 0 };
	uint32_t row = find_row(dwp, id);
	Elf_Data addresses;
	Dwarf_CU *unit = NULL;

	if (!row || !unit_ranges(dwp, row, ranges))
		return 0;
	unit_end(dwp);
	addresses = addresses_of(skeleton);
	if (!unit_map(dwp, ranges, &addresses))
		return 0;
	dwp->elf = elf_memory((char *)dwp->unit, dwp->unit_size);
	dwp->dwarf = dwp->elf ? dwarf_begin_elf(dwp->elf, DWARF_C_READ, NULL) : NULL;
	return dwp->dwarf &&
	       dwarf_get_units(dwp->dwarf, NULL, &unit, NULL, NULL, die_out, NULL) == 0;
}
