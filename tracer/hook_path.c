/* SPDX-License-Identifier: MIT */
/* Calls that name a file, and those that ask about one. */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "tracer/call.h"

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
int __xstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);
int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags);
int __fxstatat64(int version, int dir, const char *path, struct stat64 *st, int flags);
ssize_t __readlink_chk(const char *path, char *buf, size_t n, size_t size);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t n, size_t size);
char *__getcwd_chk(char *buf, size_t n, size_t size);

#define OPEN_HOOK(name)                                       \
	FR_REAL(name)                                         \
	FR_EXPORT int name(const char *path, int flags, ...)  \
	{                                                     \
		struct call call;                             \
		va_list list;                                 \
		mode_t mode;                                  \
		int ret;                                      \
                                                              \
		va_start(list, flags);                        \
		mode = va_arg(list, mode_t);                  \
		va_end(list);                                 \
		if (!CALL_BEGIN(&call, FR_CALL_open, -1))     \
			return REAL(name)(path, flags, mode); \
		ret = REAL(name)(path, flags, mode);          \
		call_end(&call, CALL_RESULT(ret), path);      \
		return ret;                                   \
	}

#define OPENAT_HOOK(name)                                             \
	FR_REAL(name)                                                 \
	FR_EXPORT int name(int dir, const char *path, int flags, ...) \
	{                                                             \
		struct call call;                                     \
		va_list list;                                         \
		mode_t mode;                                          \
		int ret;                                              \
                                                                      \
		va_start(list, flags);                                \
		mode = va_arg(list, mode_t);                          \
		va_end(list);                                         \
		if (!CALL_BEGIN(&call, FR_CALL_openat, dir))          \
			return REAL(name)(dir, path, flags, mode);    \
		ret = REAL(name)(dir, path, flags, mode);             \
		call_end(&call, CALL_RESULT(ret), path);              \
		return ret;                                           \
	}

OPEN_HOOK(open)
OPEN_HOOK(open64)
OPENAT_HOOK(openat)
OPENAT_HOOK(openat64)
CALL_HOOK_PATH(int, __open_2, open, -1, path, (const char *path, int flags), (path, flags))
CALL_HOOK_PATH(int, __open64_2, open, -1, path, (const char *path, int flags), (path, flags))
CALL_HOOK_PATH(int, __openat_2, openat, dir, path, (int dir, const char *path, int flags),
	(dir, path, flags))
CALL_HOOK_PATH(int, __openat64_2, openat, dir, path, (int dir, const char *path, int flags),
	(dir, path, flags))
CALL_HOOK_PATH(int, creat, creat, -1, path, (const char *path, mode_t mode), (path, mode))
CALL_HOOK_PATH(int, creat64, creat, -1, path, (const char *path, mode_t mode), (path, mode))

CALL_HOOK_PATH(int, stat, stat, -1, path, (const char *path, struct stat *st), (path, st))
CALL_HOOK_PATH(int, stat64, stat, -1, path, (const char *path, struct stat64 *st), (path, st))
CALL_HOOK_PATH(int, lstat, lstat, -1, path, (const char *path, struct stat *st), (path, st))
CALL_HOOK_PATH(int, lstat64, lstat, -1, path, (const char *path, struct stat64 *st), (path, st))
CALL_HOOK(int, fstat, fstat, fd, (int fd, struct stat *st), (fd, st))
CALL_HOOK(int, fstat64, fstat, fd, (int fd, struct stat64 *st), (fd, st))
CALL_HOOK_PATH(int, fstatat, fstatat, dir, path,
	(int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags))
CALL_HOOK_PATH(int, fstatat64, fstatat, dir, path,
	(int dir, const char *path, struct stat64 *st, int flags), (dir, path, st, flags))
CALL_HOOK_PATH(
	int, __xstat, stat, -1, path, (int v, const char *path, struct stat *st), (v, path, st))
CALL_HOOK_PATH(
	int, __xstat64, stat, -1, path, (int v, const char *path, struct stat64 *st), (v, path, st))
CALL_HOOK_PATH(
	int, __lxstat, lstat, -1, path, (int v, const char *path, struct stat *st), (v, path, st))
CALL_HOOK_PATH(int, __lxstat64, lstat, -1, path, (int v, const char *path, struct stat64 *st),
	(v, path, st))
CALL_HOOK(int, __fxstat, fstat, fd, (int v, int fd, struct stat *st), (v, fd, st))
CALL_HOOK(int, __fxstat64, fstat, fd, (int v, int fd, struct stat64 *st), (v, fd, st))
CALL_HOOK_PATH(int, __fxstatat, fstatat, dir, path,
	(int v, int dir, const char *path, struct stat *st, int flags), (v, dir, path, st, flags))
CALL_HOOK_PATH(int, __fxstatat64, fstatat, dir, path,
	(int v, int dir, const char *path, struct stat64 *st, int flags), (v, dir, path, st, flags))
CALL_HOOK_PATH(int, statx, statx, dir, path,
	(int dir, const char *path, int flags, unsigned mask, struct statx *st),
	(dir, path, flags, mask, st))
CALL_HOOK_PATH(int, statfs, statfs, -1, path, (const char *path, struct statfs *st), (path, st))
CALL_HOOK_PATH(int, statfs64, statfs, -1, path, (const char *path, struct statfs64 *st), (path, st))
CALL_HOOK(int, fstatfs, fstatfs, fd, (int fd, struct statfs *st), (fd, st))
CALL_HOOK(int, fstatfs64, fstatfs, fd, (int fd, struct statfs64 *st), (fd, st))

CALL_HOOK_PATH(int, access, access, -1, path, (const char *path, int mode), (path, mode))
CALL_HOOK_PATH(int, faccessat, faccessat, dir, path,
	(int dir, const char *path, int mode, int flags), (dir, path, mode, flags))
CALL_HOOK_PATH(int, unlink, unlink, -1, path, (const char *path), (path))
CALL_HOOK_PATH(int, unlinkat, unlinkat, dir, path, (int dir, const char *path, int flags),
	(dir, path, flags))
CALL_HOOK_PATH(int, rename, rename, -1, to, (const char *from, const char *to), (from, to))
CALL_HOOK_PATH(int, renameat, renameat, dir, to,
	(int dir, const char *from, int to_dir, const char *to), (dir, from, to_dir, to))
CALL_HOOK_PATH(int, renameat2, renameat2, dir, to,
	(int dir, const char *from, int to_dir, const char *to, unsigned flags),
	(dir, from, to_dir, to, flags))
CALL_HOOK_PATH(int, mkdir, mkdir, -1, path, (const char *path, mode_t mode), (path, mode))
CALL_HOOK_PATH(int, mkdirat, mkdirat, dir, path, (int dir, const char *path, mode_t mode),
	(dir, path, mode))
CALL_HOOK_PATH(int, rmdir, rmdir, -1, path, (const char *path), (path))
CALL_HOOK_PATH(int, link, link, -1, to, (const char *from, const char *to), (from, to))
CALL_HOOK_PATH(int, linkat, linkat, dir, to,
	(int dir, const char *from, int to_dir, const char *to, int flags),
	(dir, from, to_dir, to, flags))
CALL_HOOK_PATH(
	int, symlink, symlink, -1, path, (const char *target, const char *path), (target, path))
CALL_HOOK_PATH(int, symlinkat, symlinkat, dir, path,
	(const char *target, int dir, const char *path), (target, dir, path))
CALL_HOOK_PATH(ssize_t, readlink, readlink, -1, path, (const char *path, char *buf, size_t n),
	(path, buf, n))
CALL_HOOK_PATH(ssize_t, __readlink_chk, readlink, -1, path,
	(const char *path, char *buf, size_t n, size_t size), (path, buf, n, size))
CALL_HOOK_PATH(ssize_t, readlinkat, readlinkat, dir, path,
	(int dir, const char *path, char *buf, size_t n), (dir, path, buf, n))
CALL_HOOK_PATH(ssize_t, __readlinkat_chk, readlinkat, dir, path,
	(int dir, const char *path, char *buf, size_t n, size_t size), (dir, path, buf, n, size))
CALL_HOOK_PATH(int, chmod, chmod, -1, path, (const char *path, mode_t mode), (path, mode))
CALL_HOOK(int, fchmod, fchmod, fd, (int fd, mode_t mode), (fd, mode))
CALL_HOOK_PATH(int, fchmodat, fchmodat, dir, path,
	(int dir, const char *path, mode_t mode, int flags), (dir, path, mode, flags))
CALL_HOOK_PATH(
	int, chown, chown, -1, path, (const char *path, uid_t uid, gid_t gid), (path, uid, gid))
CALL_HOOK(int, fchown, fchown, fd, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
CALL_HOOK_PATH(
	int, lchown, lchown, -1, path, (const char *path, uid_t uid, gid_t gid), (path, uid, gid))
CALL_HOOK_PATH(int, fchownat, fchownat, dir, path,
	(int dir, const char *path, uid_t uid, gid_t gid, int flags), (dir, path, uid, gid, flags))
/* A NULL path means the descriptor itself. */
CALL_HOOK_PATH(int, utimensat, utimensat, dir, path,
	(int dir, const char *path, const struct timespec times[2], int flags),
	(dir, path, times, flags))
CALL_HOOK(int, futimens, futimens, fd, (int fd, const struct timespec times[2]), (fd, times))
CALL_HOOK_PATH(int, truncate, truncate, -1, path, (const char *path, off_t size), (path, size))
CALL_HOOK_PATH(int, truncate64, truncate, -1, path, (const char *path, off64_t size), (path, size))
CALL_HOOK_PATH(int, chdir, chdir, -1, path, (const char *path), (path))
CALL_HOOK(int, fchdir, fchdir, fd, (int fd), (fd))
CALL_HOOK(ssize_t, getdents64, getdents64, fd, (int fd, void *buf, size_t n), (fd, buf, n))

#define GETCWD_HOOK(name, params, args)                          \
	FR_REAL(name)                                            \
	FR_EXPORT char *name params                              \
	{                                                        \
		struct call call;                                \
		char *ret;                                       \
                                                                 \
		if (!CALL_BEGIN(&call, FR_CALL_getcwd, -1))      \
			return REAL(name) args;                  \
		ret = REAL(name) args;                           \
		call_end(&call, ret ? 0 : -(int64_t)errno, ret); \
		return ret;                                      \
	}

GETCWD_HOOK(getcwd, (char *buf, size_t n), (buf, n))
GETCWD_HOOK(__getcwd_chk, (char *buf, size_t n, size_t size), (buf, n, size))
