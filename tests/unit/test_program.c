/* SPDX-License-Identifier: MIT */
#include "recorder/program.h"

#include <glib.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "temp_dir.h"

static const char *root;

static char *make(const char *name, const void *data, size_t n, mode_t mode)
{
	char *path = g_strdup_printf("%s/%s", root, name);

	CHECK(g_file_set_contents(path, data, (gssize)n, NULL));
	CHECK_INT(chmod(path, mode), 0);
	return path;
}

static void test_dynamic(void)
{
	struct program program = { 0 };
	char *why = NULL;

	CHECK_INT(program_inspect("/bin/true", &program, &why), 0);
	CHECK_INT(program.kind, PROGRAM_TRACED);
	CHECK_STR(program.image, "/bin/true");
	CHECK(program.why == NULL);
	program_fini(&program);
}

static void test_missing(void)
{
	struct program program = { 0 };
	g_autofree char *plain = make("plain", "text", 4, 0644);
	char *why = NULL;

	CHECK_INT(program_inspect("no-such-program-here", &program, &why), 127);
	CHECK(why && strstr(why, "no-such-program-here"));
	g_clear_pointer(&why, g_free);
	CHECK_INT(program_inspect("/no/such/file", &program, &why), 127);
	g_clear_pointer(&why, g_free);
	CHECK_INT(program_inspect(plain, &program, &why), 126);
	CHECK(why && strstr(why, plain));
	g_clear_pointer(&why, g_free);
	CHECK_INT(program_inspect(root, &program, &why), 126);
	g_free(why);
}

static void test_script(void)
{
	static const char inner[] = "#! /bin/sh -e\nexit 0\n";
	g_autofree char *first = make("first", inner, strlen(inner), 0755);
	g_autofree char *outer = g_strdup_printf("#!%s\n", first);
	g_autofree char *second = make("second", outer, strlen(outer), 0755);
	struct program program = { 0 };
	char *why = NULL;

	CHECK_INT(program_inspect(second, &program, &why), 0);
	CHECK_STR(program.path, second);
	CHECK_STR(program.image, "/bin/sh");
	CHECK_INT(program.kind, PROGRAM_TRACED);
	program_fini(&program);
}

/* A copy of /bin/true with one byte changed. */
static char *patched(const char *name, size_t offset, char value)
{
	char *data = NULL;
	gsize n = 0;
	char *path;

	CHECK(g_file_get_contents("/bin/true", &data, &n, NULL));
	CHECK(n > offset);
	data[offset] = value;
	path = make(name, data, n, 0755);
	g_free(data);
	return path;
}

static void check_kind(const char *path, enum program_kind kind, const char *word)
{
	struct program program = { 0 };
	char *why = NULL;

	CHECK_INT(program_inspect(path, &program, &why), 0);
	CHECK_INT(program.kind, kind);
	CHECK(program.why && strstr(program.why, word));
	program_fini(&program);
}

static void test_other_machine(void)
{
	/* e_machine is at offset 18 of every ELF file. */
	g_autofree char *path = patched("foreign", 18, 40);

	check_kind(path, PROGRAM_BARE, "another kind of processor");
}

static void test_other_loader(void)
{
	g_autofree char *data = NULL;
	g_autofree char *path = NULL;
	gsize n = 0;
	char *loader;

	CHECK(g_file_get_contents("/bin/true", &data, &n, NULL));
	loader = memmem(data, n, "ld-linux", 8);
	CHECK(loader != NULL);
	if (loader)
		memcpy(loader, "ld-musl-", 8);
	path = make("musl", data, n, 0755);
	check_kind(path, PROGRAM_BARE, "another C library");
}

static void test_set_user_id(void)
{
	g_autofree char *path = patched("suid", 15, 0);

	if (getuid() != 0) {
		printf("# needs root to give a file away; only the plain case is checked\n");
		CHECK_INT(chmod(path, 04755), 0);
		return;
	}
	CHECK_INT(chown(path, 65534, 65534), 0);
	CHECK_INT(chmod(path, 04755), 0);
	check_kind(path, PROGRAM_BARE, "another user's rights");
}

static void test_damaged(void)
{
	/* A header that claims sections far outside the file must not confuse us. */
	static const char elf[] = "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\76\0\1\0\0\0";
	char data[64];
	g_autofree char *path = NULL;
	struct program program = { 0 };
	char *why = NULL;

	memset(data, 0x7f, sizeof(data));
	memcpy(data, elf, sizeof(elf) - 1);
	path = make("damaged", data, sizeof(data), 0755);
	CHECK_INT(program_inspect(path, &program, &why), 0);
	program_fini(&program);
	g_free(path);
	path = make("short", data, 20, 0755);
	CHECK_INT(program_inspect(path, &program, &why), 0);
	program_fini(&program);
}

int main(void)
{
	root = temp_dir_make(NULL, "test_program");
	CASE(test_dynamic, "an ordinary program is traced");
	CASE(test_missing, "what cannot be run gets a shell's exit status and a sentence");
	CASE(test_script, "scripts are followed to their interpreter");
	CASE(test_other_machine, "a program for another processor runs untraced");
	CASE(test_other_loader, "a program of another C library runs untraced");
	CASE(test_set_user_id, "a set-user-id program runs untraced");
	CASE(test_damaged, "a damaged ELF file is left to exec to judge");
	return CHECK_DONE();
}
