/* SPDX-License-Identifier: MIT */
/* Tracepoints of flightrec_lock; see event.h. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER flightrec_lock

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tracer/events_lock.h"

#if !defined(FR_EVENTS_LOCK_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define FR_EVENTS_LOCK_H

#include <lttng/tracepoint.h>

#include "tracer/event.h"

/* clang-format off */

LTTNG_UST_TRACEPOINT_ENUM(flightrec_lock, kind, LTTNG_UST_TP_ENUM_VALUES(FR_LOCK_TABLE(FR_ENUM_LOCK)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_lock, wait,
	LTTNG_UST_TP_ARGS(const struct fr_event_wait *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_enum(flightrec_lock, kind, uint8_t, kind, e->kind)
		lttng_ust_field_integer_hex(uint64_t, obj, e->obj)
		lttng_ust_field_integer(uint64_t, dur, e->dur)
		lttng_ust_field_integer(uint32_t, holder, e->holder)
		lttng_ust_field_integer(uint32_t, holder_stack, e->holder_stack)
		lttng_ust_field_integer(int32_t, ret, e->ret)
		lttng_ust_field_integer(uint64_t, wake, e->wake)))

/* clang-format on */

#endif

#include <lttng/tracepoint-event.h>
