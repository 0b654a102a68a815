/* SPDX-License-Identifier: MIT */
/*
 * Modules come from dl_iterate_phdr() at start and after dlclose(), and from the stack walk, which meets an
 * object for the first time and says so (objects that were dlopen()ed, and those that the loader loads by itself: NSS,
 * iconv, libgcc_s). Writers are serialised by a try-lock; one that finds it taken leaves the object
 * for its next miss, since hooks wait for nobody.
 */
#include "tracer/modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "tracer/blackbox.h"
#include "tracer/internal.h"

static int is_busy; /* try-lock of the writers of the table */
/* The first scan found what was loaded with the program, and is never unloaded. A fork's child knows it already. */
static int has_pinned;

static struct fr_module *module_table(void)
{
	return (struct fr_module *)((char *)fr_blackbox + fr_blackbox->off_modules);
}

static int modules_try_lock(void)
{
	return !__atomic_exchange_n(&is_busy, 1, __ATOMIC_ACQUIRE);
}

static void modules_unlock(void)
{
	__atomic_store_n(&is_busy, 0, __ATOMIC_RELEASE);
}

/* One loaded object, as the loader's program headers describe it. */
struct object {
	const char *path;
	uint64_t base, start, end, file_offset;
	const uint8_t *build_id;
	uint32_t n_build_id;
};

static void find_build_id(const ElfW(Nhdr) * note, uint64_t size, struct object *object)
{
	const char *at = (const char *)note, *end = at + size;

	while (at + sizeof(*note) <= end) {
		uint64_t n_name, n_desc;

		note = (const ElfW(Nhdr) *)at;
		n_name = (note->n_namesz + 3u) & ~3ull;
		n_desc = (note->n_descsz + 3u) & ~3ull;
		at += sizeof(*note);
		if (n_name + n_desc > (uint64_t)(end - at))
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
			memcmp(at, "GNU", 4) == 0) {
			object->build_id = (const uint8_t *)at + n_name;
			object->n_build_id = note->n_descsz <= 32 ? note->n_descsz : 32;
			return;
		}
		at += n_name + n_desc;
	}
}

static int describe(const ElfW(Phdr) * phdr, size_t n, uint64_t base, struct object *object_out)
{
	struct object object = { .base = base };
	size_t i;

	for (i = 0; i < n; i++) {
		if (phdr[i].p_type == PT_LOAD && phdr[i].p_flags & PF_X) {
			uint64_t start = base + (phdr[i].p_vaddr & ~4095ull);
			uint64_t end =
				base + ((phdr[i].p_vaddr + phdr[i].p_memsz + 4095) & ~4095ull);

			if (!object.end) {
				object.start = start;
				object.file_offset = phdr[i].p_offset & ~4095ull;
			}
			object.end = end;
		} else if (phdr[i].p_type == PT_NOTE && !object.build_id) {
			find_build_id((const ElfW(Nhdr) *)(base + phdr[i].p_vaddr), phdr[i].p_memsz,
				&object);
		}
	}
	*object_out = object;
	return object.end != 0;
}

static struct fr_module *find(uint64_t start)
{
	struct fr_module *table = module_table();
	uint32_t i;

	for (i = fr_blackbox->n_modules; i-- > 0;)
		if (table[i].start == start && !table[i].unload_ns)
			return &table[i];
	return NULL;
}

static void write_module(struct fr_module *module, const struct object *object)
{
	size_t n = strlen(object->path);

	if (n >= sizeof(module->path))
		n = sizeof(module->path) - 1;
	memcpy(module->path, object->path, n);
	module->path[n] = '\0';
	module->n_build_id = object->n_build_id;
	if (object->n_build_id)
		memcpy(module->build_id, object->build_id, object->n_build_id);
	module->base = object->base;
	module->start = object->start;
	module->end = object->end;
	module->file_offset = object->file_offset;
	module->load_ns = fr_now();
	module->unload_ns = 0;
}

/* An entry of the same file at the same place that was unloaded before. */
static struct fr_module *find_unloaded(const struct object *object)
{
	struct fr_module *table = module_table();
	uint32_t i;

	for (i = fr_blackbox->n_modules; i-- > 0;)
		if (table[i].unload_ns && table[i].start == object->start &&
			table[i].end == object->end && table[i].n_build_id == object->n_build_id &&
			(!object->n_build_id || memcmp(table[i].build_id, object->build_id,
							object->n_build_id) == 0) &&
			strncmp(table[i].path, object->path, sizeof(table[i].path) - 1) == 0)
			return &table[i];
	return NULL;
}

/*
 * Adds an object that is not in the table, and returns its entry, or NULL. One that comes back to where it
 * was takes its old entry: programs that load and unload a library for ever must not fill the table. Called with
 * the try-lock.
 */
static struct fr_module *add(const struct object *object)
{
	uint32_t i = fr_blackbox->n_modules;
	struct fr_module *module = find_unloaded(object);

	if (module) {
		__atomic_store_n(&module->unload_ns, 0, __ATOMIC_RELEASE);
		return module;
	}
	module = &module_table()[i];
	if (i >= FR_BB_MAX_MODULES ||
		blackbox_commit((uint64_t)((char *)module - (char *)fr_blackbox), sizeof(*module)) <
			0) {
		fr_count(modules_overflow, 1);
		return NULL;
	}
	write_module(module, object);
	/* Release: pairs with the reader, which takes the count first and then the entries below it. */
	__atomic_store_n(&fr_blackbox->n_modules, i + 1, __ATOMIC_RELEASE);
	return module;
}

static const char *path_of(const char *name)
{
	return name && name[0] ? name : fr_blackbox->exe;
}

/* Objects seen in one scan, by the table's index. */
struct scan {
	uint64_t seen[FR_BB_MAX_MODULES / 64];
};

static int scan_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct scan *scan = arg;
	struct fr_module *known;
	struct object object;

	(void)size;
	if (!describe(info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr, &object))
		return 0;
	if (!has_pinned)
		unwind_pin(object.start, object.end);
	object.path = path_of(info->dlpi_name);
	known = find(object.start);
	if (known && (known->end != object.end ||
			     strncmp(known->path, object.path, sizeof(known->path) - 1) != 0)) {
		known->unload_ns = fr_now();
		known = NULL;
	}
	if (!known)
		known = add(&object);
	if (known)
		scan->seen[(known - module_table()) / 64] |= 1ull
							     << ((known - module_table()) % 64);
	return 0;
}

/*
 * Marks what lies where the object does now as gone: the loader has unloaded it by itself (iconv), and rules
 * of it may be in the cache. True: something was.
 */
static int supersede(const struct object *object)
{
	struct fr_module *table = module_table();
	uint64_t now = 0;
	uint32_t i;

	for (i = 0; i < fr_blackbox->n_modules; i++) {
		struct fr_module *old = &table[i];

		if (old->unload_ns || old->start >= object->end || old->end <= object->start ||
			(old->start == object->start && old->end == object->end &&
				strncmp(old->path, object->path, sizeof(old->path) - 1) == 0))
			continue;
		now = now ? now : fr_now();
		__atomic_store_n(&old->unload_ns, now, __ATOMIC_RELEASE);
	}
	return now != 0;
}

/* The walk met an object on a cache miss. Context: hook | signal. */
static bool on_object(const struct dl_find_object *found)
{
	const struct link_map *map = found->dlfo_link_map;
	const ElfW(Ehdr) *ehdr = found->dlfo_map_start;
	struct object object;

	if (!modules_try_lock())
		return false;
	/* Segments that lie apart: map_start is then not the ELF header, and the next scan finds the object. */
	if (memcmp(ehdr->e_ident, ELFMAG, SELFMAG) == 0 &&
		ehdr->e_phentsize == sizeof(ElfW(Phdr)) &&
		describe((const ElfW(Phdr) *)((const char *)ehdr + ehdr->e_phoff), ehdr->e_phnum,
			map->l_addr, &object)) {
		object.path = path_of(map->l_name);
		if (supersede(&object))
			unwind_invalidate();
		if (!find(object.start))
			add(&object);
	}
	modules_unlock();
	return true;
}

void modules_scan(void)
{
	struct scan scan = { { 0 } };
	struct fr_module *table = module_table();
	uint64_t now;
	uint32_t i, n;

	if (!modules_try_lock())
		return;
	dl_iterate_phdr(scan_object, &scan);
	has_pinned = 1;
	now = fr_now();
	n = fr_blackbox->n_modules;
	for (i = 0; i < n; i++)
		if (!(scan.seen[i / 64] >> (i % 64) & 1) && !table[i].unload_ns) {
			__atomic_store_n(&table[i].unload_ns, now, __ATOMIC_RELEASE);
			unwind_invalidate();
		}
	modules_unlock();
	unwind_on_object = on_object;
}

static int take_unloads(struct dl_phdr_info *info, size_t size, void *arg)
{
	*(unsigned long long *)arg = info->dlpi_subs;
	return 1;
}

void modules_poll(void)
{
	static unsigned long long last;
	unsigned long long n = 0, before = __atomic_load_n(&last, __ATOMIC_RELAXED);

	/* Stops at the first object: 15 ns. */
	dl_iterate_phdr(take_unloads, &n);
	if (n == before)
		return;
	__atomic_store_n(&last, n, __ATOMIC_RELAXED);
	unwind_invalidate();
	modules_scan();
}

void modules_reset(void)
{
	is_busy = 0;
}
