/* SPDX-License-Identifier: MIT */
/*
 * Shared by the parts of sched.h: sched.c (the thread, the ladder), sched_pack.c, sched_describe.c. Nobody else includes this.
 *
 * Lock: `mutex` guards everything; the thread holds it while it empties rings (every 25 ms, well below 1 ms) and looks at
 * the threads (once a second, 0.6 µs each).
 */
#pragma once

#include <pthread.h>

#include "recorder/sched.h"
#include "recorder/sched_history.h"
#include "recorder/sched_times.h"

/* What a switch costs the program where records of it are taken: the most that tests/bench/sched_cost.py has shown anywhere. */
#define SCHED_SWITCH_NS 1100
#define SCHED_BPF_NS 270
/* Of a core, while nothing but the flight recorder is on. */
#define SCHED_BUDGET 0.01
/* Above this many CPUs, events make the start of each thread noticeably dearer: it is said. */
#define SCHED_MANY_CPUS 32

struct sched_bpf;
struct sched_switch;

struct sched {
	struct sched_settings set;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* CLOCK_MONOTONIC: is_quitting */
	bool is_quitting;

	enum fr_sched_step best;     /* the highest step that is permitted */
	char *why_bpf, *why_switch;  /* owned clauses; NULL: not refused, or not tried */
	char *small;		     /* owned clause: rings are smaller than wished; NULL */
	char *why_attach;	     /* owned clause: records could not be taken up again; NULL */
	unsigned n_missed;	     /* threads without events since then */
	struct sched_bpf *bpf;	     /* owned; NULL: not at that step */
	struct sched_switch *events; /* owned; NULL: not at that step */
	bool is_resting;	     /* no records are taken: they would cost too much */
	uint64_t started_ns;	     /* when the program's process was there */
	uint64_t rested_ns;	     /* since then, or until the last time; 0: never */
	uint64_t drain_ns;	     /* between two readings of the rings */
	unsigned n_holds;

	struct sched_times *times;     /* owned; NULL: off */
	struct sched_history *history; /* owned; NULL at steps without records */
	GHashTable *named;	       /* owned: set of their tids, named since the last look */
	GHashTable *wakers;	       /* owned: tid of another program → its name, owned */
	uint64_t n_switches, n_wakeups;

	/* The rate that decides about resting. */
	uint64_t looked_ns, n_slices; /* since then */
	double switches_per_s;	      /* a mean of the last looks */
	unsigned n_over, n_under;     /* looks in a row that were for or against a rest */
};

/* What a switch costs at the step that is permitted, ns. */
unsigned sched_switch_cost(const struct sched *sched);

/* Reads what the kernel has recorded since the last time. Call with `mutex` held. */
void sched_drain(struct sched *sched);

/* Looks at all threads. Call with `mutex` held. */
void sched_look(struct sched *sched);

/* The step of which records are being taken just now. Call with `mutex` held. */
enum fr_sched_step sched_step(const struct sched *sched);
