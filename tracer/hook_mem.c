/* SPDX-License-Identifier: MIT */
/* The mmap family. */
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tracer/call.h"

/*
 * liblttng-ust maps the rings with MAP_POPULATE: the whole buffer would show in the program's memory from
 * the start. Without it the pages come as events are written.
 */
#define MMAP_HOOK(name, off)                                                            \
	FR_REAL(name)                                                                   \
	FR_EXPORT void *name(                                                           \
		void *address, size_t n, int protection, int flags, int fd, off offset) \
	{                                                                               \
		struct call call;                                                       \
		void *ret;                                                              \
                                                                                        \
		if (!CALL_BEGIN(&call, FR_CALL_mmap, fd)) {                             \
			if (fr_is_lttng(FR_RETURN()))                                   \
				flags &= ~MAP_POPULATE;                                 \
			return REAL(name)(address, n, protection, flags, fd, offset);   \
		}                                                                       \
		ret = REAL(name)(address, n, protection, flags, fd, offset);            \
		call_end(&call, CALL_RESULT(ret), NULL);                                \
		return ret;                                                             \
	}

MMAP_HOOK(mmap, off_t)
MMAP_HOOK(mmap64, off64_t)

FR_REAL(mremap)
FR_EXPORT void *mremap(void *address, size_t old_size, size_t new_size, int flags, ...)
{
	struct call call;
	va_list list;
	void *to, *ret;

	va_start(list, flags);
	to = va_arg(list, void *);
	va_end(list);
	if (!CALL_BEGIN(&call, FR_CALL_mremap, -1))
		return REAL(mremap)(address, old_size, new_size, flags, to);
	ret = REAL(mremap)(address, old_size, new_size, flags, to);
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

CALL_HOOK(int, munmap, munmap, -1, (void *address, size_t n), (address, n))
CALL_HOOK(int, mprotect, mprotect, -1, (void *address, size_t n, int protection),
	(address, n, protection))
CALL_HOOK(int, madvise, madvise, -1, (void *address, size_t n, int advice), (address, n, advice))
CALL_HOOK_RC(int, posix_madvise, madvise, -1, (void *address, size_t n, int advice),
	(address, n, advice))
CALL_HOOK(int, msync, msync, -1, (void *address, size_t n, int flags), (address, n, flags))
CALL_HOOK(int, mlock, mlock, -1, (const void *address, size_t n), (address, n))
CALL_HOOK(int, munlock, munlock, -1, (const void *address, size_t n), (address, n))
CALL_HOOK(int, brk, brk, -1, (void *address), (address))
CALL_HOOK(void *, sbrk, sbrk, -1, (intptr_t step), (step))
