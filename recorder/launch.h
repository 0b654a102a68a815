/* SPDX-License-Identifier: MIT */
/* What the program is started with: the tracer's library and the environment. */
#pragma once

#include "recorder/program.h"
#include "recorder/runtime_dir.h"

/*
 * Finds libflightrec.so: FLIGHTREC_LIBRARY, else beside this executable as built (../lib) or as installed. Returns 0 and an
 * absolute path to g_free(), or -ENOENT and one sentence in *why_out.
 */
int launch_find_library(char **path_out, char **why_out);

/*
 * Our environment without the recorder's token, plus what the tracer needs: LD_PRELOAD with the library first and the
 * user's behind it, FLIGHTREC_DIR, and LTTNG_HOME as given (NULL: taken out): below FLIGHTREC_DIR it means that
 * no other daemon is to record the program. Free with g_strfreev(). `rundir` NULL: nothing is added.
 */
char **launch_environment(const struct program *program, const char *library,
	const struct runtime_dir *rundir, const char *lttng_home);
