/* SPDX-License-Identifier: MIT */
#include "recorder/pidfd.h"

#include <errno.h>
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <linux/pidfd.h> of Linux 6.15; older headers lack it, and it never changes. */
struct pidfd_info_abi {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
#define INFO_EXIT (1ull << 3)
#define GET_INFO _IOWR(0xff, 11, struct pidfd_info_abi)

int pidfd_open_process(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

/*
 * Field 52, exit_code. The kernel shows 0 to who may not look into the process, so a 0 is believed of our own
 * processes only.
 */
static bool status_of_zombie(pid_t pid, int *status_out)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid), *text = NULL;
	g_auto(GStrv) words = NULL;
	struct stat st;
	char *end;

	if (stat(path, &st) < 0 || !g_file_get_contents(path, &text, NULL, NULL))
		return false;
	/* The name may hold anything. */
	end = strrchr(text, ')');
	if (!end || end[1] != ' ')
		return false;
	words = g_strsplit(g_strchomp(end + 2), " ", -1);
	if (g_strv_length(words) < 50 || (words[0][0] != 'Z' && words[0][0] != 'X'))
		return false;
	*status_out = (int)g_ascii_strtoll(words[49], NULL, 10);
	return *status_out != 0 || geteuid() == 0 || st.st_uid == geteuid();
}

bool pidfd_wait_status(int fd, pid_t pid, int *status_out)
{
	struct pidfd_info_abi info = { .mask = INFO_EXIT };

	if (ioctl(fd, GET_INFO, &info) == 0 && (info.mask & INFO_EXIT)) {
		*status_out = info.exit_code;
		return true;
	}
	return status_of_zombie(pid, status_out);
}
