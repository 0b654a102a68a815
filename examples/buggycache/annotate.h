/* SPDX-License-Identifier: MIT */
/*
 * Names the service's own operations in traces. The references are weak: nothing is linked, and
 * without the recorder these do nothing. All else that a trace shows needs no such help.
 */
#pragma once

#include "tracer/flightrec.h"

#pragma weak flightrec_task_begin
#pragma weak flightrec_task_end
#pragma weak flightrec_region_begin
#pragma weak flightrec_region_end

static inline flightrec_task_t task_begin(const char *type)
{
	return flightrec_task_begin ? flightrec_task_begin(0, type) : 0;
}

static inline void task_end(flightrec_task_t task)
{
	if (flightrec_task_end)
		flightrec_task_end(task);
}

static inline flightrec_region_t region_begin(flightrec_task_t task, const char *type)
{
	return flightrec_region_begin ? flightrec_region_begin(task, type) : 0;
}

static inline void region_end(flightrec_region_t region)
{
	if (flightrec_region_end)
		flightrec_region_end(region);
}
