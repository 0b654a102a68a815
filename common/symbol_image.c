/* SPDX-License-Identifier: MIT */
/*
 * A name must never come from another build of a program than the one that ran. So every candidate
 * file is compared with the build-id noted in the process before anything is read from it, separate
 * debug files too. libdwfl finds nothing by itself: its standard search would go to the network.
 */
#include "common/symbol_image.h"

#include <elf.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <glib.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/symbol_debuginfod.h"

#define DELETED " (deleted)"
#define MAX_MAPS_LINE 4400

struct symbol_image {
	const struct symbol_module *module; /* borrowed */
	int is_debuginfod;
	char *path; /* owned; as in the process, without " (deleted)": where debug files are looked for */
	int fd;	      /* owned; the file itself */
	int debug_fd; /* owned; a debug file from the network, kept for reopening; else -1 */
	Dwfl *dwfl;   /* owned */
	Dwfl_Module *dwfl_module; /* borrowed from dwfl */
};

size_t symbol_build_id_of_fd(int fd, uint8_t *build_id, size_t size)
{
	const void *found;
	ssize_t n;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf)
		return 0;
	n = elf_kind(elf) == ELF_K_ELF ? dwelf_elf_gnu_build_id(elf, &found) : 0;
	if (n > 0 && (size_t)n <= size)
		memcpy(build_id, found, (size_t)n);
	else
		n = 0;
	elf_end(elf);
	return (size_t)n;
}

/* Opens for reading what may be anything at all: only regular files, and no hanging on a FIFO. */
static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int has_build_id(int fd, const uint8_t *build_id, size_t n_build_id)
{
	uint8_t found[64];

	return symbol_build_id_of_fd(fd, found, sizeof(found)) == n_build_id &&
	       memcmp(found, build_id, n_build_id) == 0;
}

/*
 * Takes `path` when it is the module's image. *n_seen counts files that exist, so that "missing" and
 * "another build" can be told apart.
 */
static int try_path(const struct symbol_module *module, const char *path, int *n_seen)
{
	int fd = open_regular(path);

	if (fd < 0)
		return -1;
	(*n_seen)++;
	if (module->n_build_id == 0 || has_build_id(fd, module->build_id, module->n_build_id))
		return fd;
	close(fd);
	return -1;
}

/*
 * Walks /proc/PID/maps for mappings of `path`. *is_deleted tells whether the kernel calls one of them
 * deleted. With want_fd, returns a descriptor of the mapped file itself through map_files (root only).
 */
static int scan_maps(const struct symbol_module *module, const char *path, int want_fd,
	int *is_deleted, int *n_seen)
{
	char name[64], line[MAX_MAPS_LINE];
	size_t n = strlen(path);
	int fd = -1;
	FILE *maps;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)module->pid);
	maps = fopen(name, "re");
	if (!maps)
		return -1;
	while (fd < 0 && fgets(line, sizeof(line), maps)) {
		char *file = strchr(line, '/');
		uint64_t start, end;

		if (!file || strncmp(file, path, n) != 0 ||
			sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2)
			continue;
		file[strcspn(file, "\n")] = '\0';
		if (strcmp(file + n, DELETED) == 0)
			*is_deleted = 1;
		else if (file[n])
			continue;
		if (want_fd) {
			snprintf(name, sizeof(name), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
				(int)module->pid, start, end);
			fd = try_path(module, name, n_seen);
		}
	}
	fclose(maps);
	return fd;
}

/* The image of a file by its path, also when the path now names another file, or nothing. */
static int find_file(const struct symbol_module *module, const char *path, int *n_seen)
{
	int is_deleted = 0, fd = -1;
	char *name;

	if (module->pid && module->n_build_id == 0)
		scan_maps(module, path, 0, &is_deleted, n_seen);
	if (module->pid && !is_deleted) {
		name = g_strdup_printf("/proc/%d/root%s", (int)module->pid, path);
		fd = try_path(module, name, n_seen);
		g_free(name);
	}
	if (fd < 0 && !is_deleted)
		fd = try_path(module, path, n_seen);
	if (fd < 0 && module->pid && module->n_build_id) {
		name = g_strdup_printf("/proc/%d/exe", (int)module->pid);
		fd = try_path(module, name, n_seen);
		g_free(name);
	}
	if (fd < 0 && module->pid)
		fd = scan_maps(module, path, 1, &is_deleted, n_seen);
	return fd;
}

/* Our own vDSO as a file: the kernel maps the same image into every 64-bit process. */
static int find_vdso(const struct symbol_module *module, int *n_seen)
{
	uintptr_t base = getauxval(AT_SYSINFO_EHDR);
	const ElfW(Ehdr) *ehdr = (const void *)base;
	size_t size;
	int fd;

	if (!base)
		return -1;
	/* Section headers end the image; the kernel's own build makes sure of it. */
	size = ehdr->e_shoff + (size_t)ehdr->e_shnum * ehdr->e_shentsize;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	(*n_seen)++;
	if (write(fd, (const void *)base, size) != (ssize_t)size ||
		(module->n_build_id && !has_build_id(fd, module->build_id, module->n_build_id))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int is_vdso(const char *path)
{
	return path[0] != '/' && strstr(path, "vdso");
}

static uint32_t crc_of_file(int fd)
{
	static const size_t n_buffer = 1 << 16;
	unsigned char *buffer = g_malloc(n_buffer);
	uLong crc = crc32(0, NULL, 0);
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buffer, n_buffer, at)) > 0) {
		crc = crc32(crc, buffer, (uInt)n);
		at += n;
	}
	g_free(buffer);
	return (uint32_t)crc;
}

/* A debug file belongs to its program by build-id; by CRC only where the program has no build-id. */
static int try_debug_file(
	const char *path, const uint8_t *build_id, size_t n_build_id, uint32_t crc, int has_crc)
{
	int fd = open_regular(path);

	if (fd < 0)
		return -1;
	if (n_build_id ? has_build_id(fd, build_id, n_build_id) : has_crc && crc_of_file(fd) == crc)
		return fd;
	close(fd);
	return -1;
}

static int find_by_build_id(const uint8_t *build_id, size_t n_build_id)
{
	GString *path = g_string_new("/usr/lib/debug/.build-id/");
	int fd;

	for (size_t i = 0; i < n_build_id; i++)
		g_string_append_printf(path, i == 0 ? "%02x/" : "%02x", build_id[i]);
	g_string_append(path, ".debug");
	fd = try_debug_file(path->str, build_id, n_build_id, 0, 0);
	g_string_free(path, TRUE);
	return fd;
}

static int find_by_debuglink(const struct symbol_image *image, const char *link, uint32_t crc,
	const uint8_t *build_id, size_t n_build_id)
{
	static const char *const format[] = { "%s/%s", "%s/.debug/%s", "/usr/lib/debug%s/%s" };
	char *folder = g_path_get_dirname(image->path);
	int fd = -1;

	/* A file name by definition; anything else is not followed. */
	if (strchr(link, '/') || !*link)
		link = NULL;
	for (size_t i = 0; link && fd < 0 && i < G_N_ELEMENTS(format); i++) {
		char *path;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		path = g_strdup_printf(format[i], folder, link);
#pragma GCC diagnostic pop
		fd = try_debug_file(path, build_id, n_build_id, crc, 1);
		g_free(path);
	}
	g_free(folder);
	return fd;
}

/* Callback of libdwfl: a descriptor of the separate debug file, or -1. */
static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	const char *file_name, const char *link, GElf_Word crc, char **path_out)
{
	struct symbol_image *image = *userdata;
	const unsigned char *build_id = NULL;
	GElf_Addr where;
	int n, fd = -1;

	(void)name, (void)base, (void)file_name, (void)path_out;
	n = dwfl_module_build_id(module, &build_id, &where);
	if (n < 0)
		n = 0;
	if (n >= 2)
		fd = find_by_build_id(build_id, (size_t)n);
	if (fd < 0 && link)
		fd = find_by_debuglink(image, link, crc, build_id, (size_t)n);
	if (fd < 0 && image->debug_fd >= 0)
		fd = fcntl(image->debug_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 && image->is_debuginfod && n >= 2) {
		fd = symbol_debuginfod_find(build_id, (size_t)n);
		if (fd >= 0)
			image->debug_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	return fd;
}

static int image_begin(struct symbol_image *image)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};
	void **userdata;
	int fd;

	image->dwfl = dwfl_begin(&callbacks);
	if (!image->dwfl)
		return -ENOMEM;
	fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	dwfl_report_begin(image->dwfl);
	image->dwfl_module = dwfl_report_elf(image->dwfl, image->path, image->path, fd, 0, true);
	dwfl_report_end(image->dwfl, NULL, NULL);
	if (!image->dwfl_module) {
		close(fd); /* on success libdwfl owns it */
		return SYMBOL_IMAGE_E_FORMAT;
	}
	dwfl_module_info(image->dwfl_module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = image;
	return 0;
}

int symbol_image_open(const struct symbol_module *module, const struct symbol_options *options,
	struct symbol_image **image_out)
{
	struct symbol_image *image = g_new0(struct symbol_image, 1);
	int err, n_seen = 0;

	image->module = module;
	image->is_debuginfod = options->is_debuginfod;
	image->debug_fd = -1;
	image->path = g_strdup(module->path);
	if (g_str_has_suffix(image->path, DELETED))
		image->path[strlen(image->path) - strlen(DELETED)] = '\0';
	if (is_vdso(image->path))
		image->fd = find_vdso(module, &n_seen);
	else if (image->path[0] == '/')
		image->fd = find_file(module, image->path, &n_seen);
	else
		image->fd = -1;
	if (image->fd < 0)
		err = n_seen ? SYMBOL_IMAGE_E_MISMATCH : SYMBOL_IMAGE_E_MISSING;
	else
		err = image_begin(image);
	if (err) {
		symbol_image_free(image);
		return err;
	}
	*image_out = image;
	return 0;
}

void symbol_image_free(struct symbol_image *image)
{
	if (!image)
		return;
	if (image->dwfl)
		dwfl_end(image->dwfl);
	if (image->fd >= 0)
		close(image->fd);
	if (image->debug_fd >= 0)
		close(image->debug_fd);
	g_free(image->path);
	g_free(image);
}

int symbol_image_reopen(struct symbol_image *image)
{
	dwfl_end(image->dwfl);
	image->dwfl = NULL;
	image->dwfl_module = NULL;
	return image_begin(image);
}

Dwfl_Module *symbol_image_module(struct symbol_image *image)
{
	return image->dwfl_module;
}
