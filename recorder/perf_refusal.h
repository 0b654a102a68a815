/* SPDX-License-Identifier: MIT */
/* What the kernel means when it refuses perf events, in one sentence with the remedy. To g_free(). */
#pragma once

#include <sys/types.h>

/* perf_event_open() gave `err` (-errno) for process `pid`, or with 0 for ourselves. */
char *perf_refusal(int err, pid_t pid);

/* kernel.perf_event_paranoid; -2: unknown. */
int perf_refusal_paranoid(void);

/* The ring could not be mapped. */
char *perf_refusal_of_rings(int err);
