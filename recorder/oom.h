/* SPDX-License-Identifier: MIT */
/* Whether SIGKILL came from the kernel for want of memory: what the counters of cgroups say about it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct oom;

/* Not thread-safe: for one thread, or under its lock. */
struct oom *oom_new(void);
void oom_free(struct oom *oom);

/*
 * Finds the counter of the process's cgroup, and what it says now. Returns a number for oom_has_killed(); -1: it has none
 * that can be read. At most OOM_MAX_GROUPS different cgroups.
 */
#define OOM_MAX_GROUPS 64
int oom_add(struct oom *oom, pid_t pid);

/* Once a second: kills of processes that are not ours are not counted for one that dies later. */
void oom_tick(struct oom *oom);

/*
 * True when the counter has gone up within the last seconds. Each kill that it counted is answered once: call it for
 * processes that SIGKILL has ended, and for no others.
 */
bool oom_has_killed(struct oom *oom, int group);

/*
 * The counter of one file: the line "oom_kill N" of a memory.events or memory.oom_control. -1: there is none. For tests, too.
 */
long long oom_parse(const char *text);
