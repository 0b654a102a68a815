/* SPDX-License-Identifier: MIT */
#include "recorder/module_probe.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "recorder/procfs.h"

#define MAX_NOTES 4096

size_t module_build_id(const char *notes, size_t n, uint8_t *build_id_out, size_t size)
{
	size_t at = 0;

	while (n - at >= sizeof(Elf64_Nhdr)) {
		size_t name, desc;
		Elf64_Nhdr note;

		memcpy(&note, notes + at, sizeof(note));
		at += sizeof(note);
		name = ((size_t)note.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)note.n_descsz + 3) & ~(size_t)3;
		if (name > n - at || desc > n - at - name)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
			memcmp(notes + at, "GNU", 4) == 0 && note.n_descsz <= size) {
			memcpy(build_id_out, notes + at + name, note.n_descsz);
			return note.n_descsz;
		}
		at += name + desc;
	}
	return 0;
}

int module_probe(pid_t pid, const struct procfs_mapping *mapping, struct fr_module *module_out)
{
	struct fr_module module = { .base = mapping->first };
	char page[4096], notes[MAX_NOTES];
	Elf64_Ehdr ehdr;
	size_t n;

	module.start = mapping->start;
	module.end = mapping->end;
	module.file_offset = mapping->offset;
	g_strlcpy(module.path, mapping->path, sizeof(module.path));
	*module_out = module;
	n = procfs_memory(pid, mapping->first, page, sizeof(page));
	if (n < sizeof(ehdr))
		return -EIO;
	memcpy(&ehdr, page, sizeof(ehdr));
	if (memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
		ehdr.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	for (size_t i = 0, at = ehdr.e_phoff, has_base = 0; i < ehdr.e_phnum; i++) {
		Elf64_Phdr phdr;

		if (at > n || n - at < sizeof(phdr))
			break;
		memcpy(&phdr, page + at, sizeof(phdr));
		at += sizeof(phdr);
		if (phdr.p_type == PT_LOAD && !has_base) {
			module.base = mapping->first - (phdr.p_vaddr & ~4095ull);
			has_base = 1;
		} else if (phdr.p_type == PT_NOTE && !module.n_build_id) {
			size_t size = phdr.p_memsz < MAX_NOTES ? phdr.p_memsz : MAX_NOTES;

			/* PT_LOAD comes first in every file, so the bias is known here. */
			size = procfs_memory(pid, module.base + phdr.p_vaddr, notes, size);
			module.n_build_id = (uint32_t)module_build_id(
				notes, size, module.build_id, sizeof(module.build_id));
		}
	}
	*module_out = module;
	return 0;
}
