/* SPDX-License-Identifier: MIT */
/* Certificate and key of a server, read and checked before it starts. */
#pragma once

#include <stdbool.h>

struct http_tls {
	char *cert, *key; /* owned; PEM */
};

/*
 * Reads both files and checks that they hold PEM, belong together and are valid today. Returns 0, or -EINVAL or another
 * -errno with one sentence in *why_out (g_free) that begins with the option's name.
 */
int http_tls_load(
	const char *cert_path, const char *key_path, struct http_tls *tls_out, char **why_out);

/* Overwrites the key and frees both. A struct of zeros is fine. */
void http_tls_fini(struct http_tls *tls);

/* What clients may use, in GnuTLS's words: TLS 1.2 and 1.3. */
extern const char http_tls_priorities[];
