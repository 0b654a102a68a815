/* SPDX-License-Identifier: MIT */
/*
 * Allocations that the program tells of itself. They are followed apart from those of malloc, since the first object of
 * an arena may begin where the arena's own block does.
 */
#include "tracer/alloc.h"
#include "tracer/flightrec.h"

FR_EXPORT void flightrec_alloc(const void *p, size_t size)
{
	if (p)
		ALLOC_COUNT((uintptr_t)p | FR_LIVE_USER, size, FR_ALLOC_USER);
}

FR_EXPORT void flightrec_free(const void *p)
{
	struct live_object object;

	if (unlikely(live_maybe((uintptr_t)p | FR_LIVE_USER)) && p &&
		alloc_forget((uintptr_t)p | FR_LIVE_USER, &object))
		alloc_freed(&object, FR_FRAME());
}
