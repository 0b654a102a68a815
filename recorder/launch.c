/* SPDX-License-Identifier: MIT */
#include "recorder/launch.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fs.h"
#include "recorder/access.h"

#define ENV_LIBRARY "FLIGHTREC_LIBRARY"

int launch_find_library(char **path_out, char **why_out)
{
	static const char *const places[] = {
		"../lib/libflightrec.so.0",
		"../lib/libflightrec.so",
		"../" FLIGHTREC_LIBDIR "/libflightrec.so.0",
		"../" FLIGHTREC_LIBDIR "/libflightrec.so",
	};
	const char *named = g_getenv(ENV_LIBRARY);
	g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *dir = exe ? g_path_get_dirname(exe) : NULL;

	if (named && *named) {
		if (access(named, R_OK) == 0) {
			*path_out = fs_absolute(named);
			return 0;
		}
		*why_out = g_strdup_printf(ENV_LIBRARY
			"=%s: cannot read the tracer's library there: %s",
			named, strerror(errno));
		return -ENOENT;
	}
	for (size_t i = 0; dir && i < G_N_ELEMENTS(places); i++) {
		g_autofree char *path = g_strdup_printf("%s/%s", dir, places[i]);

		if (access(path, R_OK) == 0) {
			*path_out = fs_absolute(path);
			return 0;
		}
	}
	*why_out = g_strdup_printf(
		"The tracer's library libflightrec.so is not beside %s; install it, or name "
		"it in " ENV_LIBRARY,
		exe ? exe : "trace-record");
	return -ENOENT;
}

char **launch_environment(const struct program *program, const char *library,
	const struct runtime_dir *rundir, const char *lttng_home)
{
	char **envp = g_get_environ();
	const char *users = g_environ_getenv(envp, "LD_PRELOAD");
	GString *preload;

	/* A secret of ours, and no business of the program and all that it starts. */
	envp = g_environ_unsetenv(envp, ACCESS_ENV_TOKEN);
	if (!rundir)
		return envp;
	preload = g_string_new(NULL);
	if (program->preload)
		g_string_append_printf(preload, "%s:", program->preload);
	g_string_append(preload, library);
	if (users && *users)
		g_string_append_printf(preload, ":%s", users);
	envp = g_environ_setenv(envp, "LD_PRELOAD", preload->str, TRUE);
	envp = g_environ_setenv(envp, FR_ENV_DIR, rundir->dir.path, TRUE);
	envp = lttng_home ? g_environ_setenv(envp, "LTTNG_HOME", lttng_home, TRUE)
			  : g_environ_unsetenv(envp, "LTTNG_HOME");
	/* Saves 0.7 ms per process: the blackbox lists the modules. */
	envp = g_environ_setenv(envp, "LTTNG_UST_WITHOUT_BADDR_STATEDUMP", "1", TRUE);
	g_string_free(preload, TRUE);
	return envp;
}
