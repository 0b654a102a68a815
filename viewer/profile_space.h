/* SPDX-License-Identifier: MIT */
/*
 * The address space of a profile. A profile may show several processes, but has one address space, and some readers
 * tell stacks apart by addresses alone. So the same file mapped by several processes is one mapping, where the
 * first of them had it; another file whose range is taken moves above all user addresses; and what is no code
 * has an address of its own there, too. Moved addresses come from names, so that they are the same in every
 * profile of the same processes: readers subtract one from the other. Single-threaded.
 */
#pragma once

#include "viewer/profile.h"

struct profile_space;

/* `profile` is borrowed. */
struct profile_space *profile_space_new(struct profile *profile);
void profile_space_free(struct profile_space *space);

/*
 * The id of the mapping of this file part, which is added unless it is there. *shift_out: to be added, modulo 2^64, to
 * the addresses inside `mapping` as the process has them.
 */
uint64_t profile_space_map(
	struct profile_space *space, const struct profile_mapping *mapping, uint64_t *shift_out);

/*
 * An address for something in no mapping. It is its own when no other process can have it (`process` 0) and
 * nothing is there; else one made from both numbers.
 */
uint64_t profile_space_address(struct profile_space *space, uint32_t process, uint64_t address);

/* The location of a frame that is no code, such as "[unknown]"; the same for the same name. */
uint64_t profile_space_pseudo(struct profile_space *space, const char *name);
