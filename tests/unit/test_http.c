/* SPDX-License-Identifier: MIT */
/* The server over real sockets. */
#include "common/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "temp_dir.h"

static struct http_server *server;
static const char *dir; /* of its sockets */
static volatile int was_gone;

static void on_echo(struct http_request *request, void *user)
{
	const char *value = http_request_query(request, "value");

	http_reply_header(request, "X-User", user);
	http_reply(request, 200, "text/plain", value ? value : "(none)",
		strlen(value ? value : "(none)"));
}

/* Waits until its client leaves. */
static void on_wait(struct http_request *request, void *user)
{
	for (int i = 0; i < 500 && !http_request_is_gone(request); i++)
		g_usleep(10000);
	was_gone = http_request_is_gone(request);
	http_reply(request, 200, "text/plain", "", 0);
}

/* Takes longer than the idle limit of the connection. */
static void on_slow(struct http_request *request, void *user)
{
	g_usleep(2500000);
	http_reply(request, 200, "text/plain", "done", 4);
}

/* Answers with the body it got. */
static void on_body(struct http_request *request, void *user)
{
	size_t n;
	const char *body = http_request_body(request, &n);

	CHECK(body[n] == '\0');
	http_reply(request, 200, "text/plain", body, n);
}

static void on_raw_query(struct http_request *request, void *user)
{
	static const char *const known[] = { "a", "b", NULL };
	const char *unknown = http_request_unknown_query(request, known);
	g_autofree char *text = g_strdup_printf(
		"[%s] unknown [%s]", http_request_raw_query(request), unknown ? unknown : "");

	http_reply(request, 200, "text/plain", text, strlen(text));
}

static const struct http_route routes[] = {
	{ "/body", HTTP_GET | HTTP_POST, 0, on_body },
	{ "/raw", HTTP_GET, 0, on_raw_query },
	{ "/open", HTTP_GET, HTTP_OPEN, on_echo },
	{ "/echo", HTTP_GET | HTTP_HEAD, 0, on_echo },
	{ "/wait", HTTP_GET, 0, on_wait },
	{ "/slow", HTTP_GET, 0, on_slow },
	{ "/guarded", HTTP_GET, HTTP_GUARDED, on_echo },
	{ "/tree/", HTTP_GET, HTTP_PREFIX, on_echo },
	{ 0 },
};

static int connect_port(unsigned port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return fd;
}

static int connect_tcp(void)
{
	return connect_port(http_server_port(server));
}

/* Sends a request and returns the whole answer, to g_free(). Closes fd. */
static char *ask_at(int fd, const char *text)
{
	GString *answer = g_string_new(NULL);
	char buffer[4096];
	ssize_t n;

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		g_string_append_len(answer, buffer, n);
	close(fd);
	return g_string_free(answer, FALSE);
}

static char *ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *ask(const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	return ask_at(connect_tcp(), text);
}

#define END "Connection: close\r\n\r\n"

static void check_answer(char *answer, const char *status, const char *text)
{
	CHECK(g_str_has_prefix(answer, status));
	CHECK(strstr(answer, text) != NULL);
	if (!g_str_has_prefix(answer, status) || !strstr(answer, text))
		printf("# got: %s\n", answer);
	g_free(answer);
}

static void test_routes(void)
{
	check_answer(ask("GET /echo?value=a%%20b HTTP/1.1\r\nHost: localhost\r\n" END),
		"HTTP/1.1 200", "a b");
	check_answer(
		ask("GET /echo HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 200", "(none)");
	check_answer(
		ask("GET /echo HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 200", "X-User: me");
	check_answer(
		ask("GET /tree/a/b HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 200", "(none)");
	check_answer(ask("GET /nosuch HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 404",
		"no such page");
	check_answer(ask("GET /echo/ HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 404",
		"no such page");
}

static void test_methods(void)
{
	char *head = ask("HEAD /echo?value=body HTTP/1.1\r\nHost: localhost\r\n" END);

	CHECK(g_str_has_prefix(head, "HTTP/1.1 200"));
	CHECK(strstr(head, "Content-Length: 4\r\n") != NULL);
	CHECK(g_str_has_suffix(head, "\r\n\r\n"));
	g_free(head);
	check_answer(ask("DELETE /echo HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 405",
		"Allow: GET, HEAD\r\n");
	check_answer(ask("HEAD /wait HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 405",
		"Allow: GET\r\n");
	check_answer(
		ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n" END "xy"),
		"HTTP/1.1 405", "Allow");
}

static void check_guard(const char *headers, const char *status)
{
	char *answer = ask("GET /guarded HTTP/1.1\r\n%s" END, headers);

	CHECK(g_str_has_prefix(answer, status));
	if (!g_str_has_prefix(answer, status))
		printf("# for %s got: %.60s\n", headers, answer);
	g_free(answer);
}

static void test_guard(void)
{
	g_autofree char *own =
		g_strdup_printf("Host: 127.0.0.1:%u\r\nOrigin: http://127.0.0.1:%u\r\n",
			http_server_port(server), http_server_port(server));
	g_autofree char *other_port = g_strdup_printf(
		"Host: 127.0.0.1:%u\r\nOrigin: http://127.0.0.1:1\r\n", http_server_port(server));

	check_guard("Host: localhost:99\r\n", "HTTP/1.1 200");
	check_guard("Host: LOCALHOST\r\n", "HTTP/1.1 200");
	check_guard("Host: [::1]:7\r\n", "HTTP/1.1 200");
	check_guard(own, "HTTP/1.1 200");
	check_guard("Host: localhost\r\nSec-Fetch-Site: same-origin\r\n", "HTTP/1.1 200");
	check_guard("Host: localhost\r\nSec-Fetch-Site: none\r\n", "HTTP/1.1 200");
	check_guard(other_port, "HTTP/1.1 403");
	check_guard("Host: evil.example\r\n", "HTTP/1.1 403");
	check_guard("Host: localhost.evil.example\r\n", "HTTP/1.1 403");
	check_guard("Host: 127.0.0.1.evil.example\r\n", "HTTP/1.1 403");
	check_guard("Host: [::1].evil.example\r\n", "HTTP/1.1 403");
	check_guard("Host: localhost\r\nOrigin: https://evil.example\r\n", "HTTP/1.1 403");
	check_guard("Host: localhost\r\nOrigin: null\r\n", "HTTP/1.1 403");
	check_guard("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "HTTP/1.1 403");
	check_guard("Host: localhost\r\nSec-Fetch-Site: same-site\r\n", "HTTP/1.1 403");
}

static void test_large_body(void)
{
	GString *body = g_string_new(NULL);

	for (int i = 0; i < 100000; i++)
		g_string_append_c(body, 'x');
	check_answer(
		ask("POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n" END "%s",
			body->str),
		"HTTP/1.1 413", "too large");
	check_answer(
		ask("GET /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n" END "%s",
			body->str),
		"HTTP/1.1 413", "too large");
	g_string_free(body, TRUE);
}

static void test_body(void)
{
	check_answer(ask("POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n" END
			 "a=b+%%2Bc"),
		"HTTP/1.1 200", "a=b+%2B");
	check_answer(
		ask("POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" END
		    "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"),
		"HTTP/1.1 200", "abcdefg");
	/* Of a GET it is dropped. */
	check_answer(ask("GET /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n" END "xy"),
		"HTTP/1.1 200", "Content-Length: 0\r\n");
}

static void test_raw_query(void)
{
	check_answer(ask("GET /raw?0x1%%2B0x2+0x3&b HTTP/1.1\r\nHost: localhost\r\n" END),
		"HTTP/1.1 200", "[0x1%2B0x2+0x3&b] unknown [0x1+0x2 0x3]");
	check_answer(ask("GET /raw?a=1&b=2 HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 200",
		"[a=1&b=2] unknown []");
	check_answer(ask("GET /raw HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 200",
		"[] unknown []");
}

static void test_redirects(void)
{
	check_answer(ask("GET //echo?value=%%41 HTTP/1.1\r\nHost: localhost\r\n" END),
		"HTTP/1.1 301", "Location: /echo?value=%41\r\n");
	check_answer(ask("GET /tree//a/./b/ HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 301",
		"Location: /tree/a/b/\r\n");
	check_answer(ask("GET //evil.example/%%0d%%0aX:/../x HTTP/1.1\r\nHost: localhost\r\n" END),
		"HTTP/1.1 301", "Location: /evil.example/x\r\n");
	check_answer(ask("GET //a%%0d%%0aSet-Cookie:x HTTP/1.1\r\nHost: localhost\r\n" END),
		"HTTP/1.1 301", "Location: /a%0D%0ASet-Cookie:x\r\n");
}

/* One byte now and then keeps a connection from being idle, not from being cut. */
static void test_slow_request(void)
{
	int fd = connect_tcp();
	bool is_cut = false;
	char byte;

	for (int i = 0; i < 100 && !is_cut; i++) {
		is_cut =
			send(fd, "G", 1, MSG_NOSIGNAL) < 0 || recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
		g_usleep(100000);
	}
	CHECK(is_cut);
	close(fd);
	check_answer(
		ask("GET /echo HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 200", "(none)");
}

static void test_disconnect(void)
{
	int fd = connect_tcp();
	static const char request[] = "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n";

	CHECK(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
	g_usleep(100000);
	CHECK_INT(was_gone, 0);
	close(fd);
	for (int i = 0; i < 200 && !was_gone; i++)
		g_usleep(10000);
	CHECK_INT(was_gone, 1);
}

static void test_slow(void)
{
	check_answer(ask("GET /slow HTTP/1.1\r\nHost: localhost\r\n" END), "HTTP/1.1 200", "done");
}

/* The error of listening at an address, which must have a sentence. */
static int listen_error(const char *address)
{
	struct http_server *other = NULL;
	g_autofree char *why = NULL;
	int err = http_listen(address, NULL, &other, &why);

	CHECK(err == 0 || (why && *why));
	http_server_free(other, 0);
	return err;
}

static void test_addresses(void)
{
	g_autofree char *used = g_strdup_printf("127.0.0.1:%u", http_server_port(server));

	CHECK_INT(listen_error(used), -EADDRINUSE);
	CHECK_INT(listen_error("127.0.0.1:0"), 0);
	CHECK_INT(listen_error("localhost:0"), 0);
	CHECK_INT(listen_error(":0"), 0);
	CHECK_INT(listen_error("127.9.9.9:0"), 0);
	CHECK_INT(listen_error("0.0.0.0:0"), -EPERM);
	CHECK_INT(listen_error("[::]:0"), -EPERM);
	CHECK_INT(listen_error("192.0.2.1:80"), -EPERM);
	CHECK_INT(listen_error("127.0.0.1"), -EINVAL);
	CHECK_INT(listen_error("127.0.0.1:"), -EINVAL);
	CHECK_INT(listen_error("127.0.0.1:65536"), -EINVAL);
	CHECK_INT(listen_error("127.0.0.1:http"), -EINVAL);
	CHECK_INT(listen_error("example.com:80"), -EINVAL);
	CHECK_INT(listen_error("::1:80"), -EINVAL);
	CHECK_INT(listen_error(""), -EINVAL);
	CHECK_INT(listen_error("unix:"), -EINVAL);
	CHECK_INT(listen_error("unix:/no/such/folder/socket"), -ENOENT);
}

static void test_unix_socket(void)
{
	g_autofree char *path = g_strdup_printf("%s/s", dir),
			*address = g_strdup_printf("unix:%s", path);
	struct sockaddr_un dead = { .sun_family = AF_UNIX };
	struct http_server *local = NULL;
	g_autofree char *why = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* A socket file that a killed process left. */
	g_strlcpy(dead.sun_path, path, sizeof(dead.sun_path));
	CHECK_INT(bind(fd, (struct sockaddr *)&dead, sizeof(dead)), 0);
	close(fd);
	CHECK_INT(http_listen(address, NULL, &local, &why), 0);
	CHECK_STR(http_server_url(local), address);
	CHECK_INT(listen_error(address), -EADDRINUSE);
	CHECK_INT(access(path, F_OK), 0);
	http_server_free(local, 0);
	CHECK_INT(access(path, F_OK), -1);
	/* A file that is no socket is never removed. */
	CHECK(g_file_set_contents(path, "mine", -1, NULL));
	CHECK_INT(listen_error(address), -EADDRINUSE);
	CHECK_INT(access(path, F_OK), 0);
	unlink(path);
}

#define TOKEN "0123456789abcdef"

/* The status line of an answer to a request with these header lines. */
static void check_with_token(
	struct http_server *secret, const char *request, const char *headers, const char *status)
{
	g_autofree char *text =
		g_strdup_printf("%s HTTP/1.1\r\nHost: localhost\r\n%s" END, request, headers);
	g_autofree char *answer = ask_at(connect_port(http_server_port(secret)), text);

	CHECK(g_str_has_prefix(answer, status));
	if (!g_str_has_prefix(answer, status))
		printf("# for %s %s got: %.60s\n", request, headers, answer);
	if (strstr(status, "401")) {
		CHECK(g_str_has_suffix(answer, "\r\n\r\n"));
		CHECK(strstr(answer, "\r\nWWW-Authenticate: Bearer") != NULL);
		CHECK(strstr(answer, "\r\nContent-Type:") == NULL);
	}
}

static void test_token(void)
{
	struct http_server_options options = {
		.routes = routes,
		.user = (void *)(uintptr_t) "me",
		.bearer = TOKEN,
		.max_connections = 16,
		.idle_seconds = 5,
	};
	struct http_server *secret = NULL;
	g_autofree char *why = NULL;

	CHECK_INT(http_listen("127.0.0.1:0", NULL, &secret, &why), 0);
	CHECK_INT(http_server_start(secret, &options), 0);
	check_with_token(secret, "GET /echo", "", "HTTP/1.1 401");
	check_with_token(secret, "GET /nosuch", "", "HTTP/1.1 401");
	check_with_token(secret, "DELETE /echo", "", "HTTP/1.1 401");
	check_with_token(secret, "GET //echo", "", "HTTP/1.1 401");
	check_with_token(secret, "POST /body", "Content-Length: 0\r\n", "HTTP/1.1 401");
	check_with_token(secret, "GET /echo", "Authorization: Bearer\r\n", "HTTP/1.1 401");
	check_with_token(secret, "GET /echo", "Authorization: Bearer x\r\n", "HTTP/1.1 401");
	check_with_token(secret, "GET /echo", "Authorization: " TOKEN "\r\n", "HTTP/1.1 401");
	check_with_token(
		secret, "GET /echo", "Authorization: Bearer " TOKEN "0\r\n", "HTTP/1.1 401");
	check_with_token(
		secret, "GET /echo", "Authorization: Bearer " TOKEN "\r\n", "HTTP/1.1 200");
	check_with_token(
		secret, "GET /echo", "authorization: BEARER  " TOKEN "\r\n", "HTTP/1.1 200");
	check_with_token(
		secret, "GET /nosuch", "Authorization: Bearer " TOKEN "\r\n", "HTTP/1.1 404");
	check_with_token(secret, "GET /open", "", "HTTP/1.1 200");
	http_server_free(secret, 1000);
}

static volatile int is_peer_welcome;

static bool is_peer_allowed(pid_t pid, uid_t uid, void *user)
{
	CHECK_INT(pid, getpid());
	CHECK_INT(uid, geteuid());
	return is_peer_welcome;
}

static void test_peers(void)
{
	struct http_server_options options = {
		.routes = routes,
		.user = (void *)(uintptr_t) "me",
		.is_peer_allowed = is_peer_allowed,
		.bearer = TOKEN, /* not for those who come by the socket */
		.max_connections = 16,
		.idle_seconds = 5,
	};
	struct http_listen_options listen = { .unix_mode = 0660 };
	g_autofree char *path = g_strdup_printf("%s/s", dir),
			*address = g_strdup_printf("unix:%s", path);
	static const char text[] = "GET /echo HTTP/1.1\r\nHost: any\r\n" END;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct http_server *local = NULL;
	g_autofree char *why = NULL;
	struct stat st;

	CHECK_INT(http_listen(address, &listen, &local, &why), 0);
	CHECK_INT(http_server_start(local, &options), 0);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0660);
	g_strlcpy(name.sun_path, path, sizeof(name.sun_path));
	for (is_peer_welcome = 0; is_peer_welcome < 2; is_peer_welcome++) {
		g_autofree char *answer = NULL;
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		CHECK_INT(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
		answer = ask_at(fd, text);
		CHECK(g_str_has_prefix(answer, is_peer_welcome ? "HTTP/1.1 200" : "HTTP/1.1 403"));
	}
	http_server_free(local, 1000);
}

static void test_remote(void)
{
	struct http_listen_options listen = { .is_remote_allowed = true };
	struct http_server *remote = NULL;
	g_autofree char *why = NULL;

	CHECK_INT(http_listen("0.0.0.0:0", &listen, &remote, &why), 0);
	CHECK(http_server_is_remote(remote));
	http_server_free(remote, 0);
	CHECK_INT(http_listen("127.0.0.1:0", &listen, &remote, &why), 0);
	CHECK(!http_server_is_remote(remote));
	http_server_free(remote, 0);
}

int main(void)
{
	struct http_server_options options = {
		.routes = routes,
		.user = (void *)(uintptr_t) "me",
		.max_connections = 16,
		.idle_seconds = 1,
		.request_seconds = 3,
		.max_body_bytes = 64 << 10,
	};
	char *why = NULL;

	signal(SIGPIPE, SIG_IGN);
	dir = temp_dir_make(NULL, "test_http");
	if (http_listen("127.0.0.1:0", NULL, &server, &why) < 0 ||
		http_server_start(server, &options) < 0) {
		printf("Bail out! %s\n", why ? why : "cannot start");
		return 1;
	}
	CASE(test_routes, "paths reach their handlers, others are 404");
	CASE(test_methods, "methods are checked, HEAD has no body");
	CASE(test_guard, "requests that a foreign web page makes are refused");
	CASE(test_body, "a handler gets the body of a POST");
	CASE(test_raw_query, "a handler sees the query as it was sent, and what it does not know");
	CASE(test_redirects, "doubled slashes and dots are redirected to the clean path");
	CASE(test_slow_request, "a request that trickles in is cut");
	CASE(test_large_body, "a body that is too large is refused");
	CASE(test_disconnect, "a handler sees that its client went away");
	CASE(test_slow, "a slow handler is not cut by the idle limit");
	CASE(test_addresses, "only loopback addresses are listened on");
	CASE(test_remote, "addresses that others reach need leave");
	CASE(test_token, "a token is needed for everything but what is open");
	CASE(test_peers, "a unix socket's clients are known by their processes");
	CASE(test_unix_socket, "a stale unix socket is replaced, anything else is not");
	http_server_free(server, 1000);
	return CHECK_DONE();
}
