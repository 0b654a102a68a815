/* SPDX-License-Identifier: MIT */
/* The variable that a lock is, or lies in. */
#pragma once

#include <stdint.h>

#include "recorder/profile_process.h"

struct lock_names;

/* Remembers what it was asked. Single-threaded. */
struct lock_names *lock_names_new(void);
void lock_names_free(struct lock_names *names);

/*
 * "shelves+0x8" for an address inside a variable that the program or a library has a symbol for, else NULL (locks on
 * the heap and on stacks). Reads symbol tables; borrowed until lock_names_free().
 */
const char *lock_names_find(
	struct lock_names *names, const struct profile_process *process, uint64_t address);
