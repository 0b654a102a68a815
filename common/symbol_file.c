/* SPDX-License-Identifier: MIT */
/*
 * A name must never come from another build of a program than the one that ran. So every candidate file
 * is compared with the build-id noted in the process before anything is read from it.
 */
#include "common/symbol_file.h"

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

#define DELETED " (deleted)"
#define MAX_MAPS_LINE 4400

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

int symbol_file_open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

int symbol_file_has_build_id(int fd, const uint8_t *build_id, size_t n_build_id)
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
	int fd = symbol_file_open_regular(path);

	if (fd < 0)
		return -1;
	(*n_seen)++;
	if (module->n_build_id == 0 ||
		symbol_file_has_build_id(fd, module->build_id, module->n_build_id))
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
		(module->n_build_id &&
			!symbol_file_has_build_id(fd, module->build_id, module->n_build_id))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int is_vdso(const char *path)
{
	return path[0] != '/' && strstr(path, "vdso");
}

char *symbol_file_path(const struct symbol_module *module)
{
	size_t n = strlen(module->path);

	if (g_str_has_suffix(module->path, DELETED))
		n -= strlen(DELETED);
	return g_strndup(module->path, n);
}

int symbol_file_open(const struct symbol_module *module, int *fd_out)
{
	char *path = symbol_file_path(module);
	int n_seen = 0, fd = -1;

	if (is_vdso(path))
		fd = find_vdso(module, &n_seen);
	else if (path[0] == '/')
		fd = find_file(module, path, &n_seen);
	g_free(path);
	if (fd < 0)
		return n_seen ? SYMBOL_FILE_E_MISMATCH : SYMBOL_FILE_E_MISSING;
	*fd_out = fd;
	return 0;
}
