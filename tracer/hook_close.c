/* SPDX-License-Identifier: MIT */
/*
 * Closing and renumbering descriptors. liblttng-ust keeps a list of its own, so that a program that closes
 * everything it did not open (daemons, shells) gets EBADF for them instead of tearing its tracer down. That list has a
 * lock; it is asked only for numbers that can be theirs.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <unistd.h>

#include "tracer/call.h"
#include "tracer/hook_close.h"
#include "tracer/lttng_fd.h"

/* Of liblttng-ust-common, as its own descriptor helper calls it. */
int lttng_ust_safe_close_fd(int fd, int (*close_cb)(int fd));

FR_REAL(close)

static int real_close(int fd)
{
	return REAL(close)(fd);
}

int close_guarded(int fd)
{
	return unlikely(lttng_fd_is_candidate(fd)) ? lttng_ust_safe_close_fd(fd, real_close)
						   : REAL(close)(fd);
}

FR_EXPORT int close(int fd)
{
	struct call call;
	int ret;

	if (!CALL_BEGIN(&call, FR_CALL_close, fd))
		return fr_is_lttng(FR_RETURN()) ? REAL(close)(fd) : close_guarded(fd);
	ret = close_guarded(fd);
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_REAL(close_range)

/* close_range() around the numbers that may be liblttng-ust's, and those one by one. */
int close_range_guarded(unsigned first, unsigned last, int flags)
{
	int mine, top, fd, saved_errno = errno;

	lttng_fd_range(&mine, &top);
	/* Set close-on-exec: theirs have it anyway. Unshared tables: as before, and nobody else's harm. */
	if (flags & CLOSE_RANGE_CLOEXEC || first > last || top < 0 || last < (unsigned)mine ||
		first > (unsigned)top)
		return REAL(close_range)(first, last, flags);
	if (first < (unsigned)mine && REAL(close_range)(first, (unsigned)mine - 1, flags) < 0)
		return -1;
	if (first >= (unsigned)mine && flags & CLOSE_RANGE_UNSHARE &&
		REAL(close_range)(~0u, ~0u, CLOSE_RANGE_UNSHARE) < 0)
		return -1;
	for (fd = first > (unsigned)mine ? (int)first : mine; fd <= top && (unsigned)fd <= last;
		fd++)
		lttng_ust_safe_close_fd(fd, real_close);
	errno = saved_errno;
	if (last > (unsigned)top)
		return REAL(close_range)((unsigned)top + 1, last, flags & ~CLOSE_RANGE_UNSHARE);
	return 0;
}

FR_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	struct call call;
	int ret;

	if (!CALL_BEGIN(&call, FR_CALL_close_range, -1))
		return close_range_guarded(first, last, flags);
	ret = close_range_guarded(first, last, flags);
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_REAL(closefrom)

static void guarded_closefrom(int first)
{
	int mine, top;

	lttng_fd_range(&mine, &top);
	if (top < 0 || first > top)
		REAL(closefrom)(first);
	else if (close_range_guarded(first < 0 ? 0 : (unsigned)first, ~0u, 0) < 0)
		for (; first < mine; first++) /* a kernel without close_range() */
			real_close(first);
}

FR_EXPORT void closefrom(int first)
{
	struct call call;

	if (!CALL_BEGIN(&call, FR_CALL_closefrom, first)) {
		guarded_closefrom(first);
		return;
	}
	guarded_closefrom(first);
	call_end(&call, 0, NULL);
}

CALL_HOOK(int, dup, dup, fd, (int fd), (fd))
CALL_HOOK(int, dup2, dup2, fd, (int fd, int to), (fd, to))
CALL_HOOK(int, dup3, dup3, fd, (int fd, int to, int flags), (fd, to, flags))
CALL_HOOK(int, pipe, pipe, -1, (int fds[2]), (fds))
CALL_HOOK(int, pipe2, pipe2, -1, (int fds[2], int flags), (fds, flags))
