/* SPDX-License-Identifier: MIT */
/*
 * LTTng begins each buffer's file with a description of its layout, made for reading the buffers of crashed programs. Of it
 * we use one thing: how many bytes were ever written. Anything unexpected means "unknown".
 */
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/ring.h"

#define LAYOUT_ENDIAN 0x1234
#define MAX_USERS 64

/* The beginning of the description, version 0. */
struct layout {
	uint8_t magic[16];
	uint64_t mmap_bytes;
	uint16_t endian, major, minor;
	uint8_t word_bytes, type;
	uint32_t written_offset; /* where the count of written bytes is */
	uint32_t other_offsets[10];
	uint8_t written_bytes; /* its width */
};

static const uint8_t layout_magic[16] = { 0x17, 0x7b, 0xf1, 0x77, 0xbf, 0x17, 0x7b, 0xf1, 0x77,
	0xbf, 0x17, 0x7b, 0xf1, 0x77, 0xbf, 0x17 };

static bool file_written(const char *path, uint64_t *written_out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct layout layout;
	bool is_known;

	if (fd < 0)
		return false;
	is_known = pread(fd, &layout, sizeof(layout), 0) == (ssize_t)sizeof(layout) &&
		   memcmp(layout.magic, layout_magic, sizeof(layout_magic)) == 0 &&
		   layout.endian == LAYOUT_ENDIAN && layout.major == 0 &&
		   layout.written_bytes == sizeof(*written_out) &&
		   pread(fd, written_out, sizeof(*written_out), layout.written_offset) ==
			   (ssize_t)sizeof(*written_out);
	close(fd);
	return is_known;
}

/* Adds up one user's buffers. */
static bool user_fill(const char *dir, uint64_t capacity, uint64_t *held)
{
	GDir *files = g_dir_open(dir, 0, NULL);
	const char *name;
	bool is_known = false;

	while (files && (name = g_dir_read_name(files))) {
		g_autofree char *path = g_strdup_printf("%s/%s", dir, name);
		uint64_t written;

		if (!g_str_has_prefix(name, "flight_") || !file_written(path, &written))
			continue;
		*held += MIN(written, capacity);
		is_known = true;
	}
	if (files)
		g_dir_close(files);
	return is_known;
}

bool ring_fill(const char *folder, const struct lttng_geometry *geometry, uint64_t *held_out)
{
	g_autofree char *users_path = g_strdup_printf("%s/ust/uid", folder);
	GDir *users = g_dir_open(users_path, 0, NULL);
	uint64_t capacity = geometry->subbuf_bytes * geometry->n_subbuf, held = 0;
	const char *name;
	bool is_known = false;

	for (int i = 0; i < MAX_USERS && users && (name = g_dir_read_name(users)); i++) {
		g_autofree char *dir = g_strdup_printf("%s/%s/64-bit", users_path, name);

		is_known |= user_fill(dir, capacity, &held);
	}
	if (users)
		g_dir_close(users);
	if (is_known)
		*held_out = held;
	return is_known;
}
