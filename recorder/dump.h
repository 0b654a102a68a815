/* SPDX-License-Identifier: MIT */
/* Every thread's stack, state and what it waits for, for people: goroutine?debug=2. */
#pragma once

#include <stdint.h>

#include <glib.h>

#include "common/symbol.h"

/*
 * Appends one block per thread, in the form of Go's traceback, those that run first; before them the deadlocks there
 * are. `processes` of profile_processes_open(); `wanted` is the number of the question to the threads
 * (orders_dump()), 0: nobody was asked. At most 64 MiB; what is beyond is said to be cut.
 */
void dump_write(
	const GPtrArray *processes, uint32_t wanted, struct symbol_cache *cache, GString *out);
