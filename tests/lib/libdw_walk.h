/* SPDX-License-Identifier: MIT */
/* What libdw says of a stack: it unwinds a copy of registers and stack, with the tables of a process that is still there. */
#pragma once

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "tracer/unwind.h"

struct libdw_copy {
	const uint64_t *registers; /* borrowed: 17, by DWARF number; 16 is the pc */
	const uint8_t *stack;	   /* borrowed */
	uint64_t stack_at;	   /* where it was */
	size_t n_stack;		   /* bytes */
};

struct libdw_frames {
	uint64_t *addr;
	size_t n, max;
};

static const struct libdw_copy *libdw_now; /* what the callbacks look at */

static inline pid_t libdw_next_thread(Dwfl *dwfl, void *unused, void **thread_inout)
{
	(void)unused;
	if (*thread_inout)
		return 0;
	*thread_inout = &libdw_now;
	return dwfl_pid(dwfl);
}

static inline bool libdw_read_memory(
	Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *unused)
{
	uint64_t offset = address - libdw_now->stack_at;

	(void)dwfl;
	(void)unused;
	if (libdw_now->n_stack < 8 || offset > libdw_now->n_stack - 8)
		return false;
	memcpy(result, libdw_now->stack + offset, sizeof(*result));
	return true;
}

static inline bool libdw_set_registers(Dwfl_Thread *thread, void *unused)
{
	Dwarf_Word words[17];

	(void)unused;
	for (unsigned i = 0; i < 17; i++)
		words[i] = libdw_now->registers[i];
	return dwfl_thread_state_registers(thread, 0, 17, words);
}

static inline int libdw_take_frame(Dwfl_Frame *frame, void *argument)
{
	struct libdw_frames *frames = argument;
	bool is_exact;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(frame, &pc, &is_exact) || frames->n == frames->max)
		return DWARF_CB_ABORT;
	if (pc != 0)
		frames->addr[frames->n++] = pc + is_exact;
	return DWARF_CB_OK;
}

static inline int libdw_take_thread(Dwfl_Thread *thread, void *argument)
{
	return dwfl_thread_getframes(thread, libdw_take_frame, argument) == 0 ? DWARF_CB_OK
									      : DWARF_CB_ABORT;
}

/* The objects of a process as they are mapped now. NULL: dwfl_errmsg(-1) says why. Ends with dwfl_end(). */
static inline Dwfl *libdw_open(pid_t pid)
{
	static char *no_path;
	static const Dwfl_Callbacks callbacks = { .find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.debuginfo_path = &no_path };
	static const Dwfl_Thread_Callbacks thread_callbacks = { .next_thread = libdw_next_thread,
		.memory_read = libdw_read_memory,
		.set_initial_registers = libdw_set_registers };
	Dwfl *dwfl = dwfl_begin(&callbacks);

	if (dwfl && dwfl_linux_proc_report(dwfl, pid) == 0 &&
		dwfl_report_end(dwfl, NULL, NULL) == 0 &&
		dwfl_attach_state(dwfl, NULL, pid, &thread_callbacks, NULL))
		return dwfl;
	if (dwfl)
		dwfl_end(dwfl);
	return NULL;
}

/*
 * Up to `max` addresses, innermost first; exact ones (the interrupted pc, trampolines) plus one, as the walk writes them.
 * Returns their number. *is_stopped_out (or NULL): libdw gave up with an error.
 */
static inline size_t libdw_walk(Dwfl *dwfl, const struct libdw_copy *copy, uint64_t *addr_out,
	size_t max, bool *is_stopped_out)
{
	struct libdw_frames frames = { addr_out, 0, max };
	bool is_stopped;

	libdw_now = copy;
	is_stopped = dwfl_getthreads(dwfl, libdw_take_thread, &frames) != 0;
	if (is_stopped_out)
		*is_stopped_out = is_stopped;
	/*
	 * While libgcc installs a landing pad its tables are wrong for some instructions, and libdw ends with
	 * an address that is none: a small number, or one above all of user memory. The walk does not write such a one.
	 */
	while (frames.n > 0 &&
		addr_out[frames.n - 1] - ARCH_PAGE >= (1ull << ARCH_ADDRESS_BITS) - ARCH_PAGE)
		frames.n--;
	return frames.n;
}
