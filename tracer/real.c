/* SPDX-License-Identifier: MIT */
#include "tracer/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

/* Bounds of the section that FR_REAL() fills, made by the linker. */
extern const struct fr_real __start_fr_reals[] __attribute__((visibility("hidden")));
extern const struct fr_real __stop_fr_reals[] __attribute__((visibility("hidden")));

static __thread int resolving __attribute__((tls_model("initial-exec")));

int real_is_resolving(void)
{
	return resolving;
}

static long no_such_function(void)
{
	errno = ENOSYS;
	return -1;
}

/*
 * dlsym() gives the newest version of a symbol. Functions whose older versions differ in behaviour are
 * named here with the version that programs of the last twenty years are linked with.
 */
static const char *version_of(const char *name)
{
#if defined(__x86_64__)
	if (strncmp(name, "pthread_cond_", 13) == 0 && !strstr(name, "clock"))
		return "GLIBC_2.3.2";
#endif
	return NULL;
}

void *real_find(const struct fr_real *entry)
{
	const char *version = version_of(entry->name);
	int saved_errno = errno;
	void *address = NULL;

	resolving++;
	if (version)
		address = dlvsym(RTLD_NEXT, entry->name, version);
	if (!address)
		address = dlsym(RTLD_NEXT, entry->name);
	resolving--;
	if (!address)
		address = (void *)no_such_function;
	__atomic_store_n(entry->address, address, __ATOMIC_RELAXED);
	errno = saved_errno;
	return address;
}

void real_init(void)
{
	const struct fr_real *entry;

	for (entry = __start_fr_reals; entry < __stop_fr_reals; entry++)
		if (!*entry->address)
			real_find(entry);
}
