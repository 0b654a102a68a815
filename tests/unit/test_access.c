/* SPDX-License-Identifier: MIT */
#include "recorder/access.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "temp_dir.h"
#include "recorder/options_table.h"

static const char *folder; /* of this test's files */

static char *path_of(const char *name)
{
	return g_build_filename(folder, name, NULL);
}

static char *write_file(const char *name, const char *text, mode_t mode)
{
	char *path = path_of(name);

	CHECK(g_file_set_contents(path, text, -1, NULL));
	CHECK_INT(chmod(path, mode), 0);
	return path;
}

/* Loads; CHECKs that it succeeds with this token (NULL: none). */
static void check_token(const struct options *options, const char *want)
{
	g_autofree char *why = NULL;
	struct access access = { 0 };

	CHECK_INT(access_load(options, &access, &why), 0);
	if (want)
		CHECK_STR(access.token, want);
	else
		CHECK(access.token == NULL);
	access_fini(&access);
	CHECK(access.token == NULL);
}

static void check_refused(const struct options *options, const char *words)
{
	g_autofree char *why = NULL;
	struct access access = { 0 };

	CHECK(access_load(options, &access, &why) < 0);
	CHECK(why && strstr(why, words) && !strchr(why, '\n'));
	if (!why || !strstr(why, words))
		printf("# want %s in: %s\n", words, why ? why : "(nothing)");
}

static void mark_given(struct options *options, const char *name)
{
	options->is_given |= 1ull << (option_find_key(name) - option_rows);
}

static void test_sources(void)
{
	g_autofree char *path = write_file("token", "from-file\n", 0600);
	struct options options = { 0 };

	check_token(&options, NULL);
	options.bearer = "from-config";
	check_token(&options, "from-config");
	g_setenv(ACCESS_ENV_TOKEN, "from-env", TRUE);
	check_token(&options, "from-env");
	options.token_file = path;
	mark_given(&options, "token-file");
	check_token(&options, "from-file");
	/* The settings file's file comes after the environment. */
	options.is_given = 0;
	options.bearer = NULL;
	check_token(&options, "from-env");
	g_unsetenv(ACCESS_ENV_TOKEN);
	check_token(&options, "from-file");
	options.bearer = "from-config";
	options.config = "f.yaml";
	check_refused(&options, "two tokens");
}

static void test_bad_tokens(void)
{
	g_autofree char *empty = write_file("empty", "\n", 0600);
	g_autofree char *spaced = write_file("spaced", "two words\n", 0600);
	g_autofree char *odd = write_file("odd", "na\xc3\xafve\n", 0600);
	g_autofree char *missing = path_of("missing");
	g_autofree char *text = g_strnfill(5000, 'x'), *longer = write_file("long", text, 0600);
	struct options options = { .token_file = empty };

	check_refused(&options, "empty");
	options.token_file = spaced;
	check_refused(&options, "characters");
	options.token_file = odd;
	check_refused(&options, "characters");
	options.token_file = missing;
	check_refused(&options, "No such file");
	options.token_file = folder;
	check_refused(&options, "directory");
	options.token_file = longer;
	check_refused(&options, "longer");
	options.token_file = NULL;
	g_setenv(ACCESS_ENV_TOKEN, "", TRUE);
	check_refused(&options, ACCESS_ENV_TOKEN);
	g_unsetenv(ACCESS_ENV_TOKEN);
}

static void test_readable_token(void)
{
	g_autofree char *path = write_file("open", "secret", 0644);
	struct options options = { .token_file = path };
	struct access access = { 0 };
	g_autofree char *why = NULL;

	CHECK_INT(access_load(&options, &access, &why), 0);
	CHECK(access.note && strstr(access.note, "chmod 600") && !strstr(access.note, "secret"));
	access_fini(&access);
}

static bool is_served(uint32_t mode, uint32_t enable_pprof)
{
	struct options options = { .mode = mode, .enable_pprof = enable_pprof };
	struct access access = { 0 };
	g_autofree char *why = NULL;
	bool result;

	CHECK_INT(access_load(&options, &access, &why), 0);
	result = access.is_served;
	access_fini(&access);
	return result;
}

static void test_modes(void)
{
	CHECK(is_served(OPTIONS_DEV, OPTIONS_UNSET));
	CHECK(is_served(OPTIONS_DEV, OPTIONS_YES));
	CHECK(!is_served(OPTIONS_DEV, OPTIONS_NO));
	CHECK(!is_served(OPTIONS_PROD, OPTIONS_UNSET));
	CHECK(is_served(OPTIONS_PROD, OPTIONS_YES));
	CHECK(!is_served(OPTIONS_PROD, OPTIONS_NO));
}

static void test_tls_files(void)
{
	g_autofree char *text = write_file("text", "hello\n", 0600);
	g_autofree char *missing = path_of("missing");
	struct options options = { .tls_cert = missing, .tls_key = text };

	check_refused(&options, "No such file");
	options.tls_cert = text;
	check_refused(&options, "no certificate in it");
	options.tls_cert = folder;
	check_refused(&options, "no file");
}

static void test_command(void)
{
	char *argv[] = { (char[]){ "my prog" }, (char[]){ "--password=x" }, NULL };
	struct options options = { .argv = argv };
	g_autofree char *all = access_command(&options);
	g_autofree char *some = NULL;

	options.is_cmdline_redacted = true;
	some = access_command(&options);
	CHECK_STR(all, "'my prog' --password=x");
	CHECK_STR(some, "'my prog'");
}

static void test_peers(void)
{
	int status;
	pid_t pid;

	CHECK(access_is_ours(1, 0, folder));
	CHECK(access_is_ours(1, geteuid(), folder));
	/* Another user, who is not below us. */
	CHECK(!access_is_ours(1, 4242, folder));
	CHECK(!access_is_ours(getppid(), 4242, folder));
	CHECK(!access_is_ours(0, 4242, folder));
	CHECK(!access_is_ours(-1, 4242, folder));
	/* A grandchild is ours whoever it has become. */
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	CHECK(access_is_ours(pid, 4242, folder));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	CHECK(!access_is_ours(pid, 4242, folder));
}

int main(void)
{
	g_unsetenv(ACCESS_ENV_TOKEN);
	folder = temp_dir_make(NULL, "test_access");
	CASE(test_sources, "the token comes from the command line, the environment, the settings");
	CASE(test_bad_tokens, "what cannot be a token is refused with a sentence");
	CASE(test_readable_token, "a token file that everybody can read is told");
	CASE(test_modes, "prod serves nothing unless it is switched on");
	CASE(test_tls_files, "files that are no certificate are refused");
	CASE(test_command, "arguments can be kept back");
	CASE(test_peers, "the program's socket is for its own processes");
	return CHECK_DONE();
}
