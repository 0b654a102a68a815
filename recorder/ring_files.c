/* SPDX-License-Identifier: MIT */
#include "recorder/ring_files.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/ring_file.h"

#define USERS "ust/uid"

static void walk_user(const char *folder, const char *uid, ring_files_member found, void *user)
{
	g_autofree char *path = g_strdup_printf("%s/" USERS "/%s", folder, uid);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *member = g_strdup_printf(USERS "/%s/%s", uid, name);

		if (g_str_has_suffix(name, "-bit"))
			found(member, user);
	}
}

void ring_files_members(const char *folder, ring_files_member found, void *user)
{
	g_autofree char *path = g_strdup_printf("%s/" USERS, folder);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *uid;

	while (dir && (uid = g_dir_read_name(dir)))
		walk_user(folder, uid, found, user);
}

struct walk {
	const char *folder;
	ring_files_wanted is_wanted;
	ring_files_cb found;
	void *user;
};

static void walk_member(const char *member, void *user)
{
	struct walk *walk = user;
	g_autofree char *path = g_strdup_printf("%s/%s", walk->folder, member);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	const char *name;

	while (fd >= 0 && dir && (name = g_dir_read_name(dir))) {
		struct ring_file *file;

		if (strcmp(name, "metadata") == 0 ||
			(walk->is_wanted && !walk->is_wanted(member, name, walk->user)))
			continue;
		/* One that is just being made is found the next time. */
		if (ring_file_open(fd, name, &file) == 0)
			walk->found(member, name, file, walk->user);
	}
	if (fd >= 0)
		close(fd);
}

void ring_files_walk(
	const char *folder, ring_files_wanted is_wanted, ring_files_cb found, void *user)
{
	struct walk walk = { folder, is_wanted, found, user };

	ring_files_members(folder, walk_member, &walk);
}
