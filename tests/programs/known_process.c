/* SPDX-License-Identifier: MIT */
/*
 * known_process: does to the descriptors of its tracer what a program may do, prints what it sees, and then makes 23
 * system calls that are known.
 *
 *   listeners N         threads of liblttng-ust
 *   refused N           numbers of 700 to 1023 that dup2() and dup3() could not make, all with EBADF
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST 700
#define LAST 1023

/* Those that liblttng-ust named. */
static int count_listeners(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	int n = 0;

	while (tasks && (task = readdir(tasks))) {
		char path[300], name[17] = "";
		ssize_t size;
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		fd = open(path, O_RDONLY);
		size = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
		n += size > 5 && memcmp(name + size - 5, "-ust\n", 5) == 0;
		if (fd >= 0)
			close(fd);
	}
	if (tasks)
		closedir(tasks);
	return n;
}

int main(void)
{
	int n_refused = 0, null_fd = open("/dev/null", O_WRONLY);
	long ret;

	printf("listeners %d\n", count_listeners());
	for (int fd = FIRST; fd <= LAST; fd++) {
		if (fd % 3 == 0)
			ret = dup2(null_fd, fd);
		else if (fd % 3 == 1)
			ret = dup3(null_fd, fd, O_CLOEXEC);
		else
			ret = syscall(SYS_dup3, null_fd, fd, 0);
		if (ret < 0 && errno != EBADF)
			return 1;
		n_refused += ret < 0;
		if (ret >= 0 && (ret != fd || close(fd) != 0))
			return 1;
	}
	printf("refused %d\n", n_refused);
	fflush(stdout);
	for (int i = 0; i < 23; i++)
		if (pwrite(null_fd, "x", 1, i) != 1)
			return 1;
	return 0;
}
