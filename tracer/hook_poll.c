/* SPDX-License-Identifier: MIT */
/* Waiting for several descriptors at once. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "tracer/call_channel.h"

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
	size_t size);

/*
 * Most calls name one descriptor in an array on the stack. Elsewhere the array may not be readable, which
 * is for the kernel to say.
 */
static __attribute__((noinline)) int only_fd(uintptr_t at, nfds_t n, uintptr_t frame)
{
	const struct pollfd *fds = (const struct pollfd *)at;

	return n == 1 && at > frame && at % sizeof(int) == 0 &&
			       at + sizeof(*fds) <= fr_self.bounds.hi
		       ? fds->fd
		       : -1;
}

/* Has the kernel read them, so that they may be looked at the next time? */
static void polled(const struct call *call, const struct pollfd *fds, nfds_t n, int ret)
{
	if (ret >= 0 && call->fd < 0)
		call_channel_polled(fds, n * sizeof(*fds));
}

/* A hook of `fds` and `n`. `is_now`: it does not wait. */
#define POLL_HOOK(name, call_id, is_now, again, params, args)                                    \
	FR_REAL(name)                                                                            \
	FR_EXPORT int name params                                                                \
	{                                                                                        \
		struct call call;                                                                \
		int is_traced = CALL_BEGIN(                                                      \
			&call, FR_CALL_##call_id, only_fd((uintptr_t)fds, n, FR_FRAME()));       \
		struct eintr_wait wait = { .begin_ns = is_traced ? call.begin_ns : call_now() }; \
		int is_looking = is_traced && call_channel_any(), ret;                           \
                                                                                                 \
		if (is_looking && !(is_now))                                                     \
			call_channel_poll(&call, fds, n, FR_FRAME());                            \
		for (;;) {                                                                       \
			eintr_begin();                                                           \
			ret = REAL(name) args;                                                   \
			if (likely(!CALL_IS_EINTR(ret)) || !eintr_is_ours(FR_FRAME()))           \
				break;                                                           \
			again;                                                                   \
		}                                                                                \
		(void)wait;                                                                      \
		if (is_looking)                                                                  \
			polled(&call, fds, n, ret);                                              \
		if (likely(is_traced))                                                           \
			call_end(&call, CALL_RESULT(ret), NULL);                                 \
		return ret;                                                                      \
	}

#define LEFT_MS timeout = eintr_left_ms(&wait, timeout)
#define LEFT_TIME timeout = eintr_left_time(&wait, timeout)

POLL_HOOK(poll, poll, timeout == 0, LEFT_MS, (struct pollfd * fds, nfds_t n, int timeout),
	(fds, n, timeout))
POLL_HOOK(__poll_chk, poll, timeout == 0, LEFT_MS,
	(struct pollfd * fds, nfds_t n, int timeout, size_t size), (fds, n, timeout, size))
POLL_HOOK(ppoll, ppoll, 0, LEFT_TIME,
	(struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
	(fds, n, timeout, mask))
POLL_HOOK(__ppoll_chk, ppoll, 0, LEFT_TIME,
	(struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
		size_t size),
	(fds, n, timeout, mask, size))

/* Of `n`, `readable` and `writable`. */
#define SELECT_HOOK(name, again, params, args)                                                   \
	FR_REAL(name)                                                                            \
	FR_EXPORT int name params                                                                \
	{                                                                                        \
		struct call call;                                                                \
		int is_traced = CALL_BEGIN(&call, FR_CALL_##name, -1), ret;                      \
		struct eintr_wait wait = { .begin_ns = is_traced ? call.begin_ns : call_now() }; \
                                                                                                 \
		if (is_traced && call_channel_any())                                             \
			call_channel_select(&call, n, readable, writable, FR_FRAME());           \
		for (;;) {                                                                       \
			eintr_begin();                                                           \
			ret = REAL(name) args;                                                   \
			if (likely(!CALL_IS_EINTR(ret)) || !eintr_is_ours(FR_FRAME()))           \
				break;                                                           \
			again;                                                                   \
		}                                                                                \
		(void)wait;                                                                      \
		if (likely(is_traced))                                                           \
			call_end(&call, CALL_RESULT(ret), NULL);                                 \
		return ret;                                                                      \
	}

/* The kernel leaves the sets as they were, and writes what is left into the timeout. */
SELECT_HOOK(select, (void)0,
	(int n, fd_set *readable, fd_set *writable, fd_set *failed, struct timeval *timeout),
	(n, readable, writable, failed, timeout))
SELECT_HOOK(pselect, LEFT_TIME,
	(int n, fd_set *readable, fd_set *writable, fd_set *failed, const struct timespec *timeout,
		const sigset_t *mask),
	(n, readable, writable, failed, timeout, mask))

FR_REAL(epoll_ctl)
FR_EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_epoll_ctl, fd);
	int ret = REAL(epoll_ctl)(epoll, operation, fd, event);

	/* The kernel has read the event, unless it is to be deleted. */
	if (ret == 0 && unlikely(channel_end(fd)))
		channel_watch(epoll, operation, fd, operation == EPOLL_CTL_DEL ? 0 : event->events);
	if (is_traced)
		call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

CALL_HOOK_AGAIN(int, epoll_wait, epoll_wait, epoll, LEFT_MS,
	(int epoll, struct epoll_event *events, int n, int timeout), (epoll, events, n, timeout))
CALL_HOOK_AGAIN(int, epoll_pwait, epoll_pwait, epoll, LEFT_MS,
	(int epoll, struct epoll_event *events, int n, int timeout, const sigset_t *mask),
	(epoll, events, n, timeout, mask))
CALL_HOOK_AGAIN(int, epoll_pwait2, epoll_pwait2, epoll, LEFT_TIME,
	(int epoll, struct epoll_event *events, int n, const struct timespec *timeout,
		const sigset_t *mask),
	(epoll, events, n, timeout, mask))
