/* SPDX-License-Identifier: MIT */
/*
 * Profiles that the program makes itself, in the blackbox: names, and what is in each of them now: key → stack.
 * All functions are wait-free, and may be called from any thread. Context: hook, while fr_on.
 */
#pragma once

#include <stdint.h>

/* Makes a profile. Its index, or -EEXIST, or -ENOSPC (counted). `name` has at most CUSTOM_NAME_MAX bytes. */
#define CUSTOM_NAME_MAX 63
int custom_new(const char *name);

/* The index of a profile, or -ENOENT. */
int custom_find(const char *name);

/* The name of an index; "" when there is no such profile. Lives as long as the process. */
const char *custom_name(int index);

/* Entries in it now. */
uint64_t custom_count(int index);

/*
 * Adds an entry. 0, -EEXIST when the key is in the profile, -ENOSPC when there is no room near its place (counted). Of two
 * threads that add the same key at once, one is refused, or both.
 */
int custom_add(int index, uint64_t key, uint32_t stack);

/* Takes an entry out, if it is there. */
void custom_remove(int index, uint64_t key);

/* Child of a fork: the profiles are there, and empty. */
void custom_after_fork(void);
