/* SPDX-License-Identifier: MIT */
/* Interning of stacks into the blackbox: addresses → 32-bit id. Wait-free, bounded, signal-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fr_blackbox;

/*
 * Binds the table to a mapped blackbox whose regions are laid out and empty (start, and child of fork).
 * `commit` makes [offset, offset+size) of the file really exist (so that a full tmpfs is an error, not a
 * SIGBUS); it returns 0 or -errno, may be called by several threads at once for the same range, and is
 * async-signal-safe. Index and arena are committed here as they fill, nothing in advance; offsets and
 * sizes are multiples of 4096 as long as the regions' are. Context: init.
 */
void stack_init(struct fr_blackbox *blackbox, int (*commit)(uint64_t offset, uint64_t size));

/*
 * The id of this stack, inserted when new. FR_STACK_NONE for n == 0 and before stack_init(),
 * FR_STACK_OVERFLOW when the table is full or cannot grow (counted in counters.stacks_overflow).
 * Counts new stacks in counters.stacks. At most FR_STACK_MAX_FRAMES addresses are kept (then FR_STACK_CUT
 * is added). Makes no call but commit(). Context: hook | signal.
 */
uint32_t stack_intern(const uintptr_t *addr, size_t n, unsigned flags);
