/* SPDX-License-Identifier: MIT */
#include "recorder/runtime_left.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log.h"
#include "recorder/blackbox_read.h"
#include "recorder/procfs.h"
#include "recorder/ring_keep.h"

#define COMMAND_NAME "command"
#define MAX_COMMAND 4096

void runtime_left_parents(const char *parents_out[RUNTIME_N_PARENTS + 1])
{
	parents_out[0] = "/dev/shm";
	parents_out[1] = getenv("XDG_RUNTIME_DIR");
	parents_out[2] = "/tmp";
	parents_out[3] = NULL;
	if (!parents_out[1] || *parents_out[1] != '/')
		parents_out[1] = parents_out[0];
}

char *runtime_left_prefix(void)
{
	return g_strdup_printf("flightrec-%u", (unsigned)geteuid());
}

void runtime_left_describe(const char *rundir, const char *command)
{
	g_autofree char *path = g_strdup_printf("%s/" COMMAND_NAME, rundir);

	/* Only a sentence lacks it. */
	fs_write_atomic(path, command, MIN(strlen(command), MAX_COMMAND), 0600);
}

void runtime_left_touch(const char *rundir)
{
	utimensat(AT_FDCWD, rundir, NULL, 0);
}

static char *read_command(const char *rundir)
{
	g_autofree char *path = g_strdup_printf("%s/" COMMAND_NAME, rundir);
	char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return g_strdup("");
	g_strdelimit(text, "\n\r", ' ');
	return text;
}

/* Fills all but `dir`. False: it holds nothing to write. */
static bool look(struct runtime_left *left)
{
	const char *path = left->dir.path;
	g_autoptr(GArray) procs = blackbox_list(path);
	unsigned n_usable = 0;
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	left->last = st.st_mtime;
	left->ring = ring_keep_find(path);
	left->command = read_command(path);
	for (guint i = 0; i < procs->len; i++) {
		struct blackbox *blackbox;

		if (blackbox_open_proc(path, g_array_index(procs, uint16_t, i), &blackbox) != 0)
			continue;
		n_usable++;
		left->is_alive |= blackbox_is_alive(blackbox);
		blackbox_close(blackbox);
	}
	return left->ring && n_usable;
}

static void clear(struct runtime_left *left)
{
	g_clear_pointer(&left->ring, g_free);
	g_clear_pointer(&left->command, g_free);
}

void runtime_left_release(struct runtime_left *left)
{
	owned_dir_leave(&left->dir);
	clear(left);
}

/* Whether `pid` is a process of LTTng's that serves this folder. */
static bool is_daemon_of(pid_t pid, const char *lttng_home)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/environ", (int)pid), *bytes = NULL;
	g_autofree char *wanted = g_strdup_printf("LTTNG_HOME=%s", lttng_home);
	struct procfs_stat stat;
	gsize n = 0;

	if (procfs_stat_read(pid, 0, &stat) != 0 || !g_str_has_prefix(stat.comm, "lttng-") ||
		!g_file_get_contents(path, &bytes, &n, NULL))
		return false;
	/* Each variable ends with NUL, as the whole does. */
	for (gsize i = 0; i < n; i += strlen(bytes + i) + 1)
		if (strcmp(bytes + i, wanted) == 0)
			return true;
	return false;
}

/*
 * LTTng's consumer ends by itself when its daemon was killed, but now and then it hangs in that, and would keep the ring's
 * memory for ever.
 */
static void end_daemons(const char *rundir)
{
	g_autofree char *lttng_home = g_strdup_printf("%s/lttng", rundir);
	GDir *dir = g_dir_open("/proc", 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		pid_t pid = (pid_t)g_ascii_strtoull(name, NULL, 10);

		if (pid > 0 && is_daemon_of(pid, lttng_home))
			kill(pid, SIGKILL);
	}
	if (dir)
		g_dir_close(dir);
}

void runtime_left_remove(struct runtime_left *left)
{
	end_daemons(left->dir.path);
	owned_dir_remove(&left->dir);
	clear(left);
}

bool runtime_left_open(const char *path, struct runtime_left *left_out)
{
	struct runtime_left left = { 0 };

	if (!owned_dir_take(path, &left.dir))
		return false;
	if (!look(&left)) {
		runtime_left_release(&left);
		return false;
	}
	*left_out = left;
	return true;
}

static int compare_ages(const void *a, const void *b)
{
	const struct runtime_left *x = a, *y = b;

	return (x->last < y->last) - (x->last > y->last);
}

GArray *runtime_left_list(void)
{
	GArray *list = g_array_new(FALSE, FALSE, sizeof(struct runtime_left));
	g_autofree char *prefix = runtime_left_prefix();
	const char *parents[RUNTIME_N_PARENTS + 1];

	runtime_left_parents(parents);
	for (size_t i = 0; parents[i]; i++) {
		g_autoptr(GArray) found = owned_dir_abandoned(parents[i], prefix);

		for (guint k = 0; k < found->len; k++) {
			struct runtime_left left = { .dir = g_array_index(
							     found, struct owned_dir, k) };

			if (look(&left))
				g_array_append_val(list, left);
			else
				runtime_left_remove(&left);
		}
	}
	g_array_sort(list, compare_ages);
	return list;
}

/* "3m" */
static char *age_words(time_t seconds)
{
	if (seconds < 120)
		return g_strdup_printf("%ds", (int)MAX(seconds, 0));
	if (seconds < 7200)
		return g_strdup_printf("%dm", (int)(seconds / 60));
	return g_strdup_printf("%dh", (int)(seconds / 3600));
}

static bool has_room(const struct runtime_left *left, uint64_t want_bytes)
{
	return fs_free_bytes(left->dir.path) >= want_bytes;
}

char *runtime_left_tidy(uint64_t want_bytes)
{
	g_autoptr(GArray) list = runtime_left_list();
	g_autofree char *newest = NULL, *age = NULL;
	unsigned n_left = 0;

	/* From the oldest on, so that the newest is the last to go. */
	for (guint i = list->len; i > 0; i--) {
		struct runtime_left *left = &g_array_index(list, struct runtime_left, i - 1);
		time_t seconds = time(NULL) - left->last;

		if (seconds > RUNTIME_LEFT_SECONDS || i > RUNTIME_LEFT_KEEP ||
			!has_room(left, want_bytes)) {
			runtime_left_remove(left);
			continue;
		}
		n_left++;
		g_free(newest);
		g_free(age);
		newest = g_strdup(*left->command ? left->command : "a program");
		age = age_words(seconds);
		runtime_left_release(left);
	}
	if (!n_left)
		return NULL;
	if (n_left == 1)
		return g_strdup_printf(
			"A recorder that was killed has left its recording of %.80s (%s ago); "
			"trace-record --recover writes it",
			newest, age);
	return g_strdup_printf("%u recorders that were killed have left their recordings, the last "
			       "of %.80s (%s ago); trace-record --recover writes them",
		n_left, newest, age);
}
