/* SPDX-License-Identifier: MIT */
/*
 * The module is the one that was loaded last below the address: its data follows its code. Only a symbol whose size
 * covers the address counts, so a wrong guess gives no name rather than a wrong one.
 */
#include "recorder/lock_name.h"

#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/symbol_demangle.h"
#include "common/symbol_file.h"

/* Each may read a large table: a program that waits for more different locks shows addresses. */
#define MAX_LOOKUPS 64
/* Data of a module lies no further from its beginning. */
#define MAX_IMAGE (UINT64_C(1) << 31)

struct lock_names {
	GHashTable *known; /* "process:address" → text, owned; "" none */
};

struct lock_names *lock_names_new(void)
{
	struct lock_names *names = g_new0(struct lock_names, 1);

	names->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return names;
}

void lock_names_free(struct lock_names *names)
{
	if (!names)
		return;
	g_hash_table_unref(names->known);
	g_free(names);
}

/* The variable around `address` in one table; to g_free(). */
static char *find_in_table(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, uint64_t address)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t n = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;
	GElf_Sym symbol;

	for (size_t i = 0; i < n && i < INT32_MAX; i++) {
		g_autofree char *demangled = NULL;
		const char *name;
		uint64_t offset;

		if (!gelf_getsym(data, (int)i, &symbol) ||
			GELF_ST_TYPE(symbol.st_info) != STT_OBJECT ||
			symbol.st_shndx == SHN_UNDEF || address < symbol.st_value ||
			address - symbol.st_value >= symbol.st_size)
			continue;
		name = elf_strptr(elf, header->sh_link, symbol.st_name);
		if (!name || !*name || !g_utf8_validate(name, -1, NULL))
			continue;
		demangled = symbol_demangle(name);
		offset = address - symbol.st_value;
		if (!offset)
			return g_strdup(demangled ? demangled : name);
		return g_strdup_printf(
			"%s+0x%" G_GINT64_MODIFIER "x", demangled ? demangled : name, offset);
	}
	return NULL;
}

static char *find_in_file(int fd, uint64_t address)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	char *name = NULL;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	while (elf && !name && (section = elf_nextscn(elf, section)) != NULL)
		if (gelf_getshdr(section, &header) &&
			(header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM))
			name = find_in_table(elf, section, &header, address);
	elf_end(elf);
	return name;
}

static char *find(const struct profile_process *process, uint64_t address)
{
	g_autoptr(GArray) modules = profile_process_modules(process);
	const struct fr_module *best = NULL;
	struct symbol_module key;
	char *name = NULL;
	int fd = -1;

	for (guint i = 0; i < modules->len; i++) {
		const struct fr_module *module = &g_array_index(modules, struct fr_module, i);

		if (!module->unload_ns && module->start <= address &&
			address - module->start < MAX_IMAGE &&
			(!best || module->start > best->start))
			best = module;
	}
	if (!best)
		return NULL;
	key = (struct symbol_module){
		.path = best->path,
		.build_id = best->n_build_id ? best->build_id : NULL,
		.n_build_id = best->n_build_id,
		.pid = process->is_alive ? process->pid : 0,
	};
	if (symbol_file_open(&key, &fd) == 0) {
		name = find_in_file(fd, address - best->base);
		close(fd);
	}
	return name;
}

const char *lock_names_find(
	struct lock_names *names, const struct profile_process *process, uint64_t address)
{
	char *key, *name;

	if (!address)
		return NULL;
	key = g_strdup_printf("%u:%" G_GINT64_MODIFIER "x", process->id, address);
	name = g_hash_table_lookup(names->known, key);
	if (!name && g_hash_table_size(names->known) < MAX_LOOKUPS) {
		name = find(process, address);
		name = name ? name : g_strdup("");
		g_hash_table_insert(names->known, key, name);
		key = NULL;
	}
	g_free(key);
	return name && *name ? name : NULL;
}
