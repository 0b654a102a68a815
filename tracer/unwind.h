/* SPDX-License-Identifier: MIT */
/* The stack walk: registers of a frame → return addresses. Safe in hooks and in signal handlers. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Where a walk starts: a frame's registers. For a hook: the state just after the hook returned. */
struct unwind_start {
	uintptr_t pc; /* a return address when is_call is set, else an exact pc (signal handler) */
	uintptr_t sp; /* stack pointer in that frame */
	uintptr_t fp; /* frame pointer register in that frame */
	uintptr_t bx; /* rbx where known, else 0 */
	int is_call;
};

/* Stack that may be read: [lo, hi). Reads outside never happen. */
struct unwind_bounds {
	uintptr_t lo, hi;
};

/*
 * Writes at most `max` addresses, leaf first, start->pc included, to frames_out. Returns their number.
 * *flags_out gets FR_STACK_* bits (proto/schema.h). Makes no call but _dl_find_object.
 * Context: hook | signal.
 */
size_t unwind_walk(const struct unwind_start *start, const struct unwind_bounds *bounds,
	uintptr_t *frames_out, size_t max, unsigned *flags_out);

/* Forgets all cached rules: call after dlclose, and after dlopen. Context: hook. */
void unwind_invalidate(void);

/*
 * While `is_closing` a cache miss refuses to read unwind tables (the walk is then marked broken), since a
 * module may be unmapped under it. Nestable. Context: hook (around the real dlclose).
 */
void unwind_closing(int is_closing);

/* Called on the first miss in an object since start or unwind_invalidate(), so that modules.c learns of it; may be NULL. */
struct dl_find_object;
extern void (*unwind_on_object)(const struct dl_find_object *object);
