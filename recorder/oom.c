/* SPDX-License-Identifier: MIT */
/*
 * cgroup v2 counts in memory.events (of the cgroup alone: memory.events.local), v1 in memory.oom_control. A container may
 * see a path of the host in /proc/PID/cgroup while its own cgroup is mounted as the root: so both are tried.
 * The counter goes up before the process dies, but other processes in the cgroup move it, too: what was
 * counted more than a second or two ago is forgotten.
 */
#include "recorder/oom.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group {
	char *path; /* owned */
	/* What the counter said at the last two ticks, less the kills that were answered. */
	long long older, newer;
};

struct oom {
	GArray *groups;
};

static void group_clear(void *data)
{
	g_free(((struct group *)data)->path);
}

struct oom *oom_new(void)
{
	struct oom *oom = g_new0(struct oom, 1);

	oom->groups = g_array_new(FALSE, FALSE, sizeof(struct group));
	g_array_set_clear_func(oom->groups, group_clear);
	return oom;
}

void oom_free(struct oom *oom)
{
	if (!oom)
		return;
	g_array_unref(oom->groups);
	g_free(oom);
}

long long oom_parse(const char *text)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "oom_kill ", 9) == 0)
			return strtoll(line + 9, NULL, 10);
	}
	return -1;
}

static long long read_counter(const char *path)
{
	g_autofree char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return -1;
	return oom_parse(text);
}

/* The file below one of the mounts that has a counter; NULL: none. */
static char *find_counter(const char *const mounts[], const char *group, const char *const names[])
{
	for (size_t i = 0; mounts[i]; i++) {
		for (size_t k = 0; names[k]; k++) {
			const char *const paths[] = { group, "" };

			for (size_t j = 0; j < G_N_ELEMENTS(paths); j++) {
				g_autofree char *path =
					g_strdup_printf("%s%s/%s", mounts[i], paths[j], names[k]);

				if (read_counter(path) >= 0)
					return g_steal_pointer(&path);
			}
		}
	}
	return NULL;
}

/* True when `controllers`, separated by commas, has `wanted`. */
static bool has_controller(const char *controllers, const char *wanted)
{
	g_auto(GStrv) words = g_strsplit(controllers, ",", -1);

	return g_strv_contains((const char *const *)words, wanted);
}

/* "4:memory:/path" (v1), "0::/path" (v2). */
static char *find_file(pid_t pid)
{
	static const char *const v1_mounts[] = { "/sys/fs/cgroup/memory", NULL };
	static const char *const v1_names[] = { "memory.oom_control", NULL };
	static const char *const v2_mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL };
	static const char *const v2_names[] = { "memory.events.local", "memory.events", NULL };
	g_autofree char *path = g_strdup_printf("/proc/%d/cgroup", (int)pid);
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	char *found = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	lines = g_strsplit(text, "\n", -1);
	for (size_t i = 0; lines[i] && !found; i++) {
		g_auto(GStrv) parts = g_strsplit(lines[i], ":", 3);

		if (g_strv_length(parts) != 3)
			continue;
		if (g_str_has_suffix(parts[2], "/"))
			parts[2][strlen(parts[2]) - 1] = '\0';
		if (has_controller(parts[1], "memory"))
			found = find_counter(v1_mounts, parts[2], v1_names);
		else if (strcmp(parts[0], "0") == 0)
			found = find_counter(v2_mounts, parts[2], v2_names);
	}
	return found;
}

int oom_add(struct oom *oom, pid_t pid)
{
	g_autofree char *path = find_file(pid);
	struct group group;

	if (!path)
		return -1;
	for (guint i = 0; i < oom->groups->len; i++) {
		if (strcmp(g_array_index(oom->groups, struct group, i).path, path) == 0)
			return (int)i;
	}
	if (oom->groups->len == OOM_MAX_GROUPS)
		return -1;
	group.older = group.newer = read_counter(path);
	group.path = g_steal_pointer(&path);
	g_array_append_val(oom->groups, group);
	return (int)oom->groups->len - 1;
}

void oom_tick(struct oom *oom)
{
	for (guint i = 0; i < oom->groups->len; i++) {
		struct group *group = &g_array_index(oom->groups, struct group, i);
		long long now = read_counter(group->path);

		/* A cgroup that is gone keeps what it said last. */
		if (now < 0)
			continue;
		group->older = group->newer;
		group->newer = now;
	}
}

bool oom_has_killed(struct oom *oom, int index)
{
	struct group *group;
	long long now;

	if (index < 0 || (guint)index >= oom->groups->len)
		return false;
	group = &g_array_index(oom->groups, struct group, index);
	now = read_counter(group->path);
	if (now < 0)
		now = group->newer;
	if (now <= group->older)
		return false;
	group->older++;
	group->newer = MAX(group->newer, group->older);
	return true;
}
