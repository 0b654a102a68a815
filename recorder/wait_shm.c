/* SPDX-License-Identifier: MIT */
/*
 * A program that waits in such a file would never be woken once the name is gone, so a file in use is left alone
 * whoever made it.
 */
#include "recorder/wait_shm.h"

#include <dirent.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define WAIT_PATH "/dev/shm/lttng-ust-wait-8"

/* Takes over `path`. */
static void note(struct wait_shm *wait, char *path)
{
	bool is_known = access(path, F_OK) == 0;

	for (unsigned i = 0; i < wait->n; i++)
		is_known |= strcmp(wait->paths[i], path) == 0;
	if (is_known || wait->n == WAIT_SHM_MAX)
		g_free(path);
	else
		wait->paths[wait->n++] = path;
}

void wait_shm_note(struct wait_shm *wait, uid_t daemon_uid)
{
	*wait = (struct wait_shm){ .n = 0 };
	note(wait, g_strdup(WAIT_PATH));
	note(wait, g_strdup_printf(WAIT_PATH "-%u", (unsigned)geteuid()));
	note(wait, g_strdup_printf(WAIT_PATH "-%u", (unsigned)daemon_uid));
}

/* True when the mappings name exactly this file. */
static bool is_mapped(const char *maps, const char *path)
{
	g_autofree char *line_end = g_strdup_printf("%s\n", path);

	return strstr(maps, line_end) != NULL;
}

void wait_shm_remove(struct wait_shm *wait)
{
	bool is_used[WAIT_SHM_MAX] = { false };
	DIR *dir = wait->n ? opendir("/proc") : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		g_autofree char *path = g_strdup_printf("/proc/%s/maps", entry->d_name);
		g_autofree char *maps = NULL;

		if (!g_ascii_isdigit(entry->d_name[0]) ||
			!g_file_get_contents(path, &maps, NULL, NULL))
			continue;
		for (unsigned i = 0; i < wait->n; i++)
			is_used[i] |= is_mapped(maps, wait->paths[i]);
	}
	for (unsigned i = 0; i < wait->n; i++) {
		if (dir && !is_used[i])
			unlink(wait->paths[i]);
		g_free(wait->paths[i]);
	}
	if (dir)
		closedir(dir);
	wait->n = 0;
}
