/* SPDX-License-Identifier: MIT */
/*
 * Tasks and regions, where flightrec.h is there at compile time. Everything else that a trace shows
 * of this program needs neither the header nor a rebuild.
 */
#pragma once

#include <stdint.h>

#ifdef HAVE_FLIGHTREC
#else
static inline uint64_t task_begin(const char *type)
{
	return 0;
}

static inline void task_end(uint64_t task)
{
}

static inline void region_begin(uint64_t task, const char *type)
{
}

static inline void region_end(uint64_t task, const char *type)
{
}
#endif
