/* SPDX-License-Identifier: MIT */
/*
 * Tables lie in the copy with the distances among them that they have in the file, so what they say relative to
 * their own place holds there as well: a look-up only moves the address by the same distance. That is why one copy
 * serves all processes, and why the tracer's reader of mapped tables can be used as it is.
 */
#include "recorder/perf_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>

#include "recorder/module_probe.h"
#include "recorder/procfs.h"
#include "tracer/unwind_reader.h"

#define MAX_TABLES_BYTES (64u << 20) /* of one file; the largest known have 20 MB */
#define MAX_SEGMENTS 64u
#define MAX_SECTIONS 256u
#define MAX_NOTES 4096u

/* Where an image's bytes come from. */
enum source {
	SOURCE_FILE,   /* `fd`, by file offset */
	SOURCE_MEMORY, /* of process `pid`, by address */
	SOURCE_OWN,    /* our own memory: the vdso, `own_size` bytes at `base` */
};

/* What tells files apart; all zero but `address` and `pid` for memory. */
struct key {
	uint64_t dev, ino, size, mtime_s, mtime_ns;
	uint64_t address, pid;
};

struct perf_image {
	struct key key;
	enum source source;
	int fd; /* owned; -1 once the tables have been read */
	pid_t pid;
	uint64_t base, own_size; /* of SOURCE_MEMORY, SOURCE_OWN */
	Elf64_Ehdr header;
	Elf64_Phdr segments[MAX_SEGMENTS];
	unsigned n_segments;
	uint8_t build_id[32];
	uint32_t n_build_id;
	bool is_read;	    /* the tables were read, or it was tried */
	uint8_t *tables;    /* owned; NULL: there are none */
	size_t n_tables;    /* bytes */
	uint64_t tables_at; /* virtual address of the first */
	uint64_t index_at;  /* of .eh_frame_hdr */
};

struct perf_images {
	GHashTable *by_key; /* struct key (in the image) → struct perf_image, owned */
	uint64_t n_bytes;
	unsigned n_refused;
};

static guint key_hash(gconstpointer key)
{
	const uint64_t *words = key;
	uint64_t hash = 0;

	for (size_t i = 0; i < sizeof(struct key) / sizeof(*words); i++)
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
	return (guint)(hash >> 32);
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, sizeof(struct key)) == 0;
}

static void image_free(void *data)
{
	struct perf_image *image = data;

	if (image->fd >= 0)
		close(image->fd);
	g_free(image->tables);
	g_free(image);
}

struct perf_images *perf_images_new(void)
{
	struct perf_images *images = g_new0(struct perf_images, 1);

	images->by_key = g_hash_table_new_full(key_hash, key_equal, NULL, image_free);
	return images;
}

void perf_images_free(struct perf_images *images)
{
	if (!images)
		return;
	g_hash_table_destroy(images->by_key);
	g_free(images);
}

unsigned perf_images_n_refused(const struct perf_images *images)
{
	return images->n_refused;
}

/* Reads at a file offset. Only all of it counts. */
static bool read_file(int fd, uint64_t offset, void *buffer, size_t n)
{
	size_t used = 0;

	if (offset > INT64_MAX - n)
		return false;
	while (used < n) {
		ssize_t got = pread(fd, (char *)buffer + used, n - used, (off_t)(offset + used));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		used += (size_t)got;
	}
	return true;
}

/* Reads at an address of the file's, `address` being in a segment. */
static bool read_at(const struct perf_image *image, uint64_t address, void *buffer, size_t n)
{
	switch (image->source) {
	case SOURCE_MEMORY:
		return procfs_memory(image->pid, image->base + address, buffer, n) == n;
	case SOURCE_OWN:
		if (address > image->own_size || n > image->own_size - address)
			return false;
		memcpy(buffer, (const void *)(uintptr_t)(image->base + address), n);
		return true;
	default:
		break;
	}
	for (unsigned i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *segment = &image->segments[i];

		if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
			address - segment->p_vaddr < segment->p_filesz &&
			n <= segment->p_filesz - (address - segment->p_vaddr))
			return read_file(image->fd,
				segment->p_offset + (address - segment->p_vaddr), buffer, n);
	}
	return false;
}

/* The headers; in memory they lie at address 0 of a file whose first segment begins there. */
static bool read_headers(struct perf_image *image)
{
	const Elf64_Ehdr *header = &image->header;
	bool is_file = image->source == SOURCE_FILE;
	size_t n;

	if (!(is_file ? read_file(image->fd, 0, &image->header, sizeof(image->header))
		      : read_at(image, 0, &image->header, sizeof(image->header))))
		return false;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
		header->e_ident[EI_CLASS] != ELFCLASS64 ||
		header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0)
		return false;
	image->n_segments = MIN(header->e_phnum, MAX_SEGMENTS);
	n = image->n_segments * sizeof(Elf64_Phdr);
	return is_file ? read_file(image->fd, header->e_phoff, image->segments, n)
		       : read_at(image, header->e_phoff, image->segments, n);
}

static void read_build_id(struct perf_image *image)
{
	for (unsigned i = 0; i < image->n_segments && image->n_build_id == 0; i++) {
		const Elf64_Phdr *segment = &image->segments[i];
		char notes[MAX_NOTES];
		size_t n = MIN(segment->p_filesz, sizeof(notes));

		if (segment->p_type == PT_NOTE && read_at(image, segment->p_vaddr, notes, n))
			image->n_build_id = (uint32_t)module_build_id(
				notes, n, image->build_id, sizeof(image->build_id));
	}
}

/* The load bias that puts file offset `offset` at `start`; false: no executable segment has it. */
static bool find_base(
	const struct perf_image *image, uint64_t start, uint64_t offset, uint64_t *out)
{
	for (unsigned i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *segment = &image->segments[i];
		uint64_t page = segment->p_offset & ~(uint64_t)(ARCH_PAGE - 1);

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) && offset >= page &&
			offset < segment->p_offset + segment->p_filesz) {
			*out = start - offset + segment->p_offset - segment->p_vaddr;
			return true;
		}
	}
	return false;
}

/*
 * How far the tables at `address` go: to the end of their section; where there are no section headers, to the end of
 * their segment. 0: unknown.
 */
static uint64_t tables_end(const struct perf_image *image, uint64_t address)
{
	const Elf64_Ehdr *header = &image->header;

	if (image->source == SOURCE_FILE && header->e_shentsize == sizeof(Elf64_Shdr))
		for (unsigned i = 0; i < MIN(header->e_shnum, MAX_SECTIONS); i++) {
			Elf64_Shdr section;

			if (!read_file(image->fd, header->e_shoff + i * sizeof(section), &section,
				    sizeof(section)))
				break;
			if (section.sh_addr == address && section.sh_size > 0 &&
				(section.sh_flags & SHF_ALLOC) && section.sh_type != SHT_NOBITS &&
				section.sh_size <= UINT64_MAX - address)
				return address + section.sh_size;
		}
	for (unsigned i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *segment = &image->segments[i];

		if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
			address - segment->p_vaddr < segment->p_filesz)
			return segment->p_vaddr + segment->p_filesz;
	}
	return 0;
}

/* Where .eh_frame begins, from the index at `at`; false: not an index that we understand. */
static bool find_eh_frame(const struct perf_image *image, uint64_t at, uint64_t *address_out)
{
	uint8_t head[12] __attribute__((aligned(8)));
	struct reader reader = { head + 4, head + sizeof(head), false };
	uint64_t value;

	if (!read_at(image, at, head, sizeof(head)) || head[0] != 1 || head[1] == PE_OMIT)
		return false;
	value = read_encoded(&reader, head[1], (uintptr_t)head);
	*address_out = value - (uintptr_t)head + at;
	return !reader.is_bad;
}

static void read_tables(struct perf_images *images, struct perf_image *image)
{
	uint64_t index = 0, index_end = 0, frames, frames_end, lo, hi;

	for (unsigned i = 0; i < image->n_segments; i++)
		if (image->segments[i].p_type == PT_GNU_EH_FRAME) {
			index = image->segments[i].p_vaddr;
			index_end = index + image->segments[i].p_memsz;
		}
	if (index_end <= index || !find_eh_frame(image, index, &frames))
		return;
	frames_end = tables_end(image, frames);
	/* So that the copy's alignment is the file's. */
	lo = MIN(index, frames) & ~15ull;
	hi = MAX(index_end, frames_end);
	if (frames_end <= frames || hi - lo > MAX_TABLES_BYTES)
		return;
	if (images->n_bytes + (hi - lo) > PERF_IMAGES_MAX_BYTES) {
		images->n_refused++;
		return;
	}
	image->tables = g_malloc(hi - lo);
	if (!read_at(image, lo, image->tables, hi - lo)) {
		g_clear_pointer(&image->tables, g_free);
		return;
	}
	image->n_tables = hi - lo;
	image->tables_at = lo;
	image->index_at = index;
	images->n_bytes += image->n_tables;
}

/* Opens the file behind a mapping; -1: none can be had. */
static int open_file(const struct perf_image_place *place)
{
	static const char deleted[] = " (deleted)";
	char path[4400], link[4400];
	ssize_t n;
	int fd;

	/* Names what is mapped, whatever has become of the path. */
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)place->pid,
		place->start, place->end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)place->pid);
	n = readlink(path, link, sizeof(link) - 1);
	if (n > 0) {
		link[n] = '\0';
		fd = strcmp(link, place->path) == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd >= 0)
			return fd;
	}
	if (g_str_has_suffix(place->path, deleted))
		return -1;
	/* O_NONBLOCK: a path that has become a pipe must not hold us up. */
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)place->pid, place->path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd >= 0 ? fd : open(place->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static bool describe_file(struct perf_image *image)
{
	struct stat st;

	if (fstat(image->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	image->source = SOURCE_FILE;
	image->key = (struct key){ .dev = st.st_dev,
		.ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.mtime_s = (uint64_t)st.st_mtim.tv_sec,
		.mtime_ns = (uint64_t)st.st_mtim.tv_nsec };
	return true;
}

/* A mapping whose file cannot be opened: its first page in memory holds the headers. */
static bool describe_memory(struct perf_image *image, const struct perf_image_place *place)
{
	g_autoptr(GArray) mappings = procfs_mappings(place->pid);

	for (guint i = 0; i < mappings->len; i++) {
		const struct procfs_mapping *mapping =
			&g_array_index(mappings, struct procfs_mapping, i);

		if (mapping->start != place->start || mapping->offset != place->offset)
			continue;
		image->source = SOURCE_MEMORY;
		image->pid = place->pid;
		image->base = mapping->first;
		image->key = (struct key){ .address = mapping->first, .pid = (uint64_t)place->pid };
		return true;
	}
	return false;
}

/* The vdso is the kernel's: ours is everybody's. */
static bool describe_vdso(struct perf_image *image, const struct perf_image_place *place)
{
	uint64_t address = getauxval(AT_SYSINFO_EHDR);

	if (!address || place->end - place->start > (64u << 10))
		return false;
	image->source = SOURCE_OWN;
	image->base = address;
	image->own_size = place->end - place->start;
	image->key = (struct key){ .address = address };
	return true;
}

struct perf_image *perf_images_open(
	struct perf_images *images, const struct perf_image_place *place, uint64_t *base_out)
{
	struct perf_image *image = g_new0(struct perf_image, 1), *known;
	bool is_vdso = strcmp(place->path, "[vdso]") == 0;

	image->fd = is_vdso ? -1 : open_file(place);
	if (is_vdso ? !describe_vdso(image, place)
		    : (image->fd < 0 || !describe_file(image)) && !describe_memory(image, place)) {
		image_free(image);
		return NULL;
	}
	known = g_hash_table_lookup(images->by_key, &image->key);
	if (known) {
		image_free(image);
		image = known;
	} else if (read_headers(image)) {
		read_build_id(image);
		g_hash_table_insert(images->by_key, &image->key, image);
	} else {
		image_free(image);
		return NULL;
	}
	return find_base(image, place->start, place->offset, base_out) ? image : NULL;
}

size_t perf_image_build_id(const struct perf_image *image, uint8_t build_id[32])
{
	memcpy(build_id, image->build_id, sizeof(image->build_id));
	return image->n_build_id;
}

/* The FDE of an address, and where that address is in the copy. */
static enum cfi_status find_fde(struct perf_images *images, struct perf_image *image,
	uint64_t address, struct cfi_fde *fde, uintptr_t *moved_out)
{
	if (!image->is_read) {
		image->is_read = true;
		read_tables(images, image);
		if (image->fd >= 0)
			close(image->fd);
		image->fd = -1;
	}
	if (!image->tables)
		return CFI_NO_FDE;
	*moved_out = (uintptr_t)(address - image->tables_at + (uintptr_t)image->tables);
	return cfi_find_in(*moved_out, image->tables + (image->index_at - image->tables_at),
		image->tables, image->tables + image->n_tables, fde);
}

enum cfi_status perf_image_row(struct perf_images *images, struct perf_image *image,
	uint64_t address, struct cfi_fde *fde, struct cfi_row *row)
{
	uintptr_t moved;
	enum cfi_status status = find_fde(images, image, address, fde, &moved);

	return status == CFI_OK ? cfi_row_at(fde, moved, row) : status;
}

bool perf_image_is_function_start(
	struct perf_images *images, struct perf_image *image, uint64_t address)
{
	struct cfi_fde fde;
	uintptr_t moved;

	return find_fde(images, image, address, &fde, &moved) == CFI_OK && fde.pc_begin == moved;
}
