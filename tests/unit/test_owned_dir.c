/* SPDX-License-Identifier: MIT */
#include "recorder/owned_dir.h"

#include <glib.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "temp_dir.h"

static const char *root;

static void test_life(void)
{
	struct owned_dir dir = { 0 };
	struct stat st;
	mode_t old = umask(0077);

	CHECK_INT(owned_dir_create(root, "life", 0711, &dir), 0);
	umask(old);
	CHECK_INT(stat(dir.path, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0711);
	/* One that lives is never cleaned away. */
	CHECK_INT(owned_dir_clean(root, "life"), 0);
	CHECK_INT(access(dir.path, F_OK), 0);
	owned_dir_remove(&dir);
	CHECK(dir.path == NULL);
	owned_dir_remove(&dir);
	CHECK_INT(owned_dir_clean(root, "life"), 0);
}

static void test_two(void)
{
	struct owned_dir a = { 0 }, b = { 0 };

	CHECK_INT(owned_dir_create(root, "two", 0700, &a), 0);
	CHECK_INT(owned_dir_create(root, "two", 0700, &b), 0);
	CHECK(strcmp(a.path, b.path) != 0);
	owned_dir_remove(&a);
	CHECK_INT(access(b.path, F_OK), 0);
	owned_dir_remove(&b);
}

/* Makes a folder in a child that dies without removing it; its path, to g_free(). */
static char *abandon(const char *prefix)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct owned_dir dir;

		if (owned_dir_create(root, prefix, 0700, &dir) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return g_strdup_printf("%s/%s-%d", root, prefix, (int)pid);
}

static void test_abandoned(void)
{
	g_autofree char *path = abandon("dead");
	g_autofree char *inside = g_strdup_printf("%s/data/deep", path);

	CHECK_INT(access(path, F_OK), 0);
	CHECK_INT(g_mkdir_with_parents(inside, 0700), 0);
	CHECK_INT(owned_dir_clean(root, "dead"), 1);
	CHECK_INT(access(path, F_OK), -1);
}

static void test_others_stay(void)
{
	g_autofree char *path = abandon("mine");
	g_autofree char *named = g_strdup_printf("%s/mine-1-notes", root);
	g_autofree char *plain = g_strdup_printf("%s/mine", root);
	g_autofree char *young = g_strdup_printf("%s/mine-999999", root);
	g_autofree char *link_path = g_strdup_printf("%s/mine-77", root);

	CHECK_INT(mkdir(named, 0700), 0);
	CHECK_INT(mkdir(plain, 0700), 0);
	/* No lock file yet: it may be in the making this moment. */
	CHECK_INT(mkdir(young, 0700), 0);
	CHECK_INT(symlink("/", link_path), 0);
	CHECK_INT(owned_dir_clean(root, "mine"), 1);
	CHECK_INT(access(path, F_OK), -1);
	CHECK_INT(access(named, F_OK), 0);
	CHECK_INT(access(plain, F_OK), 0);
	CHECK_INT(access(young, F_OK), 0);
}

static void test_release(void)
{
	struct owned_dir dir = { 0 };
	g_autofree char *path = NULL;

	CHECK_INT(owned_dir_create(root, "given", 0700, &dir), 0);
	path = g_strdup(dir.path);
	owned_dir_release(&dir);
	CHECK_INT(access(path, F_OK), 0);
	CHECK(dir.path == NULL);
}

int main(void)
{
	root = temp_dir_make(NULL, "test_owned_dir");
	CASE(test_life, "a folder has the mode asked for, and lives as long as its owner");
	CASE(test_two, "one process may own several");
	CASE(test_abandoned, "a folder whose owner was killed is removed");
	CASE(test_others_stay, "folders of other names, and those in the making, stay");
	CASE(test_release, "a folder that was given away stays");
	return CHECK_DONE();
}
