/* SPDX-License-Identifier: MIT */
/*
 * exit() runs what was registered, last come first, and then the destructors of objects: those, too, are something that was
 * registered, when the program was started. Our constructor comes before that, so what it registers runs last of all,
 * and is told the status, whoever gave it.
 */
#include "tracer/exit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracer/internal.h"
#include "tracer/process.h"
#include "tracer/unwind_arch.h"

#define MAX_VARIABLES 65536
#define MAX_VALUE 4096

static void on_end(int status, void *unused)
{
	(void)unused;
	process_note_end(FR_EXIT_NORMAL, status);
}

static void on_quick_end(void)
{
	process_end(FR_EXIT_DIRECT, fr_blackbox ? fr_blackbox->exit_code : 0);
}

void exit_start(void)
{
	/* Without room for them the kind of end stays unknown. */
	(void)on_exit(on_end, NULL);
	(void)at_quick_exit(on_quick_end);
}

/*
 * An end without exit(): how forked children end. The blackbox says so, as the destructor does for exit().
 * Not in a vfork child, whose memory is its parent's.
 */
#define EXIT_HOOK(name)                              \
	FR_REAL(name)                                \
	FR_EXPORT void name(int status)              \
	{                                            \
		process_end(FR_EXIT_DIRECT, status); \
		REAL(name)(status);                  \
		__builtin_unreachable();             \
	}

EXIT_HOOK(_exit)
EXIT_HOOK(_Exit)

/* Only what was registered for that runs before; on_quick_end() comes last. */
FR_REAL(quick_exit)
FR_EXPORT void quick_exit(int status)
{
	process_note_end(FR_EXIT_DIRECT, status);
	REAL(quick_exit)(status);
	__builtin_unreachable();
}

static int is_readable(uintptr_t address)
{
	return address >= ARCH_PAGE && !(address >> ARCH_ADDRESS_BITS) &&
	       arch_probe(address & ~(uintptr_t)7);
}

/* Length of a text, at most `max`; -1 when its end cannot be read. */
UNWIND_RAW static long length(const char *text, long max)
{
	long n;

	for (n = 0; n < max; n++) {
		if ((n == 0 || ((uintptr_t)text + (uintptr_t)n) % ARCH_PAGE == 0) &&
			!is_readable((uintptr_t)text + (uintptr_t)n))
			return -1;
		if (!text[n])
			return n;
	}
	return max;
}

/* The next variable; NULL at the end, or where nothing can be read. */
static const char *variable(char *const *env, unsigned i)
{
	if ((i == 0 || (uintptr_t)&env[i] % ARCH_PAGE == 0) && !is_readable((uintptr_t)&env[i]))
		return NULL;
	return env[i];
}

/* `key` ends in "=". Is this it? Then *n_out is the length of the value that follows. */
static const char *value_of(const char *text, const char *key, long *n_out)
{
	size_t n = strlen(key);
	long total = length(text, MAX_VALUE);

	if (total < (long)n || memcmp(text, key, n) != 0)
		return NULL;
	*n_out = total - (long)n;
	return text + n;
}

int exit_is_env_traced(char *const *env)
{
	static const char name[] = "libflightrec.so";
	const char *rundir = process_rundir(), *text;
	int has_library = 0, has_dir = 0;
	unsigned i;

	for (i = 0; i < MAX_VARIABLES && env && (text = variable(env, i)); i++) {
		const char *value;
		long n;

		value = value_of(text, "LD_PRELOAD=", &n);
		if (value)
			has_library = memmem(value, (size_t)n, name, sizeof(name) - 1) != NULL;
		value = value_of(text, FR_ENV_DIR "=", &n);
		if (value)
			has_dir = (size_t)n == strlen(rundir) &&
				  memcmp(value, rundir, (size_t)n) == 0;
	}
	return has_library && has_dir;
}
