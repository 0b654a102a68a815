/* SPDX-License-Identifier: MIT */
/* Files of /proc are read in one go where the kernel guarantees a consistent answer only then. */
#include "recorder/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMAND 32768

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t procfs_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Reads a whole small file, ended with NUL. Returns its length or -errno. */
static ssize_t read_small(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, err = 0;
	size_t used = 0;

	if (fd < 0)
		return -errno;
	while (used + 1 < size && (n = read(fd, buffer + used, size - 1 - used)) != 0) {
		if (n > 0) {
			used += (size_t)n;
		} else if (errno != EINTR) {
			err = -errno;
			break;
		}
	}
	close(fd);
	buffer[used] = '\0';
	return err ? err : (ssize_t)used;
}

int procfs_stat_read(pid_t pid, pid_t tid, struct procfs_stat *stat_out)
{
	char path[64], text[1024], *open_at, *close_at, *field;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK), boot_ns, asleep_ns;
	ssize_t n;

	if (tid)
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	else
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = read_small(path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	/* The name may hold anything, parentheses too: the last one closes it. */
	open_at = strchr(text, '(');
	close_at = strrchr(text, ')');
	if (!open_at || !close_at || close_at < open_at || close_at[1] != ' ')
		return -EIO;
	*close_at = '\0';
	g_strlcpy(stat_out->comm, open_at + 1, sizeof(stat_out->comm));
	stat_out->state = close_at[2];
	field = close_at + 2; /* field 3 of proc(5); starttime is field 22 */
	for (int i = 3; i < 22 && field; i++) {
		field = strchr(field, ' ');
		field += field != NULL;
	}
	if (!field)
		return -EIO;
	/* Ticks since boot count time asleep (suspend), which CLOCK_MONOTONIC does not. */
	boot_ns = strtoull(field, NULL, 10) * (1000000000u / hz);
	asleep_ns = clock_ns(CLOCK_MONOTONIC);
	asleep_ns = clock_ns(CLOCK_BOOTTIME) - asleep_ns;
	stat_out->start_ns = boot_ns > asleep_ns ? boot_ns - asleep_ns : 0;
	return 0;
}

int64_t procfs_cpu_ns(pid_t pid, pid_t tid)
{
	char path[64], text[128], *end;
	int64_t value;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
	if (read_small(path, text, sizeof(text)) <= 0)
		return -1;
	value = (int64_t)strtoull(text, &end, 10);
	return *end == ' ' ? value : -1;
}

int64_t procfs_kernel_ns(pid_t pid)
{
	int64_t tick_ns = 1000000000 / sysconf(_SC_CLK_TCK);
	char path[64], text[1024], *field;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_small(path, text, sizeof(text)) <= 0)
		return -1;
	field = strrchr(text, ')'); /* ends field 2 of proc(5); stime is field 15 */
	for (int i = 2; i < 15 && field; i++) {
		field = strchr(field, ' ');
		field += field != NULL;
	}
	return field ? (int64_t)strtoull(field, NULL, 10) * tick_ns : -1;
}

static int pid_compare(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

GArray *procfs_threads(pid_t pid, unsigned max)
{
	GArray *threads = g_array_new(FALSE, FALSE, sizeof(pid_t));
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return threads;
	while (threads->len < max && (entry = readdir(dir)) != NULL) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid > 0)
			g_array_append_val(threads, tid);
	}
	closedir(dir);
	g_array_sort(threads, pid_compare);
	return threads;
}

static void mapping_clear(void *data)
{
	g_free(((struct procfs_mapping *)data)->path);
}

GArray *procfs_mappings(pid_t pid)
{
	GArray *mappings = g_array_new(FALSE, FALSE, sizeof(struct procfs_mapping));
	char line[4400], path[64], last[4200] = "";
	uint64_t first = 0;
	FILE *maps;

	g_array_set_clear_func(mappings, mapping_clear);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps)
		return mappings;
	while (fgets(line, sizeof(line), maps)) {
		struct procfs_mapping mapping;
		char flags[8] = "";
		int at = 0;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %n",
			    &mapping.start, &mapping.end, flags, &mapping.offset, &at) != 4 ||
			at == 0 || !line[at])
			continue;
		/* The first mapping of an object is where its file begins. */
		if (mapping.offset == 0 || strcmp(last, line + at) != 0) {
			first = mapping.start;
			g_strlcpy(last, line + at, sizeof(last));
		}
		if (strlen(flags) < 3 || flags[2] != 'x' ||
			(line[at] != '/' && strcmp(line + at, "[vdso]") != 0))
			continue;
		mapping.first = first;
		mapping.path = g_strdup(line + at);
		g_array_append_val(mappings, mapping);
	}
	fclose(maps);
	return mappings;
}

static int is_hiding_arguments;

void procfs_hide_arguments(void)
{
	is_hiding_arguments = 1;
}

char *procfs_command(pid_t pid)
{
	char *text = g_malloc0(MAX_COMMAND), path[64];
	GString *command = g_string_new(NULL);
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	n = read_small(path, text, MAX_COMMAND);
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(text + at) + 1) {
		const char *arg = text + at;
		int is_plain = *arg && !strpbrk(arg, " \t\n\"'\\$`|&;<>()*?[]#~{}!");
		char *quoted = is_plain ? NULL : g_shell_quote(arg);

		g_string_append_printf(command, "%s%s", at ? " " : "", quoted ? quoted : arg);
		g_free(quoted);
		if (is_hiding_arguments)
			break;
	}
	g_free(text);
	return g_string_free(command, FALSE);
}

void procfs_fds(
	pid_t pid, unsigned max, void (*fn)(void *data, int fd, const char *target), void *data)
{
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return;
	while (max && (entry = readdir(dir)) != NULL) {
		char target[4200];
		ssize_t n;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		fn(data, (int)strtol(entry->d_name, NULL, 10), target);
		max--;
	}
	closedir(dir);
}

size_t procfs_memory(pid_t pid, uint64_t addr, void *buffer, size_t n)
{
	size_t used = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (used < n) {
		ssize_t got = pread(fd, (char *)buffer + used, n - used, (off_t)(addr + used));

		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(fd);
	return used;
}
