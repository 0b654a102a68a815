/* SPDX-License-Identifier: MIT */
#include "common/symbol_debug_file.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "common/symbol_file.h"

#define DEBUG_ROOT "/usr/lib/debug"

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
	int fd = symbol_file_open_regular(path);

	if (fd < 0)
		return -1;
	if (n_build_id ? symbol_file_has_build_id(fd, build_id, n_build_id)
		       : has_crc && crc_of_file(fd) == crc)
		return fd;
	close(fd);
	return -1;
}

static int find_by_build_id(const uint8_t *build_id, size_t n_build_id)
{
	GString *path = g_string_new(DEBUG_ROOT "/.build-id/");
	int fd;

	for (size_t i = 0; i < n_build_id; i++)
		g_string_append_printf(path, i == 0 ? "%02x/" : "%02x", build_id[i]);
	g_string_append(path, ".debug");
	fd = try_debug_file(path->str, build_id, n_build_id, 0, 0);
	g_string_free(path, TRUE);
	return fd;
}

static int find_by_debuglink(const struct symbol_debug_want *want)
{
	/* A file name by definition; anything else is not followed. */
	const char *link =
		want->link && *want->link && !strchr(want->link, '/') ? want->link : NULL;
	char *folder = g_path_get_dirname(want->path);
	int fd = -1;

	for (int i = 0; link && fd < 0 && i < 3; i++) {
		char *path = i == 0   ? g_strdup_printf("%s/%s", folder, link)
			     : i == 1 ? g_strdup_printf("%s/.debug/%s", folder, link)
				      : g_strdup_printf(DEBUG_ROOT "%s/%s", folder, link);

		fd = try_debug_file(path, want->build_id, want->n_build_id, want->crc, 1);
		g_free(path);
	}
	g_free(folder);
	return fd;
}

int symbol_debug_file_find(const struct symbol_debug_want *want)
{
	int fd = -1;

	if (want->n_build_id >= 2)
		fd = find_by_build_id(want->build_id, want->n_build_id);
	return fd < 0 ? find_by_debuglink(want) : fd;
}

int symbol_debug_file_alt(
	const char *from, const char *name, const uint8_t *build_id, size_t n_build_id)
{
	char *folder, *path;
	int fd;

	if (n_build_id < 2 || !*name)
		return -1;
	fd = find_by_build_id(build_id, n_build_id);
	if (fd >= 0)
		return fd;
	folder = g_path_get_dirname(from);
	path = *name == '/' ? g_strdup(name) : g_build_filename(folder, name, NULL);
	fd = try_debug_file(path, build_id, n_build_id, 0, 0);
	g_free(path);
	g_free(folder);
	return fd;
}
