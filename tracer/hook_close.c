/* SPDX-License-Identifier: MIT */
/*
 * Closing and renumbering descriptors. liblttng-ust keeps a list of its own, so that a program that closes
 * everything it did not open (daemons, shells) gets EBADF for them instead of tearing its tracer down. That list has a
 * lock; it is asked only for numbers that can be theirs.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <unistd.h>

#include "tracer/call.h"
#include "tracer/channel.h"
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
	channel_forget(fd);
	return unlikely(lttng_fd_is_candidate(fd)) ? lttng_ust_safe_close_fd(fd, real_close)
						   : REAL(close)(fd);
}

/* Closes inside libc. Another thread may have the number again by the time that it returns. */
FR_REAL(fclose)
FR_EXPORT int fclose(FILE *stream)
{
	int saved_errno = errno;

	if (unlikely(channel_n) && stream) {
		channel_forget(fileno(stream));
		errno = saved_errno;
	}
	return REAL(fclose)(stream);
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

	/* With a table of its own the thread leaves ours, which is of the others. */
	if (!(flags & (CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)))
		channel_forget_range(first, last);
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

	channel_forget_range(first < 0 ? 0 : (unsigned)first, ~0u);
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

FR_REAL(dup)
FR_EXPORT int dup(int fd)
{
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_dup, fd), ret = REAL(dup)(fd);

	if (ret >= 0)
		channel_copy(fd, ret);
	if (is_traced)
		call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

/*
 * dup2() and dup3() close what has the number. One of liblttng-ust's is refused with the error of a number that the
 * process may not have (RLIMIT_NOFILE). Its list, which tells, has no other question than "close this, by that
 * function, unless it is yours": the function that it is given makes the real call.
 */
struct renumbering {
	int from, flags;
	int is_dup3, is_made;
};
static __thread struct renumbering *renumbering __attribute__((tls_model("initial-exec")));

FR_REAL(dup2)
FR_REAL(dup3)

static int renumber(int to)
{
	const struct renumbering *how = renumbering;

	renumbering->is_made = 1;
	return how->is_dup3 ? REAL(dup3)(how->from, to, how->flags) : REAL(dup2)(how->from, to);
}

static int renumber_guarded(int to, struct renumbering *how)
{
	struct renumbering *outer = renumbering;
	int ret;

	renumbering = how;
	if (how->from != to)
		channel_forget(to);
	ret = lttng_fd_is_candidate(to) ? lttng_ust_safe_close_fd(to, renumber) : renumber(to);
	renumbering = outer;
	if (!how->is_made)
		errno = EBADF;
	if (ret >= 0)
		channel_copy(how->from, ret);
	return ret;
}

int dup2_guarded(int from, int to)
{
	struct renumbering how = { .from = from };

	return renumber_guarded(to, &how);
}

int dup3_guarded(int from, int to, int flags)
{
	struct renumbering how = { .from = from, .flags = flags, .is_dup3 = 1 };

	return renumber_guarded(to, &how);
}

FR_EXPORT int dup2(int from, int to)
{
	struct call call;
	int ret;

	if (!CALL_BEGIN(&call, FR_CALL_dup2, from))
		return fr_is_lttng(FR_RETURN()) ? REAL(dup2)(from, to) : dup2_guarded(from, to);
	ret = dup2_guarded(from, to);
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_EXPORT int dup3(int from, int to, int flags)
{
	struct call call;
	int ret;

	if (!CALL_BEGIN(&call, FR_CALL_dup3, from))
		return fr_is_lttng(FR_RETURN()) ? REAL(dup3)(from, to, flags)
						: dup3_guarded(from, to, flags);
	ret = dup3_guarded(from, to, flags);
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}
