/* SPDX-License-Identifier: MIT */
/*
 * A program that waits in such a file would never be woken once the name is gone, so a file in use is left alone
 * whoever made it.
 */
#include "recorder/wait_shm.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_DIR "/dev/shm"
#define WAIT_NAME "lttng-ust-wait-8"

static bool is_noted(const struct wait_shm *wait, const char *path)
{
	for (guint i = 0; i < wait->paths->len; i++) {
		if (strcmp(wait->paths->pdata[i], path) == 0)
			return true;
	}
	return false;
}

/* Takes over `path`. */
static void note(struct wait_shm *wait, char *path)
{
	if (access(path, F_OK) == 0 || is_noted(wait, path))
		g_free(path);
	else
		g_ptr_array_add(wait->paths, path);
}

/* Files that killed recorders left, or living ones use. */
static void note_range(struct wait_shm *wait, const struct wait_shm_range *range)
{
	DIR *dir = opendir(WAIT_DIR);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		unsigned long uid;
		char *end;

		if (!g_str_has_prefix(entry->d_name, WAIT_NAME "-"))
			continue;
		uid = strtoul(entry->d_name + strlen(WAIT_NAME "-"), &end, 10);
		if (*end == '\0' && uid >= range->first && uid <= range->last)
			g_ptr_array_add(
				wait->paths, g_strdup_printf(WAIT_DIR "/%s", entry->d_name));
	}
	if (dir)
		closedir(dir);
}

void wait_shm_note(struct wait_shm *wait, uid_t daemon_uid, const struct wait_shm_range *range)
{
	wait->paths = g_ptr_array_new_with_free_func(g_free);
	if (geteuid() == 0)
		note_range(wait, range);
	note(wait, g_strdup(WAIT_DIR "/" WAIT_NAME));
	note(wait, g_strdup_printf(WAIT_DIR "/" WAIT_NAME "-%u", (unsigned)geteuid()));
	note(wait, g_strdup_printf(WAIT_DIR "/" WAIT_NAME "-%u", (unsigned)daemon_uid));
}

/* Drops the files that these mappings name from the list. */
static void drop_mapped(struct wait_shm *wait, const char *maps)
{
	if (!strstr(maps, WAIT_DIR "/" WAIT_NAME))
		return;
	for (guint i = wait->paths->len; i-- > 0;) {
		g_autofree char *line_end = g_strdup_printf("%s\n", (char *)wait->paths->pdata[i]);

		if (strstr(maps, line_end))
			g_ptr_array_remove_index_fast(wait->paths, i);
	}
}

void wait_shm_remove(struct wait_shm *wait)
{
	struct dirent *entry;
	DIR *dir;

	if (!wait->paths)
		return;
	dir = opendir("/proc");
	while (dir && (entry = readdir(dir))) {
		g_autofree char *path = g_strdup_printf("/proc/%s/maps", entry->d_name);
		g_autofree char *maps = NULL;

		if (g_ascii_isdigit(entry->d_name[0]) &&
			g_file_get_contents(path, &maps, NULL, NULL))
			drop_mapped(wait, maps);
	}
	for (guint i = 0; dir && i < wait->paths->len; i++)
		unlink(wait->paths->pdata[i]);
	if (dir)
		closedir(dir);
	g_ptr_array_unref(wait->paths);
	wait->paths = NULL;
}
