/* SPDX-License-Identifier: MIT */
/* What fired, as a sentence for people. */
#pragma once

#include "recorder/trace_out.h"
#include "recorder/watch.h"

/*
 * "region request took 312ms, 250ms or more asked for, in server (pid 12)". `process` NULL: of none in particular. To
 * g_free().
 */
char *trigger_words(const struct trace_trigger *trigger, const struct watch_process *process);
