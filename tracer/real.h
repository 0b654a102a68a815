/* SPDX-License-Identifier: MIT */
/*
 * The functions behind our hooks: the next definition after ours in the loader's order, which is libc's
 * or that of another preloaded library (a malloc, for one).
 *
 * All are looked up at once in our constructor, since dlsym() takes the loader's lock and hooks may not.
 * Hooks that run before it (ld.so's own malloc calls, constructors of libraries loaded ahead of us, all
 * while the process has one thread) look up theirs on first use.
 */
#pragma once

#include <stddef.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define FR_EXPORT __attribute__((visibility("default")))

struct fr_real {
	const char *name;
	void **address;
};

/* Declares the real function `name`, whose prototype is in scope. One per hook, at file level. */
#define FR_REAL(name)                                                                              \
	static __typeof__(name) *fr_real_##name;                                                   \
	__attribute__((used, section("fr_reals"))) static const struct fr_real fr_entry_##name = { \
		#name, (void **)&fr_real_##name                                                    \
	};

/* The real function, ready to be called. */
#define REAL(name) \
	(likely(fr_real_##name) ? fr_real_##name : (__typeof__(name) *)real_find(&fr_entry_##name))

/*
 * Looks one function up and remembers it. Where libc has none (an older libc), a function that fails
 * with ENOSYS takes its place. Context: hook before the constructor; init.
 */
void *real_find(const struct fr_real *entry);

/* Looks all functions up. Context: init. */
void real_init(void);

/* Non-zero while this thread is inside dlsym() for us: malloc must then not look anything up. */
int real_is_resolving(void);
