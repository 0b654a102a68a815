/* SPDX-License-Identifier: MIT */
/* Programs that drop root: these cases need it, and are run by root only. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "cases.h"

#define NOBODY 65534

static void *thread_uid(void *arg)
{
	printf("thread: uid %d\n", (int)getuid());
	return NULL;
}

static void work(void)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, thread_uid, NULL) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	free(malloc(1 << 20));
	usleep(1000);
}

static int run_setuid(void)
{
	work();
	MUST(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	work();
	printf("back to root: %s\n", setuid(0) == 0 ? "possible" : "refused");
	return 0;
}

static int run_setuid_fork(void)
{
	pid_t pid;

	MUST(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		work();
		exit(12);
	}
	report_child("child", pid);
	return 0;
}

static int run_chroot(void)
{
	char path[] = "/tmp/host-chroot-XXXXXX";
	int n = 0, tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *root;

	MUST(mkdtemp(path) && chmod(path, 0755) == 0);
	MUST(chroot(path) == 0 && chdir("/") == 0);
	work();
	root = opendir("/");
	MUST(root);
	while (readdir(root))
		n++;
	closedir(root);
	printf("%d entries in the new root\n", n);
	MUST(unlinkat(tmp, path + strlen("/tmp/"), AT_REMOVEDIR) == 0);
	return 13;
}

static int run_chroot_fork(void)
{
	pid_t pid;

	MUST(chroot("/tmp") == 0 && chdir("/") == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		work();
		exit(14);
	}
	report_child("child", pid);
	return 0;
}

static const struct test_case cases[] = {
	{ "setuid", run_setuid },
	{ "setuid_fork", run_setuid_fork },
	{ "chroot", run_chroot },
	{ "chroot_fork", run_chroot_fork },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
