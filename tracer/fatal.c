/* SPDX-License-Identifier: MIT */
#include "tracer/fatal.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "tracer/internal.h"

/*
 * A fault inside our handler must reach it again, which is then left in the middle (fatal_signal.c): a blocked one would kill
 * with the wrong signal. On the program's alternate stack only where the other may be used up; such stacks are small.
 */
#define FATAL(number, more)                                                         \
	{                                                                           \
		.signal = (number), .flags = SA_NODEFER | (more), .is_nestable = 1, \
		.handler = fatal_on_signal,                                         \
	}

static struct disposition dispositions[] = {
	FATAL(SIGSEGV, SA_ONSTACK),
	FATAL(SIGBUS, 0),
	FATAL(SIGFPE, 0),
	FATAL(SIGILL, 0),
	FATAL(SIGTRAP, 0),
	FATAL(SIGSYS, 0),
	FATAL(SIGABRT, 0),
};

#define N_DISPOSITIONS (sizeof(dispositions) / sizeof(dispositions[0]))

static int is_started;

struct disposition *fatal_disposition(int number)
{
	unsigned i;

	for (i = 0; i < N_DISPOSITIONS && is_started; i++)
		if (dispositions[i].signal == number)
			return &dispositions[i];
	return NULL;
}

/* Has this object a note of Go's linker? */
static int has_go_note(const char *notes, size_t size)
{
	while (size >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)notes;
		size_t n = sizeof(*note) + ((note->n_namesz + 3u) & ~3u) +
			   ((note->n_descsz + 3u) & ~3u);

		if (note->n_namesz == 4 && n <= size &&
			memcmp(notes + sizeof(*note), "Go\0", 4) == 0)
			return 1;
		if (n > size)
			break;
		notes += n;
		size -= n;
	}
	return 0;
}

/* Of the program itself, which comes first. */
static int look_for_go(struct dl_phdr_info *info, size_t size, void *is_go)
{
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_NOTE)
			*(int *)is_go |= has_go_note(
				(const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
				info->dlpi_phdr[i].p_memsz);
	return 1;
}

void fatal_start(void)
{
	int is_go = 0;
	uint64_t mask;
	unsigned i;

	/*
	 * Go's runtime asks the kernel, not libc, what was there before its own handlers, would find ours, and hand it what it
	 * reports itself otherwise.
	 */
	dl_iterate_phdr(look_for_go, &is_go);
	if (is_go)
		return;
	mask = disposition_lock();
	for (i = 0; i < N_DISPOSITIONS; i++) {
		dispositions[i].is_wanted = 1;
		disposition_install(&dispositions[i]);
	}
	is_started = 1;
	disposition_unlock(mask);
}

void fatal_after_fork(void)
{
	unsigned i;

	fatal_signal_after_fork();
	for (i = 0; i < N_DISPOSITIONS && is_started; i++)
		disposition_after_fork(&dispositions[i]);
}
