/* SPDX-License-Identifier: MIT */
/* Descriptors and limits: programs that close all, reuse numbers, run short of them. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "cases.h"

/* After a wholesale close our descriptors must be back at 3, and files hold only our bytes. */
static int use_files(void)
{
	char path[] = "/tmp/host-files-XXXXXX", bytes[256];
	int first = open("/dev/null", O_RDONLY), fd;
	ssize_t n;

	printf("first descriptor: %d\n", first);
	fd = mkstemp(path);
	MUST(fd >= 0 && unlink(path) == 0);
	for (int i = 0; i < 200; i++) {
		struct timespec ms = { 0, 1000000 };

		MUST(pwrite(fd, "ours", 4, 0) == 4);
		free(malloc(1000));
		if (i % 10 == 0)
			nanosleep(&ms, NULL);
	}
	n = pread(fd, bytes, sizeof(bytes), 0);
	printf("file: %d bytes: %.4s\n", (int)n, bytes);
	close(fd);
	return 0;
}

static int run_first_fd(void)
{
	return use_files();
}

static int run_closefrom(void)
{
	closefrom(3);
	return use_files();
}

static int run_close_loop(void)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	return use_files();
}

static int run_close_range(void)
{
	MUST(close_range(3, UINT32_MAX, 0) == 0);
	return use_files();
}

static int run_close_syscall(void)
{
	MUST(syscall(SYS_close_range, 3, UINT32_MAX, 0) == 0);
	return use_files();
}

static int run_dup2_high(void)
{
	for (int fd = 3; fd < 1024; fd++)
		MUST(dup2(2, fd) == fd);
	for (int fd = 3; fd < 1024; fd++)
		MUST(close(fd) == 0);
	return use_files();
}

static int run_close_unopened(void)
{
	errno = 0;
	printf("close(500): %d", close(500));
	printf(" %s\n", strerror(errno));
	return 0;
}

static int run_few_descriptors(void)
{
	struct rlimit few = { 8, 8 };
	int n = 0;

	MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (open("/dev/null", O_RDONLY) >= 0)
		n++;
	printf("%d more could be opened, then: %s\n", n, strerror(errno));
	return 0;
}

static int run_file_size_limit(void)
{
	struct rlimit small = { 4096, 4096 };

	MUST(setrlimit(RLIMIT_FSIZE, &small) == 0);
	return use_files();
}

static int run_errno_kept(void)
{
	volatile size_t too_large = SIZE_MAX / 2;
	char byte;

	errno = 77;
	free(malloc(100000));
	free(calloc(10, 10));
	printf("errno after malloc and free: %d\n", errno);
	errno = 77;
	MUST(write(1, "", 0) == 0);
	printf("errno after write: %d\n", errno);
	errno = 0;
	printf("read: %d", (int)read(-1, &byte, 1));
	printf(" %s\n", strerror(errno));
	errno = 0;
	printf("open: %d", open("/nonexistent/file", O_RDONLY));
	printf(" %s\n", strerror(errno));
	errno = 0;
	printf("malloc: %d", malloc(too_large) == NULL);
	printf(" %s\n", strerror(errno));
	return 0;
}

static int run_umask_cwd(void)
{
	char cwd[256];

	printf("umask %03o\n", (unsigned)umask(0));
	MUST(chdir("/usr") == 0 && getcwd(cwd, sizeof(cwd)));
	printf("cwd %s\n", cwd);
	return 0;
}

static int run_stdin(void)
{
	char bytes[256];
	ssize_t n;
	size_t sum = 0;

	while ((n = read(0, bytes, sizeof(bytes))) > 0)
		sum += (size_t)n;
	printf("stdin: %zu bytes\n", sum);
	return 0;
}

static const struct test_case cases[] = {
	{ "first_fd", run_first_fd },
	{ "closefrom", run_closefrom },
	{ "close_loop", run_close_loop },
	{ "close_range", run_close_range },
	{ "close_syscall", run_close_syscall },
	{ "dup2_high", run_dup2_high },
	{ "close_unopened", run_close_unopened },
	{ "few_descriptors", run_few_descriptors },
	{ "file_size_limit", run_file_size_limit },
	{ "errno_kept", run_errno_kept },
	{ "umask_cwd", run_umask_cwd },
	{ "stdin", run_stdin },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
