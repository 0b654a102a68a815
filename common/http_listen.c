/* SPDX-License-Identifier: MIT */
/*
 * Without a token the recorder only listens where the machine itself can reach it: loopback addresses, or a
 * socket file whose permissions decide.
 */
#include "common/http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/http.h"
#include "common/units.h"

#define LISTEN_BACKLOG 64

#define EXPECTED "expected 127.0.0.1:PORT, [::1]:PORT, localhost:PORT or unix:PATH"

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static bool is_loopback(const union any_address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

/* Splits "HOST:PORT" and fills the address; the length, or 0 with a sentence. */
static socklen_t tcp_address(const char *text, union any_address *out, char **why_out)
{
	const char *colon = strrchr(text, ':');
	g_autofree char *host = NULL;
	uint64_t port;
	size_t n;

	if (!colon || units_count_parse(colon + 1, 65535, &port) < 0) {
		*why_out = g_strdup_printf("--listen %s: " EXPECTED, text);
		return 0;
	}
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && colon[-1] == ']')
		host = g_strndup(text + 1, n - 2);
	else
		host = g_strndup(text, n);
	memset(out, 0, sizeof(*out));
	if (*host == '\0' || strcmp(host, "localhost") == 0) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1 && *text == '[') {
		out->v6.sin6_family = AF_INET6;
	} else {
		*why_out = g_strdup_printf("--listen %s: " EXPECTED, text);
		return 0;
	}
	if (out->any.sa_family == AF_INET) {
		out->v4.sin_port = htons((uint16_t)port);
		return sizeof(out->v4);
	}
	out->v6.sin6_port = htons((uint16_t)port);
	return sizeof(out->v6);
}

static int tcp_open(const char *text, const struct http_listen_options *options,
	struct http_socket *out, char **why_out)
{
	union any_address address;
	socklen_t n = tcp_address(text, &address, why_out);
	char host[INET6_ADDRSTRLEN];
	bool is_v6;
	int one = 1, fd, err;

	if (n == 0)
		return -EINVAL;
	if (!is_loopback(&address) && !options->is_remote_allowed) {
		*why_out =
			g_strdup_printf("--listen %s: other machines can reach that address, so "
					"it needs a bearer token: give one with --token-file "
					"FILE or in FLIGHTREC_TOKEN, or listen on 127.0.0.1:PORT",
				text);
		return -EPERM;
	}
	is_v6 = address.any.sa_family == AF_INET6;
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err = -errno;
		*why_out = g_strdup_printf("Cannot listen on %s: %s", text, strerror(-err));
		return err;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &address.any, n) < 0 || listen(fd, LISTEN_BACKLOG) < 0 ||
		getsockname(fd, &address.any, &n) < 0) {
		err = -errno;
		if (err == -EADDRINUSE)
			*why_out =
				g_strdup_printf("Cannot listen on %s: the port is in use; choose "
						"another with --listen, or port 0 for any free one",
					text);
		else
			*why_out = g_strdup_printf("Cannot listen on %s: %s", text, strerror(-err));
		close(fd);
		return err;
	}
	inet_ntop(address.any.sa_family,
		is_v6 ? (void *)&address.v6.sin6_addr : (void *)&address.v4.sin_addr, host,
		sizeof(host));
	out->fd = fd;
	out->port = ntohs(is_v6 ? address.v6.sin6_port : address.v4.sin_port);
	out->unix_path = NULL;
	out->host = g_strdup_printf(is_v6 ? "[%s]" : "%s", host);
	out->is_remote = !is_loopback(&address);
	out->url = g_strdup_printf(
		"%s://%s:%u/", options->tls ? "https" : "http", out->host, out->port);
	return 0;
}

/* True when the file is a socket that nobody listens on any more. */
static bool is_dead_socket(const char *path, const union any_address *address)
{
	struct stat st;
	bool is_dead;
	int fd;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	is_dead = connect(fd, &address->any, sizeof(address->local)) < 0 && errno == ECONNREFUSED;
	close(fd);
	return is_dead;
}

static int unix_open(const char *path, const struct http_listen_options *options,
	struct http_socket *out, char **why_out)
{
	mode_t mode = options->unix_mode ? options->unix_mode : 0600;
	union any_address address = { .local = { .sun_family = AF_UNIX } };
	int fd, err;

	if (*path == '\0' || strlen(path) >= sizeof(address.local.sun_path)) {
		*why_out =
			g_strdup_printf("--listen unix:%s: expected a path of 1 to %zu characters",
				path, sizeof(address.local.sun_path) - 1);
		return -EINVAL;
	}
	memcpy(address.local.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err = -errno;
		goto fail;
	}
	if (is_dead_socket(path, &address))
		unlink(path);
	if (bind(fd, &address.any, sizeof(address.local)) < 0) {
		err = -errno;
		goto fail;
	}
	/* Exactly these may connect: the umask usually leaves more. */
	if (chmod(path, mode) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		err = -errno;
		unlink(path);
		goto fail;
	}
	out->fd = fd;
	out->port = 0;
	out->is_remote = false;
	out->unix_path = g_canonicalize_filename(path, NULL);
	out->host = NULL;
	out->url = g_strdup_printf("unix:%s", out->unix_path);
	return 0;
fail:
	*why_out = g_strdup_printf("Cannot listen on unix:%s: %s", path,
		err == -EADDRINUSE ? "a file of that name is in use" : strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

int http_socket_open(const char *address, const struct http_listen_options *options,
	struct http_socket *socket_out, char **why_out)
{
	if (g_str_has_prefix(address, "unix:"))
		return unix_open(address + 5, options, socket_out, why_out);
	return tcp_open(address, options, socket_out, why_out);
}

void http_socket_close(struct http_socket *sock)
{
	if (sock->fd >= 0)
		close(sock->fd);
	if (sock->unix_path)
		unlink(sock->unix_path);
	g_free(sock->unix_path);
	g_free(sock->url);
	g_free(sock->host);
}
