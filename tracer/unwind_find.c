/* SPDX-License-Identifier: MIT */
/*
 * From a pc to its FDE. .eh_frame_hdr has a table of all FDEs sorted by address; a binary search leads to
 * the FDE, and its CIE tells how to read it. Formats: the LSB core specification ("Exception Frames").
 * Whatever does not look as it says ends in CFI_BAD.
 */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "tracer/unwind_cfi.h"
#include "tracer/unwind_reader.h"

#ifndef DLFO_STRUCT_HAS_EH_DBASE
#error "glibc 2.35 or newer is needed to build; older ones are fine to run on"
#endif

extern int _dl_find_object(void *, struct dl_find_object *) __attribute__((weak));

/*
 * Called through its address, never through a lazily bound PLT entry: it is reached from signal handlers. It
 * is absent before glibc 2.35.
 */
static bool find_object(uintptr_t address, struct dl_find_object *object)
{
	int (*find)(void *, struct dl_find_object *) = _dl_find_object;

	__asm__("" : "+r"(find));
	return find && find((void *)address, object) == 0;
}

/*
 * Reads the length of the CIE or FDE at `at` and narrows a reader to what follows it; is_bad when it
 * does not lie in [lo, hi) or is a terminator.
 */
static struct reader entry_reader(const uint8_t *at, const struct cfi_fde *fde)
{
	struct reader reader = { at, fde->hi, false };
	uint64_t length;

	if (at < fde->lo || at >= fde->hi) {
		reader.at = reader.end;
		reader.is_bad = true;
		return reader;
	}
	length = read_fixed(&reader, 4);
	if (length == 0xffffffff)
		length = read_fixed(&reader, 8);
	if (length == 0 || length > (uint64_t)(reader.end - reader.at))
		reader.is_bad = true;
	else
		reader.end = reader.at + length;
	return reader;
}

/* What a CIE says about its FDEs beyond struct cfi_fde. */
struct cie {
	bool has_data; /* FDEs have augmentation data (z) */
	uint8_t encoding;
};

UNWIND_RAW static bool parse_cie(const uint8_t *at, struct cfi_fde *fde, struct cie *cie)
{
	struct reader reader = entry_reader(at, fde);
	const uint8_t *letters, *data_end = NULL;
	uint8_t version;

	if (read_fixed(&reader, 4) != 0) /* a CIE's id */
		return false;
	version = (uint8_t)read_fixed(&reader, 1);
	letters = reader.at;
	while (!reader.is_bad && read_fixed(&reader, 1) != 0)
		;
	if (version == 4)
		read_fixed(&reader, 2); /* sizes of addresses and segment selectors */
	else if (version != 1 && version != 3)
		return false;
	fde->code_align = (uint32_t)read_uleb(&reader);
	fde->data_align = (int32_t)read_sleb(&reader);
	fde->ra_register = (uint8_t)(version == 1 ? read_fixed(&reader, 1) : read_uleb(&reader));
	fde->is_signal = false;
	cie->encoding = 0;
	cie->has_data = false;
	if (reader.is_bad)
		return false;

	if (*letters == 'z') {
		uint64_t size = read_uleb(&reader);

		if (reader.is_bad || size > (uint64_t)(reader.end - reader.at))
			return false;
		data_end = reader.at + size;
		cie->has_data = true;
		letters++;
	}
	for (; *letters != 0; letters++) {
		if (*letters == 'R')
			cie->encoding = (uint8_t)read_fixed(&reader, 1);
		else if (*letters == 'L')
			read_fixed(&reader, 1);
		else if (*letters == 'P')
			read_encoded(&reader, (uint8_t)read_fixed(&reader, 1) & PE_FORMAT, 0);
		else if (*letters == 'S')
			fde->is_signal = true;
		else if (*letters != 'B' && !data_end)
			return false; /* unknown, and no telling how long it is */
	}
	fde->initial = data_end ? data_end : reader.at;
	fde->initial_end = reader.end;
	return !reader.is_bad;
}

static bool parse_fde(const uint8_t *at, uintptr_t data, struct cfi_fde *fde)
{
	struct reader reader = entry_reader(at, fde);
	const uint8_t *id_at = reader.at;
	uint64_t distance = read_fixed(&reader, 4);
	struct cie cie;

	if (reader.is_bad || distance == 0 || distance > (uint64_t)(id_at - fde->lo))
		return false;
	if (!parse_cie(id_at - distance, fde, &cie) || (cie.encoding & PE_INDIRECT))
		return false;
	fde->encoding = cie.encoding;
	fde->pc_begin = read_encoded(&reader, cie.encoding, data);
	fde->pc_end = fde->pc_begin + read_encoded(&reader, cie.encoding & PE_FORMAT, 0);
	if (cie.has_data) {
		uint64_t size = read_uleb(&reader);

		if (size > (uint64_t)(reader.end - reader.at))
			return false;
		reader.at += size;
	}
	fde->program = reader.at;
	fde->program_end = reader.end;
	return !reader.is_bad && fde->pc_end >= fde->pc_begin;
}

/* A row of the sorted table: distances from the start of .eh_frame_hdr. */
struct hdr_row {
	int32_t pc, fde;
};

UNWIND_RAW enum cfi_status cfi_find_in(
	uintptr_t pc, const uint8_t *hdr, const uint8_t *lo, const uint8_t *hi, struct cfi_fde *fde)
{
	struct reader reader = { hdr, hi, false };
	const struct hdr_row *row;
	uint64_t n_rows, version, frame_encoding, count_encoding, table_encoding;
	int64_t wanted;

	if (hdr < lo || hdr >= hi)
		return CFI_BAD;
	version = read_fixed(&reader, 1);
	frame_encoding = read_fixed(&reader, 1);
	count_encoding = read_fixed(&reader, 1);
	table_encoding = read_fixed(&reader, 1);
	if (version != 1 || count_encoding == PE_OMIT || table_encoding != (PE_DATAREL | PE_SDATA4))
		return CFI_BAD;
	if (frame_encoding != PE_OMIT)
		read_encoded(&reader, (uint8_t)frame_encoding & PE_FORMAT, 0);
	n_rows = read_encoded(&reader, (uint8_t)count_encoding & PE_FORMAT, 0);
	if (reader.is_bad || ((uintptr_t)reader.at & 3) ||
		n_rows > (uint64_t)(reader.end - reader.at) / sizeof(*row))
		return CFI_BAD;

	row = (const struct hdr_row *)(const void *)reader.at;
	wanted = (int64_t)(pc - (uintptr_t)hdr);
	if (n_rows == 0 || row->pc > wanted)
		return CFI_NO_FDE;
	while (n_rows > 1) { /* row[0].pc <= wanted; the answer is in row[0 .. n_rows) */
		uint64_t half = n_rows / 2;

		row += row[half].pc <= wanted ? half : 0;
		n_rows -= half;
	}
	fde->lo = lo;
	fde->hi = hi;
	if (!parse_fde(hdr + row->fde, (uintptr_t)hdr, fde))
		return CFI_BAD;
	return pc >= fde->pc_begin && pc < fde->pc_end ? CFI_OK : CFI_NO_FDE;
}

/*
 * The bounds of the segment that holds `address`. dlfo_map_start/end is the whole object when its segments
 * adjoin, holes without access included, and then begins with the ELF header; else one segment. False: not in
 * the object, or in a hole.
 */
UNWIND_RAW static bool segment_bounds(const struct dl_find_object *object, const uint8_t *address,
	const uint8_t **lo_out, const uint8_t **hi_out)
{
	const uint8_t *lo = object->dlfo_map_start, *hi = object->dlfo_map_end;
	const ElfW(Ehdr) *header = object->dlfo_map_start;
	const ElfW(Phdr) * segment;

	if (address < lo || address >= hi)
		return false;
	*lo_out = lo;
	*hi_out = hi;
	if ((size_t)(hi - lo) < ARCH_PAGE || header->e_ident[0] != ELFMAG0 ||
		header->e_ident[1] != ELFMAG1 || header->e_ident[2] != ELFMAG2 ||
		header->e_ident[3] != ELFMAG3 || header->e_phentsize != sizeof(*segment) ||
		header->e_phoff > ARCH_PAGE || (header->e_phoff & 7) ||
		header->e_phnum > (ARCH_PAGE - header->e_phoff) / sizeof(*segment))
		return true;
	segment = (const void *)(lo + header->e_phoff);
	for (unsigned i = 0; i < header->e_phnum; i++, segment++) {
		const uint8_t *start;

		start = (const uint8_t *)(object->dlfo_link_map->l_addr + segment->p_vaddr);
		if (segment->p_type != PT_LOAD || address < start ||
			(size_t)(address - start) >= segment->p_memsz)
			continue;
		if (start < lo || segment->p_memsz > (size_t)(hi - start))
			return false;
		*lo_out = start;
		*hi_out = start + segment->p_memsz;
		return true;
	}
	return false;
}

enum cfi_status cfi_find(uintptr_t pc, struct cfi_fde *fde, struct dl_find_object *object)
{
	const uint8_t *hdr, *lo, *hi;

	if (!find_object(pc, object))
		return CFI_NO_OBJECT;
	hdr = object->dlfo_eh_frame;
	if (!hdr)
		return CFI_NO_FDE;
	if (!segment_bounds(object, hdr, &lo, &hi)) {
		/* Segments that do not adjoin (node): this one holds the code, another the tables. */
		struct dl_find_object tables;

		if (!find_object((uintptr_t)hdr, &tables) ||
			!segment_bounds(&tables, hdr, &lo, &hi))
			return CFI_BAD;
	}
	return cfi_find_in(pc, hdr, lo, hi, fde);
}

const uint8_t *cfi_code_at(const struct dl_find_object *object, uintptr_t pc, size_t size)
{
	const uint8_t *code = (const uint8_t *)pc, *lo, *hi;

	return segment_bounds(object, code, &lo, &hi) && (size_t)(hi - code) >= size ? code : NULL;
}

bool cfi_is_available(void)
{
	return _dl_find_object != NULL;
}

bool cfi_is_loader(const struct dl_find_object *object)
{
	uintptr_t map = (uintptr_t)object->dlfo_link_map;

	/* All other objects' maps are allocated; the loader's own is a variable of the loader's. */
	return map >= (uintptr_t)object->dlfo_map_start && map < (uintptr_t)object->dlfo_map_end;
}
