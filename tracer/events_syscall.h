/* SPDX-License-Identifier: MIT */
/* Tracepoints of flightrec_syscall; see event.h. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER flightrec_syscall

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tracer/events_syscall.h"

#if !defined(FR_EVENTS_SYSCALL_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define FR_EVENTS_SYSCALL_H

#include <lttng/tracepoint.h>

#include "tracer/event.h"

/* clang-format off */

LTTNG_UST_TRACEPOINT_ENUM(flightrec_syscall, call, LTTNG_UST_TP_ENUM_VALUES(FR_CALL_TABLE(FR_ENUM_CALL)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_syscall, call,
	LTTNG_UST_TP_ARGS(const struct fr_event_call *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_enum(flightrec_syscall, call, uint16_t, call, e->call)
		lttng_ust_field_integer(int32_t, fd, e->fd)
		lttng_ust_field_integer(int64_t, ret, e->ret)
		lttng_ust_field_integer(uint64_t, dur, e->dur)))

LTTNG_UST_TRACEPOINT_EVENT(flightrec_syscall, path,
	LTTNG_UST_TP_ARGS(const struct fr_event_call *, e),
	LTTNG_UST_TP_FIELDS(
		FR_COMMON_FIELDS
		lttng_ust_field_enum(flightrec_syscall, call, uint16_t, call, e->call)
		lttng_ust_field_integer(int32_t, fd, e->fd)
		lttng_ust_field_integer(int64_t, ret, e->ret)
		lttng_ust_field_integer(uint64_t, dur, e->dur)
		lttng_ust_field_string(path, e->path)))

/* clang-format on */

#endif

#include <lttng/tracepoint-event.h>
