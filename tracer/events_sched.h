/* SPDX-License-Identifier: MIT */
/* Tracepoints of flightrec_sched; see event.h. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER flightrec_sched

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tracer/events_sched.h"

#if !defined(FR_EVENTS_SCHED_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define FR_EVENTS_SCHED_H

#include <lttng/tracepoint.h>

#include "tracer/event.h"

/* clang-format off */

LTTNG_UST_TRACEPOINT_ENUM(flightrec_sched, call, LTTNG_UST_TP_ENUM_VALUES(FR_CALL_TABLE(FR_ENUM_CALL)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_sched, woken,
	LTTNG_UST_TP_ARGS(const struct fr_event_woken *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_enum(flightrec_sched, call, uint16_t, call, e->call)
		lttng_ust_field_integer(int32_t, fd, e->fd)
		lttng_ust_field_integer(uint64_t, obj, e->obj)
		lttng_ust_field_integer(uint64_t, dur, e->dur)
		lttng_ust_field_integer(uint32_t, waker, e->waker)
		lttng_ust_field_integer(uint32_t, waker_stack, e->waker_stack)
		lttng_ust_field_integer(uint64_t, wake, e->wake)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_sched, delay,
	LTTNG_UST_TP_ARGS(const struct fr_event_delay *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint64_t, interval, e->interval)
		lttng_ust_field_integer(uint64_t, dur, e->dur)
		lttng_ust_field_integer(uint64_t, delay, e->delay)
		lttng_ust_field_integer(uint64_t, cpu, e->cpu)
		lttng_ust_field_integer(uint32_t, voluntary, e->voluntary)
		lttng_ust_field_integer(uint32_t, involuntary, e->involuntary)))

/* clang-format on */

#endif

#include <lttng/tracepoint-event.h>
