/* SPDX-License-Identifier: MIT */
/* What keeps a step of the ladder from being used: a clause with the cause and the remedy, to g_free(). */
#pragma once

/* BPF cannot be used where we are, whatever our privileges; NULL: it can. */
char *sched_refusal_of_place(void);

/* This build has no BPF program. */
char *sched_refusal_of_build(void);

/* Loading or starting it gave `err` (-errno). */
char *sched_refusal_of_bpf(int err);

/* perf_event_open() for the program, or the mapping of a ring (is_ring), gave `err` (-errno). */
char *sched_refusal_of_events(int err, int is_ring);
