/* SPDX-License-Identifier: MIT */
/* Maps and owns this process's blackbox (layout: proto/blackbox.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Creates RUNDIR/blackbox/NNNNN, maps it, fills the header and sets fr_blackbox and fr_proc. `parent_proc` is
 * the parent's number in the child of a fork, else 0. Returns 0, or -errno with a sentence in `why_out`.
 * The old mapping, if any, is given up (child of a fork). Context: init.
 */
int blackbox_open(const char *rundir, uint16_t parent_proc, char *why_out, size_t why_size);

/*
 * Makes [offset, offset + size) of the file exist, so that writing there cannot raise SIGBUS when the file
 * system is full. Returns 0 or -errno. Wait-free; the same range may be asked for by several threads.
 * Context: hook | signal.
 */
int blackbox_commit(uint64_t offset, uint64_t size);

/* Has all of [offset, offset + size) been committed? Reading elsewhere would allocate. Context: any. */
int blackbox_is_committed(uint64_t offset, uint64_t size);
