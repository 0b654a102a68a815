/* SPDX-License-Identifier: MIT */
/*
 * Who may ask. A token proves it; without one, the server trusts whoever can connect, except that a web page anywhere
 * can make the user's browser send requests here. Browsers say so in Origin and Sec-Fetch-Site, and a name
 * that was made to point here (DNS rebinding) stands in Host.
 */
#include <string.h>
#include <sys/socket.h>

#include "common/http_internal.h"

#define SCHEME "bearer "

static void digest_of(const char *text, uint8_t digest_out[HTTP_DIGEST_BYTES])
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	gsize n = HTTP_DIGEST_BYTES;

	g_checksum_update(sum, (const guchar *)text, -1);
	g_checksum_get_digest(sum, digest_out, &n);
	g_checksum_free(sum);
}

void http_access_set(struct http_server *server, const char *bearer)
{
	server->has_token = bearer != NULL;
	if (bearer)
		digest_of(bearer, server->token_digest);
}

/* Takes equally long whatever the difference. Of digests, so that lengths do not show either. */
static bool is_same(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t difference = 0;

	for (size_t i = 0; i < HTTP_DIGEST_BYTES; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

bool http_access_has_token(const struct http_request *request)
{
	const struct http_server *server = request->server;
	const char *value = http_request_header(request, "Authorization");
	uint8_t digest[HTTP_DIGEST_BYTES];
	bool is_bearer;

	/* The mode of a unix socket's file decides. */
	if (!server->has_token || server->sock.unix_path)
		return true;
	if (request->route && (request->route->flags & HTTP_OPEN))
		return true;
	is_bearer = value && g_ascii_strncasecmp(value, SCHEME, strlen(SCHEME)) == 0;
	if (is_bearer) {
		value += strlen(SCHEME);
		value += strspn(value, " ");
	}
	digest_of(is_bearer ? value : "", digest);
	return is_same(digest, server->token_digest) && is_bearer;
}

static bool peer_of(const struct http_request *request, struct ucred *peer_out)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	socklen_t n = sizeof(*peer_out);

	return request->server->sock.unix_path && info &&
	       getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, peer_out, &n) == 0;
}

pid_t http_request_peer(const struct http_request *request)
{
	struct ucred peer;

	return peer_of(request, &peer) ? peer.pid : 0;
}

bool http_access_is_peer(const struct http_request *request)
{
	const struct http_server_options *options = &request->server->options;
	struct ucred peer;

	if (!options->is_peer_allowed || !request->server->sock.unix_path)
		return true;
	return peer_of(request, &peer) &&
	       options->is_peer_allowed(peer.pid, peer.uid, options->user);
}

/* True when `host` is `name`, or `name` and a port. */
static bool is_host(const char *host, const char *name)
{
	size_t n = strlen(name);

	if (g_ascii_strncasecmp(host, name, n) != 0)
		return false;
	host += n;
	return *host == '\0' ||
	       (*host == ':' && strspn(host + 1, "0123456789") == strlen(host + 1));
}

bool http_access_is_own_host(const struct http_request *request)
{
	const struct http_socket *sock = &request->server->sock;
	const char *host = http_request_header(request, "Host");

	/*
	 * A browser cannot reach a unix socket, and clients put anything into Host there. The names of an address that
	 * others reach are not known here; it has a token, which a browser does not send by itself.
	 */
	if (sock->unix_path || sock->is_remote || !host)
		return true;
	return is_host(host, "localhost") || is_host(host, "127.0.0.1") || is_host(host, "[::1]") ||
	       is_host(host, sock->host);
}

bool http_access_is_cross_site(const struct http_request *request)
{
	const char *scheme = request->server->tls ? "https://" : "http://";
	const char *host = http_request_header(request, "Host");
	const char *origin = http_request_header(request, "Origin");
	const char *site = http_request_header(request, "Sec-Fetch-Site");

	if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return true;
	if (!origin)
		return false;
	if (request->server->sock.unix_path || !host || !g_str_has_prefix(origin, scheme))
		return true;
	/* Same origin means the same port too. */
	return g_ascii_strcasecmp(origin + strlen(scheme), host) != 0;
}
