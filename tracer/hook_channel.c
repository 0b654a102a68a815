/* SPDX-License-Identifier: MIT */
/* Calls that make channels (channel.h). The numbers are the caller's alone until it tells others. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tracer/call.h"
#include "tracer/channel.h"

#define CHANNEL_HOOK(name, made, params, args)                         \
	FR_REAL(name)                                                  \
	FR_EXPORT int name params                                      \
	{                                                              \
		struct call call;                                      \
		int is_traced = CALL_BEGIN(&call, FR_CALL_##name, -1); \
		int ret = REAL(name) args;                             \
                                                                       \
		if (ret >= 0 && likely(!fr_is_lttng(FR_RETURN())))     \
			made;                                          \
		if (is_traced)                                         \
			call_end(&call, CALL_RESULT(ret), NULL);       \
		return ret;                                            \
	}

CHANNEL_HOOK(pipe, channel_make_pair(fds), (int fds[2]), (fds))
CHANNEL_HOOK(pipe2, channel_make_pair(fds), (int fds[2], int flags), (fds, flags))
CHANNEL_HOOK(socketpair, channel_make_pair(fds), (int family, int type, int protocol, int fds[2]),
	(family, type, protocol, fds))
CHANNEL_HOOK(eventfd, channel_make_one(ret, CHANNEL_SELF), (unsigned n, int flags), (n, flags))
CHANNEL_HOOK(epoll_create, channel_make_one(ret, CHANNEL_EPOLL), (int size), (size))
CHANNEL_HOOK(epoll_create1, channel_make_one(ret, CHANNEL_EPOLL), (int flags), (flags))
