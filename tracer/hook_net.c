/* SPDX-License-Identifier: MIT */
/* Sockets. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tracer/call.h"
#include "tracer/channel_connect.h"
#include "tracer/lttng_fd.h"

ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, __SOCKADDR_ARG address,
	socklen_t *n_address);

/* Decimal digits of a small number, without stdio: hooks of signal handlers come here, too. */
static char *put_number(char *at, unsigned n)
{
	char digits[10];
	int i = 0;

	do {
		digits[i++] = (char)('0' + n % 10);
	} while (n /= 10);
	while (i > 0)
		*at++ = digits[--i];
	return at;
}

static char *put_v6(char *at, const struct in6_addr *address)
{
	static const char hex[] = "0123456789abcdef";
	int i, best = -1, n_best = 1;

	/* The longest run of zero groups becomes "::" (RFC 5952). */
	for (i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && !address->s6_addr[2 * (i + n)] &&
			!address->s6_addr[2 * (i + n) + 1])
			n++;
		if (n > n_best) {
			best = i;
			n_best = n;
		}
	}
	for (i = 0; i < 8; i++) {
		unsigned group =
			(unsigned)address->s6_addr[2 * i] << 8 | address->s6_addr[2 * i + 1];
		int shift = 12;

		if (i == best) {
			*at++ = ':';
			*at++ = ':';
			i += n_best - 1;
			continue;
		}
		if (i && at[-1] != ':')
			*at++ = ':';
		while (shift && !(group >> shift))
			shift -= 4;
		for (; shift >= 0; shift -= 4)
			*at++ = hex[group >> shift & 15];
	}
	return at;
}

/* "127.0.0.1:80", "[::1]:80", "unix:/run/x"; empty for other families. Needs 128 bytes. */
static void put_address(char *text, const struct sockaddr *address, socklen_t size)
{
	char *at = text;

	if (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;
		const unsigned char *byte = (const unsigned char *)&in.sin_addr;
		int i;

		memcpy(&in, address, sizeof(in));
		for (i = 0; i < 4; i++) {
			at = put_number(at, byte[i]);
			*at++ = i < 3 ? '.' : ':';
		}
		at = put_number(at, ntohs(in.sin_port));
	} else if (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 in;

		memcpy(&in, address, sizeof(in));
		*at++ = '[';
		at = put_v6(at, &in.sin6_addr);
		*at++ = ']';
		*at++ = ':';
		at = put_number(at, ntohs(in.sin6_port));
	} else if (address->sa_family == AF_UNIX && size > offsetof(struct sockaddr_un, sun_path)) {
		const char *path = ((const struct sockaddr_un *)address)->sun_path;
		size_t n = size - offsetof(struct sockaddr_un, sun_path);

		memcpy(at, "unix:", 5);
		at += 5;
		if (!path[0]) { /* the abstract name space: a leading @, as in /proc/net/unix */
			*at++ = '@';
			path++;
			n--;
		}
		n = strnlen(path, n < 108 ? n : 108);
		memcpy(at, path, n);
		at += n;
	}
	*at = '\0';
}

/* `before`: what channel_connected() wants, or 0. */
#define ADDRESS_HOOK(name, before)                                                     \
	FR_REAL(name)                                                                  \
	FR_EXPORT int name(int fd, __CONST_SOCKADDR_ARG address, socklen_t size)       \
	{                                                                              \
		struct call call;                                                      \
		char text[128] = "";                                                   \
		uint64_t followed;                                                     \
		int64_t result;                                                        \
		int ret;                                                               \
		int is_traced = CALL_BEGIN(&call, FR_CALL_##name, fd);                 \
                                                                                       \
		followed = is_traced ? (before) : 0;                                   \
		/* An interrupted connect() goes on; made again, it waits for that. */ \
		do {                                                                   \
			eintr_begin();                                                 \
			ret = REAL(name)(fd, address, size);                           \
		} while (unlikely(CALL_IS_EINTR(ret)) && eintr_is_ours(FR_FRAME()));   \
		if (!is_traced)                                                        \
			return ret;                                                    \
		result = CALL_RESULT(ret);                                             \
		channel_connected(&call, result, followed);                            \
		if (call_saw_path(result))                                             \
			put_address(text, address.__sockaddr__, size);                 \
		call_end(&call, result, text[0] ? text : NULL);                        \
		return ret;                                                            \
	}

ADDRESS_HOOK(bind, 0)
ADDRESS_HOOK(connect, channel_connecting(&call, address.__sockaddr__, size, FR_FRAME()))

FR_REAL(socket)
FR_EXPORT int socket(int family, int type, int protocol)
{
	struct call call;
	int ret;

	if (!CALL_BEGIN(&call, FR_CALL_socket, -1)) {
		ret = REAL(socket)(family, type, protocol);
		return ret >= 0 && fr_is_lttng(FR_RETURN()) ? lttng_fd_move(ret) : ret;
	}
	ret = REAL(socket)(family, type, protocol);
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_REAL(recvmsg)
static ssize_t receive(int fd, struct msghdr *message, int flags, uintptr_t frame)
{
	ssize_t ret;

	do {
		eintr_begin();
		ret = REAL(recvmsg)(fd, message, flags);
	} while (unlikely(CALL_IS_EINTR(ret)) && eintr_is_ours(frame));
	return ret;
}

FR_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	struct call call;
	ssize_t ret;

	if (!CALL_BEGIN(&call, FR_CALL_recvmsg, fd)) {
		ret = receive(fd, message, flags, FR_FRAME());
		if (ret >= 0 && fr_is_lttng(FR_RETURN()))
			lttng_fd_move_received(message);
		return ret;
	}
	ret = receive(fd, message, flags, FR_FRAME());
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_REAL(listen)
FR_EXPORT int listen(int fd, int backlog)
{
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_listen, fd), ret = REAL(listen)(fd, backlog);
	int64_t result = CALL_RESULT(ret);

	if (is_traced && ret == 0)
		channel_listen(fd);
	if (is_traced)
		call_end(&call, result, NULL);
	return ret;
}

#define ACCEPT_HOOK(name, params, args)                                              \
	FR_REAL(name)                                                                \
	FR_EXPORT int name params                                                    \
	{                                                                            \
		struct call call;                                                    \
		int is_traced = CALL_BEGIN(&call, FR_CALL_##name, fd), ret;          \
                                                                                     \
		do {                                                                 \
			eintr_begin();                                               \
			ret = REAL(name) args;                                       \
		} while (unlikely(CALL_IS_EINTR(ret)) && eintr_is_ours(FR_FRAME())); \
		if (likely(is_traced)) {                                             \
			if (ret >= 0)                                                \
				channel_accepted(fd, ret);                           \
			call_end(&call, CALL_RESULT(ret), NULL);                     \
		}                                                                    \
		return ret;                                                          \
	}

ACCEPT_HOOK(accept, (int fd, __SOCKADDR_ARG address, socklen_t *size), (fd, address, size))
ACCEPT_HOOK(accept4, (int fd, __SOCKADDR_ARG address, socklen_t *size, int flags),
	(fd, address, size, flags))
CALL_HOOK(int, shutdown, shutdown, fd, (int fd, int how), (fd, how))
CALL_HOOK_SAME(ssize_t, send, send, fd, (int fd, const void *buf, size_t n, int flags),
	(fd, buf, n, flags))
CALL_HOOK_SAME(ssize_t, sendto, sendto, fd,
	(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG address,
		socklen_t size),
	(fd, buf, n, flags, address, size))
CALL_HOOK_SAME(ssize_t, sendmsg, sendmsg, fd, (int fd, const struct msghdr *message, int flags),
	(fd, message, flags))
CALL_HOOK_SAME(int, sendmmsg, sendmmsg, fd,
	(int fd, struct mmsghdr *messages, unsigned n, int flags), (fd, messages, n, flags))
CALL_HOOK_SAME(
	ssize_t, recv, recv, fd, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))
CALL_HOOK_SAME(ssize_t, __recv_chk, recv, fd, (int fd, void *buf, size_t n, size_t size, int flags),
	(fd, buf, n, size, flags))
CALL_HOOK_SAME(ssize_t, recvfrom, recvfrom, fd,
	(int fd, void *buf, size_t n, int flags, __SOCKADDR_ARG address, socklen_t *size),
	(fd, buf, n, flags, address, size))
CALL_HOOK_SAME(ssize_t, __recvfrom_chk, recvfrom, fd,
	(int fd, void *buf, size_t n, size_t size, int flags, __SOCKADDR_ARG address,
		socklen_t *n_address),
	(fd, buf, n, size, flags, address, n_address))
CALL_HOOK_SAME(int, recvmmsg, recvmmsg, fd,
	(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout),
	(fd, messages, n, flags, timeout))
CALL_HOOK(int, getsockopt, getsockopt, fd,
	(int fd, int level, int name, void *value, socklen_t *size), (fd, level, name, value, size))
CALL_HOOK(int, setsockopt, setsockopt, fd,
	(int fd, int level, int name, const void *value, socklen_t size),
	(fd, level, name, value, size))
CALL_HOOK(int, getsockname, getsockname, fd, (int fd, __SOCKADDR_ARG address, socklen_t *size),
	(fd, address, size))
CALL_HOOK(int, getpeername, getpeername, fd, (int fd, __SOCKADDR_ARG address, socklen_t *size),
	(fd, address, size))
