/* SPDX-License-Identifier: MIT */
/*
 * The one unit that instantiates the tracepoints and their probes. It comes first in the link, so that
 * the constructors that register the providers run before ours (init.c), which emits the first event.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "tracer/events_lock.h"
#include "tracer/events_sched.h"
#include "tracer/events_syscall.h"
#include "tracer/events_alloc.h"
#include "tracer/events_thread.h"
#include "tracer/events_user.h"
