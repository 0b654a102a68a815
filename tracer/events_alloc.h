/* SPDX-License-Identifier: MIT */
/* Tracepoints of flightrec_alloc; see event.h. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER flightrec_alloc

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tracer/events_alloc.h"

#if !defined(FR_EVENTS_ALLOC_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define FR_EVENTS_ALLOC_H

#include <lttng/tracepoint.h>

#include "tracer/event.h"

/* clang-format off */

LTTNG_UST_TRACEPOINT_ENUM(flightrec_alloc, kind, LTTNG_UST_TP_ENUM_VALUES(FR_ALLOC_TABLE(FR_ENUM_ALLOC)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_alloc, sample,
	LTTNG_UST_TP_ARGS(const struct fr_event_alloc *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_enum(flightrec_alloc, kind, uint8_t, kind, e->kind)
		lttng_ust_field_integer_hex(uint64_t, addr, e->addr)
		lttng_ust_field_integer(uint64_t, size, e->size)
		lttng_ust_field_integer(uint64_t, rate, e->rate)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_alloc, free,
	LTTNG_UST_TP_ARGS(const struct fr_event_alloc *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer_hex(uint64_t, addr, e->addr)
		lttng_ust_field_integer(uint64_t, size, e->size)
		lttng_ust_field_integer(uint64_t, age, e->age)))

/* clang-format on */

#endif

#include <lttng/tracepoint-event.h>
