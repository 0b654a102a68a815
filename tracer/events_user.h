/* SPDX-License-Identifier: MIT */
/* Tracepoints of flightrec_user; see event.h. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER flightrec_user

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tracer/events_user.h"

#if !defined(FR_EVENTS_USER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define FR_EVENTS_USER_H

#include <lttng/tracepoint.h>

#include "tracer/event.h"

/* clang-format off */

LTTNG_UST_TRACEPOINT_EVENT(flightrec_user, task_begin,
	LTTNG_UST_TP_ARGS(const struct fr_event_user *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint64_t, task, e->task)
		lttng_ust_field_integer(uint64_t, parent, e->parent)
		lttng_ust_field_string(type, e->name)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_user, task_end,
	LTTNG_UST_TP_ARGS(const struct fr_event_user *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint64_t, task, e->task)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_user, region_begin,
	LTTNG_UST_TP_ARGS(const struct fr_event_user *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint64_t, task, e->task)
		lttng_ust_field_string(type, e->name)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_user, region_end,
	LTTNG_UST_TP_ARGS(const struct fr_event_user *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint64_t, task, e->task)
		lttng_ust_field_string(type, e->name)
		lttng_ust_field_integer(uint64_t, dur, e->dur)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_user, log,
	LTTNG_UST_TP_ARGS(const struct fr_event_user *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_integer(uint64_t, task, e->task)
		lttng_ust_field_string(category, e->name)
		lttng_ust_field_string(message, e->text)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_user, counter,
	LTTNG_UST_TP_ARGS(const struct fr_event_user *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_string(name, e->name)
		lttng_ust_field_integer(int64_t, value, e->value)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_user, label,
	LTTNG_UST_TP_ARGS(const struct fr_event_user *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_string(labels, e->text)))

/* clang-format on */

#endif

#include <lttng/tracepoint-event.h>
