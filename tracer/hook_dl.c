/* SPDX-License-Identifier: MIT */
/*
 * dlclose() invalidates: addresses are given out again at once, and what is remembered of them is then
 * wrong. dlopen() is left alone (dlopen.S): new modules are met by the stack walk.
 *
 * iconv_close() may unload conversion modules behind our back. Like dlclose() it is nothing for signal
 * handlers, so the loader may be asked afterwards.
 */
#include <dlfcn.h>
#include <iconv.h>
#include <string.h>

#include "tracer/internal.h"
#include "tracer/modules.h"

/* For dlopen.S. */
void *fr_real_dlopen __attribute__((visibility("hidden")));
int fr_answers_dlopen;
void *fr_find_dlopen(void) __attribute__((visibility("hidden")));
void *fr_answer_dlopen(const char *path, int flags) __attribute__((visibility("hidden")));
__attribute__((used, section("fr_reals"))) static const struct fr_real fr_entry_dlopen = { "dlopen",
	&fr_real_dlopen };

void *fr_find_dlopen(void)
{
	return real_find(&fr_entry_dlopen);
}

/*
 * For liblttng-ust alone, where it starts anew in the child of a fork: another thread of the parent may have been
 * inside the loader, whose state the child then has for ever, and libc would end it ("r_state == RT_CONSISTENT").
 * It opens itself only to stay loaded, and asks no more than whether that went well. What it would look up symbols
 * with (its tracepoint library again, which only happens after a fork beside exit()) it does not get: it can do without.
 */
void *fr_answer_dlopen(const char *path, int flags)
{
	(void)flags;
	return path && strncmp(path, "liblttng-ust.so", 15) == 0 ? &fr_answers_dlopen : NULL;
}

FR_REAL(dlclose)
FR_EXPORT int dlclose(void *handle)
{
	struct fr_thread *t = &fr_self;
	int ret;

	if (unlikely(fr_answers_dlopen))
		return 0;
	if (!fr_on)
		return REAL(dlclose)(handle);
	/* Destructors of the library run inside: the guard is not held, but no table may be read that goes away. */
	unwind_closing(1);
	ret = REAL(dlclose)(handle);
	unwind_invalidate();
	unwind_closing(0);
	if (guard_enter(t, FR_FRAME())) {
		int saved_errno = errno;

		modules_scan();
		guard_leave(t);
		errno = saved_errno;
	}
	return ret;
}

FR_REAL(iconv_close)
FR_EXPORT int iconv_close(iconv_t descriptor)
{
	struct fr_thread *t = &fr_self;
	int ret;

	if (!fr_on)
		return REAL(iconv_close)(descriptor);
	unwind_closing(1);
	ret = REAL(iconv_close)(descriptor);
	unwind_closing(0);
	if (guard_enter(t, FR_FRAME())) {
		int saved_errno = errno;

		modules_poll();
		guard_leave(t);
		errno = saved_errno;
	}
	return ret;
}
