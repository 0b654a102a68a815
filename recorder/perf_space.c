/* SPDX-License-Identifier: MIT */
/*
 * Mappings are sorted and do not overlap: one that is mapped over another cuts it or takes its place, as in the
 * kernel, and what is gone is remembered for the result. There is no record of munmap(): a mapping stays until
 * its place is taken.
 */
#include "recorder/perf_space.h"

#include <string.h>

#include "proto/blackbox.h"
#include "recorder/procfs.h"

/* A miss costs a read of /proc/PID/maps at most this often, and at most 1/32 of the time. */
#define RETRY_NS 100000000u
#define RETRY_FACTOR 32u

static void mapping_clear(void *data)
{
	struct perf_mapping *mapping = data;

	if (mapping->path)
		g_ref_string_release(mapping->path);
}

static GArray *mappings_new(void)
{
	GArray *mappings = g_array_new(FALSE, FALSE, sizeof(struct perf_mapping));

	g_array_set_clear_func(mappings, mapping_clear);
	return mappings;
}

static struct perf_space *space_new(pid_t pid, uint64_t start_ns)
{
	struct perf_space *space = g_new0(struct perf_space, 1);

	space->pid = pid;
	space->start_ns = start_ns;
	space->mappings = mappings_new();
	space->past = mappings_new();
	return space;
}

static void space_free(void *data)
{
	struct perf_space *space = data;

	g_array_unref(space->mappings);
	g_array_unref(space->past);
	g_free(space);
}

void perf_spaces_init(struct perf_spaces *spaces)
{
	spaces->images = perf_images_new();
	spaces->by_pid = g_hash_table_new(NULL, NULL);
	spaces->used = g_ptr_array_new_with_free_func(space_free);
}

/* Takes the process's space out of the table; it lives on where samples refer to it. */
static void forget(struct perf_spaces *spaces, pid_t pid)
{
	struct perf_space *space = perf_spaces_find(spaces, pid);

	g_hash_table_remove(spaces->by_pid, GINT_TO_POINTER(pid));
	if (space && !space->is_used)
		space_free(space);
}

void perf_spaces_fini(struct perf_spaces *spaces)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, spaces->by_pid);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		if (!((struct perf_space *)value)->is_used)
			space_free(value);
	g_hash_table_destroy(spaces->by_pid);
	g_ptr_array_unref(spaces->used);
	perf_images_free(spaces->images);
}

struct perf_space *perf_spaces_find(const struct perf_spaces *spaces, pid_t pid)
{
	return g_hash_table_lookup(spaces->by_pid, GINT_TO_POINTER(pid));
}

/* What a file's name says about the code in it. */
static enum perf_code code_of(const char *path, bool *is_loader_out)
{
	static const struct {
		const char *prefix;
		enum perf_code code;
	} names[] = {
		{ "libflightrec.so", PERF_CODE_TRACER },
		{ "liblttng-ust", PERF_CODE_UST },
		{ "liburcu", PERF_CODE_UST },
		{ "libc.so", PERF_CODE_SYSTEM },
		{ "libc-", PERF_CODE_SYSTEM },
		{ "libpthread", PERF_CODE_SYSTEM },
		{ "ld-", PERF_CODE_SYSTEM },
		{ "ld.so", PERF_CODE_SYSTEM },
		{ "[vdso]", PERF_CODE_SYSTEM },
	};
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	*is_loader_out = g_str_has_prefix(name, "ld-") || g_str_has_prefix(name, "ld.so");
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (g_str_has_prefix(name, names[i].prefix))
			return names[i].code;
	return PERF_CODE_PROGRAM;
}

/* Index of the first mapping that ends above `address`. */
static guint first_above(const GArray *mappings, uint64_t address)
{
	guint lo = 0, n = mappings->len;

	while (n > 0) {
		guint half = n / 2;

		if (g_array_index(mappings, struct perf_mapping, lo + half).end <= address) {
			lo += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return lo;
}

static void remember_past(
	struct perf_space *space, const struct perf_mapping *old, uint64_t time_ns)
{
	struct perf_mapping copy = *old;

	if (!copy.path || space->past->len >= PERF_SPACE_MAX_MAPPINGS)
		return;
	copy.unload_ns = time_ns;
	g_ref_string_acquire(copy.path);
	g_array_append_val(space->past, copy);
}

/* Takes [start, end) out of what is mapped. Returns the index where a mapping there belongs. */
static guint make_room(struct perf_space *space, uint64_t start, uint64_t end, uint64_t time_ns)
{
	GArray *mappings = space->mappings;
	guint i = first_above(mappings, start);

	while (i < mappings->len) {
		struct perf_mapping *old = &g_array_index(mappings, struct perf_mapping, i);

		if (old->start >= end)
			break;
		if (old->start < start && old->end > end) {
			struct perf_mapping rest = *old;

			rest.offset += end - rest.start;
			rest.start = end;
			if (rest.path)
				g_ref_string_acquire(rest.path);
			old->end = start;
			i++;
			g_array_insert_val(mappings, i, rest);
			break;
		}
		if (old->start < start) {
			old->end = start;
			i++;
		} else if (old->end > end) {
			old->offset += end - old->start;
			old->start = end;
			break;
		} else {
			remember_past(space, old, time_ns);
			g_array_remove_index(mappings, i);
		}
	}
	return i;
}

static void add_mapping(struct perf_space *space, const struct perf_image_place *place,
	uint64_t load_ns, uint64_t time_ns)
{
	struct perf_mapping mapping = { .start = place->start,
		.end = place->end,
		.offset = place->offset,
		.load_ns = load_ns };
	guint i = first_above(space->mappings, place->start);
	bool has_file = place->path[0] == '/' && place->path[1] != '/';

	if (place->end <= place->start)
		return;
	if (i < space->mappings->len) {
		const struct perf_mapping *old =
			&g_array_index(space->mappings, struct perf_mapping, i);

		/* Told once more: by /proc after the record, or by mprotect(). */
		if (old->start <= place->start && old->end >= place->end && old->path &&
			old->offset + (place->start - old->start) == place->offset &&
			strcmp(old->path, place->path) == 0)
			return;
	}
	i = make_room(space, place->start, place->end, time_ns);
	if (!has_file && strcmp(place->path, "[vdso]") != 0)
		return;
	if (space->mappings->len >= PERF_SPACE_MAX_MAPPINGS) {
		space->n_overflow++;
		return;
	}
	mapping.path = g_ref_string_new_intern(place->path);
	mapping.code = code_of(place->path, &mapping.is_loader);
	g_array_insert_val(space->mappings, i, mapping);
}

/* Brings the mappings to what /proc says now. */
static void read_maps(struct perf_space *space, uint64_t load_ns, uint64_t now_ns)
{
	g_autoptr(GArray) maps = procfs_mappings(space->pid);

	for (guint i = 0; i < maps->len; i++) {
		const struct procfs_mapping *map = &g_array_index(maps, struct procfs_mapping, i);

		add_mapping(space,
			&(struct perf_image_place){
				space->pid, map->start, map->end, map->offset, map->path },
			load_ns, now_ns);
	}
	if (maps->len)
		space->read_ns = now_ns;
	space->is_stale = false;
}

struct perf_space *perf_spaces_get(struct perf_spaces *spaces, pid_t pid, uint64_t now_ns)
{
	struct perf_space *space = perf_spaces_find(spaces, pid);
	struct procfs_stat stat;

	if (space)
		return space;
	space = space_new(pid, 0);
	if (procfs_stat_read(pid, 0, &stat) == 0)
		g_strlcpy(space->comm, stat.comm, sizeof(space->comm));
	read_maps(space, 0, now_ns);
	g_hash_table_insert(spaces->by_pid, GINT_TO_POINTER(pid), space);
	return space;
}

GArray *perf_spaces_pids(const struct perf_spaces *spaces)
{
	GArray *pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, spaces->by_pid);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_array_append_val(pids, ((struct perf_space *)value)->pid);
	return pids;
}

void perf_spaces_fork(struct perf_spaces *spaces, pid_t parent, pid_t child, uint64_t time_ns)
{
	const struct perf_space *from = perf_spaces_find(spaces, parent);
	struct perf_space *space;

	if (parent == child || !from)
		return;
	forget(spaces, child);
	space = space_new(child, time_ns);
	memcpy(space->comm, from->comm, sizeof(space->comm));
	space->read_ns = from->read_ns;
	space->is_stale = from->is_stale;
	for (guint i = 0; i < from->mappings->len; i++) {
		struct perf_mapping mapping = g_array_index(from->mappings, struct perf_mapping, i);

		mapping.load_ns = 0;
		if (mapping.path)
			g_ref_string_acquire(mapping.path);
		g_array_append_val(space->mappings, mapping);
	}
	g_hash_table_insert(spaces->by_pid, GINT_TO_POINTER(child), space);
}

void perf_spaces_exec(struct perf_spaces *spaces, pid_t pid, const char *comm, uint64_t time_ns)
{
	struct perf_space *before = perf_spaces_find(spaces, pid), *space;
	bool is_wanted = before && before->is_wanted;

	if (before && before->read_ns > time_ns)
		return; /* what was read is of the new image already */
	forget(spaces, pid);
	space = space_new(pid, time_ns);
	space->is_wanted = is_wanted;
	g_strlcpy(space->comm, comm, sizeof(space->comm));
	g_hash_table_insert(spaces->by_pid, GINT_TO_POINTER(pid), space);
}

void perf_spaces_exit(struct perf_spaces *spaces, pid_t pid, bool is_gone)
{
	struct perf_space *space = perf_spaces_find(spaces, pid);

	/* The first thread may go before others: a used space stays for them, another comes back from /proc. */
	if (space && (is_gone || (!space->is_used && !space->is_wanted)))
		forget(spaces, pid);
}

void perf_spaces_mmap(struct perf_spaces *spaces, pid_t pid, uint64_t time_ns,
	const struct perf_image_place *place)
{
	struct perf_space *space = perf_spaces_get(spaces, pid, time_ns);

	if (time_ns >= space->read_ns)
		add_mapping(space, place, time_ns, time_ns);
}

void perf_spaces_lost(struct perf_spaces *spaces)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, spaces->by_pid);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		((struct perf_space *)value)->is_stale = true;
		((struct perf_space *)value)->retry_ns = 0;
	}
}

bool perf_spaces_use(struct perf_spaces *spaces, struct perf_space *space)
{
	if (space->is_used)
		return true;
	if (spaces->used->len >= PERF_SPACES_MAX)
		return false;
	space->is_used = true;
	space->index = spaces->used->len;
	g_ptr_array_add(spaces->used, space);
	return true;
}

static struct perf_mapping *look_up(const struct perf_space *space, uint64_t address)
{
	guint i = first_above(space->mappings, address);
	struct perf_mapping *mapping;

	if (i == space->mappings->len)
		return NULL;
	mapping = &g_array_index(space->mappings, struct perf_mapping, i);
	return mapping->start <= address ? mapping : NULL;
}

static void look_for_image(
	struct perf_spaces *spaces, const struct perf_space *space, struct perf_mapping *mapping)
{
	struct perf_image_place place = { space->pid, mapping->start, mapping->end, mapping->offset,
		mapping->path };

	if (mapping->is_looked_for)
		return;
	mapping->is_looked_for = true;
	mapping->image = perf_images_open(spaces->images, &place, &mapping->base);
}

struct perf_mapping *perf_space_find(
	struct perf_spaces *spaces, struct perf_space *space, uint64_t address)
{
	struct perf_mapping *mapping = look_up(space, address);

	if (!mapping || space->is_stale) {
		uint64_t now_ns = procfs_now();

		if (now_ns >= space->retry_ns) {
			uint64_t cost_ns;

			read_maps(space, now_ns, now_ns);
			cost_ns = procfs_now() - now_ns;
			space->retry_ns = now_ns + MAX(RETRY_NS, RETRY_FACTOR * cost_ns);
			mapping = look_up(space, address);
		}
	}
	if (mapping)
		look_for_image(spaces, space, mapping);
	return mapping;
}

static void append_module(struct perf_spaces *spaces, const struct perf_space *space,
	struct perf_mapping *mapping, GArray *modules)
{
	struct fr_module module = { .start = mapping->start,
		.end = mapping->end,
		.file_offset = mapping->offset,
		.load_ns = mapping->load_ns,
		.unload_ns = mapping->unload_ns };

	look_for_image(spaces, space, mapping);
	/* Without an image: right for files whose addresses are their offsets, as most libraries' nearly are. */
	module.base = mapping->image ? mapping->base : mapping->start - mapping->offset;
	if (mapping->image)
		module.n_build_id = (uint32_t)perf_image_build_id(mapping->image, module.build_id);
	g_strlcpy(module.path, mapping->path, sizeof(module.path));
	g_array_append_val(modules, module);
}

/* The program lies below its libraries, unless it is loaded by naming the loader: /proc knows. */
static void put_program_first(const struct perf_space *space, GArray *modules)
{
	g_autofree char *link = g_strdup_printf("/proc/%d/exe", (int)space->pid);
	g_autofree char *exe = g_file_read_link(link, NULL);

	for (guint i = 1; exe && i < modules->len; i++) {
		struct fr_module module = g_array_index(modules, struct fr_module, i);

		if (strcmp(module.path, exe) != 0 || module.unload_ns)
			continue;
		g_array_remove_index(modules, i);
		g_array_prepend_val(modules, module);
		return;
	}
}

GArray *perf_space_modules(struct perf_spaces *spaces, struct perf_space *space)
{
	GArray *modules = g_array_new(FALSE, FALSE, sizeof(struct fr_module));

	for (guint i = 0; i < space->mappings->len; i++)
		append_module(spaces, space,
			&g_array_index(space->mappings, struct perf_mapping, i), modules);
	for (guint i = 0; i < space->past->len; i++)
		append_module(spaces, space, &g_array_index(space->past, struct perf_mapping, i),
			modules);
	put_program_first(space, modules);
	return modules;
}
