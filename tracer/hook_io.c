/* SPDX-License-Identifier: MIT */
/* Reading, writing and moving bytes; opening and positioning of files. Paths: hook_path.c. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tracer/call.h"
#include "tracer/channel.h"

/* Made by the compiler for checked buffers; no header declares them. */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t offset, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t offset, size_t size);

CALL_HOOK_SAME(ssize_t, read, read, fd, (int fd, void *buf, size_t n), (fd, buf, n))
CALL_HOOK_SAME(ssize_t, __read_chk, read, fd, (int fd, void *buf, size_t n, size_t size),
	(fd, buf, n, size))
CALL_HOOK_SAME(ssize_t, write, write, fd, (int fd, const void *buf, size_t n), (fd, buf, n))
CALL_HOOK(ssize_t, pread, pread64, fd, (int fd, void *buf, size_t n, off_t offset),
	(fd, buf, n, offset))
CALL_HOOK(ssize_t, pread64, pread64, fd, (int fd, void *buf, size_t n, off64_t offset),
	(fd, buf, n, offset))
CALL_HOOK(ssize_t, __pread_chk, pread64, fd,
	(int fd, void *buf, size_t n, off_t offset, size_t size), (fd, buf, n, offset, size))
CALL_HOOK(ssize_t, __pread64_chk, pread64, fd,
	(int fd, void *buf, size_t n, off64_t offset, size_t size), (fd, buf, n, offset, size))
CALL_HOOK(ssize_t, pwrite, pwrite64, fd, (int fd, const void *buf, size_t n, off_t offset),
	(fd, buf, n, offset))
CALL_HOOK(ssize_t, pwrite64, pwrite64, fd, (int fd, const void *buf, size_t n, off64_t offset),
	(fd, buf, n, offset))

#define VEC_PARAMS (int fd, const struct iovec *vec, int n)
#define VEC_AT_PARAMS(off) (int fd, const struct iovec *vec, int n, off offset)
#define VEC_FLAGS_PARAMS(off) (int fd, const struct iovec *vec, int n, off offset, int flags)

CALL_HOOK_SAME(ssize_t, readv, readv, fd, VEC_PARAMS, (fd, vec, n))
CALL_HOOK_SAME(ssize_t, writev, writev, fd, VEC_PARAMS, (fd, vec, n))
CALL_HOOK(ssize_t, preadv, preadv, fd, VEC_AT_PARAMS(off_t), (fd, vec, n, offset))
CALL_HOOK(ssize_t, preadv64, preadv, fd, VEC_AT_PARAMS(off64_t), (fd, vec, n, offset))
CALL_HOOK(ssize_t, pwritev, pwritev, fd, VEC_AT_PARAMS(off_t), (fd, vec, n, offset))
CALL_HOOK(ssize_t, pwritev64, pwritev, fd, VEC_AT_PARAMS(off64_t), (fd, vec, n, offset))
CALL_HOOK(ssize_t, preadv2, preadv2, fd, VEC_FLAGS_PARAMS(off_t), (fd, vec, n, offset, flags))
CALL_HOOK(ssize_t, preadv64v2, preadv2, fd, VEC_FLAGS_PARAMS(off64_t), (fd, vec, n, offset, flags))
CALL_HOOK(ssize_t, pwritev2, pwritev2, fd, VEC_FLAGS_PARAMS(off_t), (fd, vec, n, offset, flags))
CALL_HOOK(
	ssize_t, pwritev64v2, pwritev2, fd, VEC_FLAGS_PARAMS(off64_t), (fd, vec, n, offset, flags))

CALL_HOOK(ssize_t, sendfile, sendfile, out, (int out, int in, off_t *offset, size_t n),
	(out, in, offset, n))
CALL_HOOK(ssize_t, sendfile64, sendfile, out, (int out, int in, off64_t *offset, size_t n),
	(out, in, offset, n))
CALL_HOOK(ssize_t, splice, splice, in,
	(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t n, unsigned flags),
	(in, in_offset, out, out_offset, n, flags))
CALL_HOOK(ssize_t, tee, tee, in, (int in, int out, size_t n, unsigned flags), (in, out, n, flags))
CALL_HOOK(ssize_t, vmsplice, vmsplice, fd,
	(int fd, const struct iovec *vec, size_t n, unsigned flags), (fd, vec, n, flags))
CALL_HOOK(ssize_t, copy_file_range, copy_file_range, in,
	(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t n, unsigned flags),
	(in, in_offset, out, out_offset, n, flags))

CALL_HOOK(off_t, lseek, lseek, fd, (int fd, off_t offset, int whence), (fd, offset, whence))
CALL_HOOK(off64_t, lseek64, lseek, fd, (int fd, off64_t offset, int whence), (fd, offset, whence))
CALL_HOOK(int, fsync, fsync, fd, (int fd), (fd))
CALL_HOOK(int, fdatasync, fdatasync, fd, (int fd), (fd))
CALL_HOOK(int, syncfs, syncfs, fd, (int fd), (fd))
CALL_HOOK(int, sync_file_range, sync_file_range, fd,
	(int fd, off64_t offset, off64_t n, unsigned flags), (fd, offset, n, flags))
CALL_HOOK(int, ftruncate, ftruncate, fd, (int fd, off_t size), (fd, size))
CALL_HOOK(int, ftruncate64, ftruncate, fd, (int fd, off64_t size), (fd, size))
CALL_HOOK(int, fallocate, fallocate, fd, (int fd, int mode, off_t offset, off_t n),
	(fd, mode, offset, n))
CALL_HOOK(int, fallocate64, fallocate, fd, (int fd, int mode, off64_t offset, off64_t n),
	(fd, mode, offset, n))
CALL_HOOK_RC(
	int, posix_fallocate, posix_fallocate, fd, (int fd, off_t offset, off_t n), (fd, offset, n))
CALL_HOOK_RC(int, posix_fallocate64, posix_fallocate, fd, (int fd, off64_t offset, off64_t n),
	(fd, offset, n))
CALL_HOOK_RC(int, posix_fadvise, posix_fadvise, fd, (int fd, off_t offset, off_t n, int advice),
	(fd, offset, n, advice))
CALL_HOOK_RC(int, posix_fadvise64, posix_fadvise, fd,
	(int fd, off64_t offset, off64_t n, int advice), (fd, offset, n, advice))
CALL_HOOK(ssize_t, readahead, readahead, fd, (int fd, off64_t offset, size_t n), (fd, offset, n))
CALL_HOOK(int, flock, flock, fd, (int fd, int operation), (fd, operation))
CALL_HOOK(int, lockf, lockf, fd, (int fd, int command, off_t n), (fd, command, n))
CALL_HOOK(int, lockf64, lockf, fd, (int fd, int command, off64_t n), (fd, command, n))

FR_REAL(sync)
FR_EXPORT void sync(void)
{
	struct call call;

	if (!CALL_BEGIN(&call, FR_CALL_sync, -1)) {
		REAL(sync)();
		return;
	}
	REAL(sync)();
	call_end(&call, 0, NULL);
}

/* The last argument of these may be missing; a register is read then that nobody looks at. */
#define LAST_ARGUMENT(type, name, after) \
	va_list list;                    \
	va_start(list, after);           \
	type name = va_arg(list, type);  \
	va_end(list)

#define FCNTL_HOOK(name)                                                            \
	FR_REAL(name)                                                               \
	FR_EXPORT int name(int fd, int command, ...)                                \
	{                                                                           \
		LAST_ARGUMENT(void *, argument, command);                           \
		struct call call;                                                   \
		int is_traced = CALL_BEGIN(&call, FR_CALL_fcntl, fd);               \
		int ret = REAL(name)(fd, command, argument);                        \
                                                                                    \
		if (ret >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) \
			channel_copy(fd, ret);                                      \
		if (is_traced)                                                      \
			call_end(&call, CALL_RESULT(ret), NULL);                    \
		return ret;                                                         \
	}

FCNTL_HOOK(fcntl)
FCNTL_HOOK(fcntl64)

FR_REAL(ioctl)
FR_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	LAST_ARGUMENT(void *, argument, request);
	struct call call;
	int ret;

	if (!CALL_BEGIN(&call, FR_CALL_ioctl, fd))
		return REAL(ioctl)(fd, request, argument);
	ret = REAL(ioctl)(fd, request, argument);
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}
