/* SPDX-License-Identifier: MIT */
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "temp_dir.h"

static const char *root; /* a folder of this test */

static char *in_root(const char *name)
{
	return g_strdup_printf("%s/%s", root, name);
}

static void make_file(const char *name, const char *text, mode_t mode)
{
	g_autofree char *path = in_root(name);

	CHECK(g_file_set_contents(path, text, -1, NULL));
	CHECK_INT(chmod(path, mode), 0);
}

static void test_write_atomic(void)
{
	g_autofree char *path = in_root("whole"), *text = NULL;
	g_autofree char *missing = in_root("no/such/folder");

	CHECK_INT(fs_write_atomic(path, "old", 3, 0666), 0);
	CHECK_INT(fs_write_atomic(path, "newer", 5, 0666), 0);
	CHECK(g_file_get_contents(path, &text, NULL, NULL));
	CHECK_STR(text, "newer");
	CHECK_INT(fs_write_atomic(missing, "x", 1, 0666), -ENOENT);
}

static void test_remove_tree(void)
{
	g_autofree char *tree = in_root("tree"), *deep = in_root("tree/a/b/c"),
			*kept = in_root("kept");
	g_autofree char *link_in_tree = in_root("tree/a/link");

	CHECK_INT(g_mkdir_with_parents(deep, 0700), 0);
	CHECK_INT(mkdir(kept, 0700), 0);
	make_file("kept/file", "stays", 0600);
	make_file("tree/a/b/file", "goes", 0600);
	CHECK_INT(symlink(kept, link_in_tree), 0);
	CHECK_INT(fs_remove_tree(tree), 0);
	CHECK_INT(access(tree, F_OK), -1);
	CHECK_INT((int64_t)fs_tree_bytes(kept), 5);
	CHECK_INT(fs_remove_tree(tree), 0);
}

static void test_tree_bytes(void)
{
	g_autofree char *tree = in_root("bytes"), *sub = in_root("bytes/sub"),
			*none = in_root("none");

	CHECK_INT(g_mkdir_with_parents(sub, 0700), 0);
	make_file("bytes/one", "123", 0600);
	make_file("bytes/sub/two", "45678", 0600);
	CHECK_INT((int64_t)fs_tree_bytes(tree), 8);
	CHECK_INT((int64_t)fs_tree_bytes(none), 0);
	CHECK(fs_free_bytes(root) > 0);
	CHECK(fs_free_bytes(none) == UINT64_MAX);
}

static void test_find_program(void)
{
	g_autofree char *bin = in_root("bin"), *search = NULL, *path = NULL,
			*want = in_root("bin/tool");
	g_autofree char *plain = in_root("bin/plain");

	CHECK_INT(mkdir(bin, 0700), 0);
	make_file("bin/tool", "#!/bin/sh\n", 0755);
	make_file("bin/plain", "text", 0644);
	search = g_strdup_printf("/no/such/folder:%s", bin);
	setenv("PATH", search, 1);
	CHECK_INT(fs_find_program("tool", &path), 0);
	CHECK_STR(path, want);
	g_clear_pointer(&path, g_free);
	CHECK_INT(fs_find_program("absent", &path), -ENOENT);
	CHECK_INT(fs_find_program("", &path), -ENOENT);
	CHECK_INT(fs_find_program("plain", &path), -EACCES);
	CHECK_INT(fs_find_program(plain, &path), -EACCES);
	CHECK_INT(fs_find_program(bin, &path), -EACCES);
	CHECK_INT(fs_find_program(want, &path), 0);
	CHECK_STR(path, want);
}

int main(void)
{
	root = temp_dir_make(NULL, "test_fs");
	CASE(test_write_atomic, "a file is replaced as a whole");
	CASE(test_remove_tree, "a tree is removed, what its links point to is not");
	CASE(test_tree_bytes, "sizes of a tree add up");
	CASE(test_find_program, "programs are found as execvp finds them");
	return CHECK_DONE();
}
