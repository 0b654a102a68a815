/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd takes PEM texts and says nothing useful when they do not fit, and then only while it
 * starts: GnuTLS looks at them here first.
 */
#include "common/http_tls.h"

#include <errno.h>
#include <glib.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Nobody has a longer chain; a mistyped name may be anything. */
#define MAX_FILE_BYTES (1u << 20)

const char http_tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE";

static int read_file(const char *option, const char *path, char **text_out, char **why_out)
{
	g_autoptr(GError) error = NULL;
	struct stat st;
	int err = stat(path, &st) < 0 ? -errno : 0;

	if (!err && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		err = -EINVAL;
	if (err) {
		*why_out = g_strdup_printf("%s %s: cannot be read: %s", option, path,
			err == -EINVAL ? "it is no file" : strerror(-err));
		return err;
	}
	if (st.st_size > MAX_FILE_BYTES) {
		*why_out = g_strdup_printf(
			"%s %s: expected a PEM file, but it is larger than 1 MiB", option, path);
		return -EINVAL;
	}
	if (!g_file_get_contents(path, text_out, NULL, &error)) {
		*why_out = g_strdup_printf(
			"%s %s: cannot be read: %s", option, path, g_strerror(errno ? errno : EIO));
		return -EIO;
	}
	return 0;
}

/* The sentence for a certificate that no client accepts today; NULL: it is fine. */
static char *check_dates(const char *path, const gnutls_datum_t *pem)
{
	gnutls_x509_crt_t crt;
	time_t now = time(NULL), from, until;
	char *why = NULL;

	if (gnutls_x509_crt_init(&crt) < 0)
		return NULL;
	if (gnutls_x509_crt_import(crt, pem, GNUTLS_X509_FMT_PEM) == 0) {
		from = gnutls_x509_crt_get_activation_time(crt);
		until = gnutls_x509_crt_get_expiration_time(crt);
		if (until != (time_t)-1 && until < now) {
			g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc(until);
			g_autofree char *day = date ? g_date_time_format(date, "%F") : NULL;

			why = g_strdup_printf("--tls-cert %s: the certificate expired on %s; "
					      "renew it",
				path, day ? day : "a past day");
		} else if (from != (time_t)-1 && from > now) {
			why = g_strdup_printf("--tls-cert %s: the certificate is not valid yet; "
					      "is this machine's clock right?",
				path);
		}
	}
	gnutls_x509_crt_deinit(crt);
	return why;
}

static char *check_pair(const char *cert_path, const char *key_path, const struct http_tls *tls)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_datum_t cert = { (unsigned char *)tls->cert, (unsigned)strlen(tls->cert) };
	gnutls_datum_t key = { (unsigned char *)tls->key, (unsigned)strlen(tls->key) };
	char *why = NULL;
	int rc;

	if (!strstr(tls->cert, "-----BEGIN CERTIFICATE-----"))
		return g_strdup_printf("--tls-cert %s: there is no certificate in it; expected a "
				       "PEM file that begins with -----BEGIN CERTIFICATE-----",
			cert_path);
	if (!strstr(tls->key, "PRIVATE KEY-----"))
		return g_strdup_printf("--tls-key %s: there is no private key in it; expected a "
				       "PEM file that begins with -----BEGIN PRIVATE KEY-----",
			key_path);
	if (strstr(tls->key, "ENCRYPTED"))
		return g_strdup_printf("--tls-key %s: the key is encrypted, and nobody can type "
				       "its passphrase here; decrypt it with: openssl pkey",
			key_path);
	rc = gnutls_certificate_allocate_credentials(&credentials);
	if (rc < 0)
		return g_strdup_printf("GnuTLS failed: %s", gnutls_strerror(rc));
	rc = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		why = g_strdup_printf("--tls-key %s: this is not the key of the certificate in %s",
			key_path, cert_path);
	else if (rc < 0)
		why = g_strdup_printf("--tls-cert %s, --tls-key %s: cannot be used: %s", cert_path,
			key_path, gnutls_strerror(rc));
	gnutls_certificate_free_credentials(credentials);
	return why ? why : check_dates(cert_path, &cert);
}

int http_tls_load(
	const char *cert_path, const char *key_path, struct http_tls *tls_out, char **why_out)
{
	struct http_tls tls = { 0 };
	int err = read_file("--tls-cert", cert_path, &tls.cert, why_out);

	if (!err)
		err = read_file("--tls-key", key_path, &tls.key, why_out);
	if (!err) {
		*why_out = check_pair(cert_path, key_path, &tls);
		err = *why_out ? -EINVAL : 0;
	}
	if (err) {
		http_tls_fini(&tls);
		return err;
	}
	*tls_out = tls;
	return 0;
}

void http_tls_fini(struct http_tls *tls)
{
	if (tls->key)
		explicit_bzero(tls->key, strlen(tls->key));
	g_clear_pointer(&tls->key, g_free);
	g_clear_pointer(&tls->cert, g_free);
}
