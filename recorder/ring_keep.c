/* SPDX-License-Identifier: MIT */
/*
 * Hard links: they take no memory of their own, but would hold that of a ring which was replaced. So a ring's links go when
 * its folder is gone, which is how LTTng ends a session in order; a consumer that lost its daemon leaves the folder.
 */
#include "recorder/ring_keep.h"

#include <dirent.h>
#include <glib.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "recorder/ring_read.h"

#define KEPT_NAME "kept"
/* ring-N/ust/uid/UID/64-bit/FILE */
#define MAX_DEPTH 6

static char *source_folder(const char *rundir)
{
	return g_strdup_printf("%s/lttng/shm", rundir);
}

static char *kept_folder(const char *rundir)
{
	return g_strdup_printf("%s/" KEPT_NAME, rundir);
}

/* Links every file below `from` to the same name below `to`. */
static void link_tree(const char *from, const char *to, unsigned depth)
{
	DIR *dir = opendir(from);
	struct dirent *entry;

	if (!dir || (mkdir(to, 0700) < 0 && access(to, F_OK) < 0)) {
		if (dir)
			closedir(dir);
		return;
	}
	while ((entry = readdir(dir))) {
		g_autofree char *source = NULL, *target = NULL;

		if (entry->d_name[0] == '.')
			continue;
		source = g_strdup_printf("%s/%s", from, entry->d_name);
		target = g_strdup_printf("%s/%s", to, entry->d_name);
		if (entry->d_type == DT_DIR && depth < MAX_DEPTH)
			link_tree(source, target, depth + 1);
		else if (entry->d_type == DT_REG && access(target, F_OK) < 0)
			/* Where links are not allowed there is nothing to recover; no harm else. */
			(void)!link(source, target);
	}
	closedir(dir);
}

static bool has_ring(const char *source)
{
	DIR *dir = opendir(source);
	struct dirent *entry;
	bool is_found = false;

	while (dir && !is_found && (entry = readdir(dir)))
		is_found = strncmp(entry->d_name, "ring-", strlen("ring-")) == 0;
	if (dir)
		closedir(dir);
	return is_found;
}

static void drop_replaced(const char *source, const char *kept)
{
	/* With none in its place it was not replaced: the daemon has died, and this is all that is left. */
	DIR *dir = has_ring(source) ? opendir(kept) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		g_autofree char *origin = g_strdup_printf("%s/%s", source, entry->d_name);
		g_autofree char *path = g_strdup_printf("%s/%s", kept, entry->d_name);

		if (entry->d_name[0] != '.' && access(origin, F_OK) < 0)
			fs_remove_tree(path);
	}
	if (dir)
		closedir(dir);
}

void ring_keep_update(const char *rundir)
{
	g_autofree char *source = source_folder(rundir), *kept = kept_folder(rundir);

	drop_replaced(source, kept);
	link_tree(source, kept, 0);
}

/* The one with the highest number: it replaced the others. */
static char *find_newest(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;
	unsigned highest = 0;
	char *found = NULL;

	while (dir && (entry = readdir(dir))) {
		g_autofree char *path = NULL;
		struct ring_look look = { 0 };
		unsigned number;

		if (sscanf(entry->d_name, "ring-%u", &number) != 1 || (found && number < highest))
			continue;
		path = g_strdup_printf("%s/%s", parent, entry->d_name);
		ring_look(path, &look);
		if (look.n_streams == 0)
			continue;
		g_free(found);
		found = g_steal_pointer(&path);
		highest = number;
	}
	if (dir)
		closedir(dir);
	return found;
}

char *ring_keep_find(const char *rundir)
{
	g_autofree char *source = source_folder(rundir), *kept = kept_folder(rundir);
	char *found = find_newest(kept);

	return found ? found : find_newest(source);
}
