/* SPDX-License-Identifier: MIT */
/* Who may ask the recorder, and what it keeps to itself: token, TLS, mode, redaction. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/http_tls.h"
#include "recorder/options.h"

#define ACCESS_ENV_TOKEN "FLIGHTREC_TOKEN"

struct access {
	char *token;	     /* owned; NULL: none needed */
	struct http_tls tls; /* empty: plain HTTP */
	bool is_served;	     /* false: no listener at all */
	char *note;	     /* owned; a sentence that the user should read; NULL: none */
};

/*
 * Reads the token (the command line's file, else the environment, else the settings file) and the certificate, and decides
 * whether anything is served. Returns 0, or -errno with one sentence in *why_out (g_free).
 */
int access_load(const struct options *options, struct access *access_out, char **why_out);

/* Overwrites the secrets and frees. A struct of zeros is fine. */
void access_fini(struct access *access);

/*
 * The program's command line as a shell would read it, or only the program's name when arguments are not to be shown;
 * to g_free().
 */
char *access_command(const struct options *options);

/*
 * Whether a process may use the socket of the programmatic interface: the recorder's user and root may, and what the
 * recorder started, whoever it has become. `rundir` holds the blackboxes.
 */
bool access_is_ours(pid_t pid, uid_t uid, const char *rundir);
