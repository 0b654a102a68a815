/* SPDX-License-Identifier: MIT */
#include "recorder/access.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/blackbox_read.h"
#include "recorder/pack.h"

#define MAX_TOKEN 4096
/* A process deeper below us than this is not looked for. */
#define MAX_ANCESTORS 256

/* NULL, or what is wrong with a token. What cannot stand in a header would never match. */
static const char *token_fault(const char *token)
{
	if (*token == '\0')
		return "it is empty";
	if (strlen(token) > MAX_TOKEN)
		return "it is longer than 4096 characters";
	for (const char *p = token; *p; p++) {
		if (!g_ascii_isgraph(*p))
			return "it has characters besides letters, digits and punctuation of ASCII";
	}
	return NULL;
}

static int take_token(const char *source, const char *text, struct access *access, char **why_out)
{
	g_autofree char *token = g_strdup(text);
	const char *fault;

	/* Files end with a newline. */
	g_strstrip(token);
	fault = token_fault(token);
	if (!fault) {
		access->token = g_steal_pointer(&token);
		return 0;
	}
	explicit_bzero(token, strlen(token));
	*why_out = g_strdup_printf("%s: this is no token: %s", source, fault);
	return -EINVAL;
}

static int token_from_file(const char *path, struct access *access, char **why_out)
{
	g_autofree char *text = NULL, *source = g_strdup_printf("--token-file %s", path);
	struct stat st;
	gsize n = 0;
	int err = 0;

	if (stat(path, &st) < 0)
		err = -errno;
	else if (S_ISDIR(st.st_mode))
		err = -EISDIR;
	else if (st.st_size > 2 * MAX_TOKEN)
		err = -EFBIG;
	errno = 0;
	if (!err && !g_file_get_contents(path, &text, &n, NULL))
		err = errno ? -errno : -EIO;
	if (err) {
		*why_out = g_strdup_printf("%s: cannot be read: %s", source, strerror(-err));
		return err;
	}
	err = take_token(source, text, access, why_out);
	explicit_bzero(text, n);
	if (!err && (st.st_mode & S_IROTH))
		access->note = g_strdup_printf("Every user of this machine can read the token in "
					       "%s; protect it with: chmod 600",
			path);
	return err;
}

static int load_token(const struct options *options, struct access *access, char **why_out)
{
	const char *variable = getenv(ACCESS_ENV_TOKEN);
	bool is_file_given = options_is_given(options, "token-file");

	if (options->token_file && options->bearer && !is_file_given) {
		*why_out = g_strdup_printf("%s: pprof.auth.file and pprof.auth.bearer are two "
					   "tokens; leave one of them out",
			options->config);
		return -EINVAL;
	}
	if (variable && !is_file_given)
		return take_token(ACCESS_ENV_TOKEN, variable, access, why_out);
	if (options->token_file)
		return token_from_file(options->token_file, access, why_out);
	if (options->bearer)
		return take_token("pprof.auth.bearer", options->bearer, access, why_out);
	return 0;
}

int access_load(const struct options *options, struct access *access_out, char **why_out)
{
	struct access access = { 0 };
	int err = 0;

	access.is_served = options->enable_pprof == OPTIONS_YES ||
			   (options->enable_pprof == OPTIONS_UNSET && options->mode == OPTIONS_DEV);
	if (access.is_served)
		err = load_token(options, &access, why_out);
	if (!err && access.is_served && options->tls_cert)
		err = http_tls_load(options->tls_cert, options->tls_key, &access.tls, why_out);
	if (err) {
		access_fini(&access);
		return err;
	}
	*access_out = access;
	return 0;
}

void access_fini(struct access *access)
{
	if (access->token)
		explicit_bzero(access->token, strlen(access->token));
	g_clear_pointer(&access->token, g_free);
	g_clear_pointer(&access->note, g_free);
	http_tls_fini(&access->tls);
}

char *access_command(const struct options *options)
{
	char *const name_only[] = { options->argv[0], NULL };

	return pack_command(options->is_cmdline_redacted ? name_only : options->argv);
}

/* The parent; 0: there is none, or the process is gone. */
static pid_t parent_of(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
	g_autofree char *text = NULL;
	const char *after_name;
	int parent = 0;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	/* "PID (NAME) STATE PARENT …"; the name may hold anything. */
	after_name = strrchr(text, ')');
	return after_name && sscanf(after_name, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool is_descendant(pid_t pid)
{
	for (int i = 0; i < MAX_ANCESTORS && pid > 1; i++) {
		if (pid == getpid())
			return true;
		pid = parent_of(pid);
	}
	return false;
}

/*
 * Everybody can put files into the folder of blackboxes when root records, so only one that is our user's own proves
 * something: a program that was started as root and has become somebody else since.
 */
static bool has_own_blackbox(pid_t pid, const char *rundir)
{
	g_autoptr(GArray) procs = blackbox_list(rundir);
	bool is_found = false;

	for (guint i = 0; i < procs->len && !is_found; i++) {
		struct blackbox *blackbox;
		struct stat st;

		if (blackbox_open_proc(rundir, g_array_index(procs, uint16_t, i), &blackbox) != 0)
			continue;
		is_found = (pid_t)blackbox->header.pid == pid && fstat(blackbox->fd, &st) == 0 &&
			   st.st_uid == geteuid() && blackbox_is_alive(blackbox);
		blackbox_close(blackbox);
	}
	return is_found;
}

bool access_is_ours(pid_t pid, uid_t uid, const char *rundir)
{
	if (uid == 0 || uid == geteuid())
		return true;
	/* A pid of 0 lives in a namespace that we do not see into. */
	return pid > 0 && (is_descendant(pid) || has_own_blackbox(pid, rundir));
}
