/* SPDX-License-Identifier: MIT */
/* Tracepoints of flightrec_thread; see event.h. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER flightrec_thread

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tracer/events_thread.h"

#if !defined(FR_EVENTS_THREAD_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define FR_EVENTS_THREAD_H

#include <lttng/tracepoint.h>

#include "tracer/event.h"

/* clang-format off */

LTTNG_UST_TRACEPOINT_EVENT(flightrec_thread, start,
	LTTNG_UST_TP_ARGS(const struct fr_event_thread *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint32_t, creator, e->creator)
		lttng_ust_field_integer_hex(uint64_t, start_routine, e->start_routine)
		lttng_ust_field_string(name, e->name)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_thread, exit,
	LTTNG_UST_TP_ARGS(const struct fr_event_thread *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint64_t, cpu, e->cpu)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_thread, name,
	LTTNG_UST_TP_ARGS(const struct fr_event_thread *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_string(name, e->name)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_thread, process,
	LTTNG_UST_TP_ARGS(const struct fr_event_thread *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint32_t, pid, e->pid)
		lttng_ust_field_integer(uint32_t, ppid, e->ppid)
		lttng_ust_field_integer(uint32_t, parent_proc, e->parent_proc)
		lttng_ust_field_string(exe, e->name)))

/* clang-format on */

#endif

#include <lttng/tracepoint-event.h>
