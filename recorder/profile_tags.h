/* SPDX-License-Identifier: MIT */
/* The labels that threads have now, for the perf engine: it asks for each sample. One thread at a time. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct profile_tags;

/* Of the processes that are traced now; `rundir` as for profile_processes_open(). */
struct profile_tags *profile_tags_new(const char *rundir);
void profile_tags_free(struct profile_tags *tags);

/* Id of the label set of a thread, for blackbox_label(); 0: none, or not traced. `data` is the profile_tags. */
uint32_t profile_tags_get(void *data, pid_t pid, pid_t tid);
