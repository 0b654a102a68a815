/* SPDX-License-Identifier: MIT */
/*
 * RUNDIR/control: settings that the recorder writes and every traced process maps read-only. All
 * fields but magic and version may change while programs run; the tracer loads them relaxed, each on
 * its own, so no two of them are ever read as a pair that must agree.
 *
 * RUNDIR is passed in the environment variable FLIGHTREC_DIR. It holds:
 *   control          this file
 *   blackbox/NNNNN   one file per process (proto/blackbox.h); NNNNN is `proc`, 1..65535
 *   lttng/           LTTNG_HOME of the private session daemon
 *   kept/            second names of the ring's files, and what the recorder alone writes and reads: ends, how
 *                    each process ended, and command, for --recover
 */
#pragma once

#include <stdint.h>

#define FR_ENV_DIR "FLIGHTREC_DIR"
#define FR_CONTROL_MAGIC 0x4c544352u /* "RCTL" */
#define FR_CONTROL_VERSION 3
#define FR_CONTROL_MAX_SLOW 8

/* --on-slow NAME=TIME: a region or task of this type (empty: any) that took so long fires a trigger. */
struct fr_slow_rule {
	char type[40];
	uint64_t ns;
};

struct fr_control {
	uint32_t magic;
	uint32_t version;
	uint32_t events;  /* FR_EVENTS_* wanted */
	uint32_t is_run;  /* a run or trace is on: record system calls below ring_syscall_ns too */
	uint64_t lock_ns; /* --lock-threshold: shorter lock waits are counted, not recorded */
	uint64_t syscall_ns;	  /* --syscall-threshold: applies always */
	uint64_t ring_syscall_ns; /* while only the ring records: max(syscall_ns, this) applies */
	uint64_t
		alloc_rate; /* --alloc-rate: mean bytes between samples; 0 off, 1 every allocation */
	uint32_t stack_depth; /* frames kept per stack */
	uint32_t
		recorder_pid; /* its first child may say on stderr why it is not traced; others keep quiet */

	/*
	 * Orders to the tracer's own thread in each process (blackbox: helper_tid). The recorder writes them, adds 1 to
	 * command_seq with release, and wakes all who wait for that word (FUTEX_WAKE, shared). A process that
	 * has carried them out says so in its blackbox: helper_seq.
	 */
	uint32_t command_seq;
	uint32_t cpu_hz; /* CPU samples per second of CPU time and thread; 0 off */
	uint32_t
		dump_seq; /* changed: every thread that runs writes its stack into its slot (dump_*) */
	uint32_t dump_proc; /* only this process; 0: all */

	/* Rates of the profiles of lock waits, with the meaning Go gives them. */
	uint64_t
		block_rate_ns; /* 0 off, 1 every wait; else shorter ones with probability wait/rate */
	uint32_t mutex_fraction; /* 0 off, 1 every wait, n: one in n */
	uint32_t n_slow;	 /* of `slow`; they never change once a program runs */

	/*
	 * Waits and calls of this length or more also tell what the scheduler did to the thread (flightrec_sched:delay);
	 * 0: off, where the recorder has records of the kernel.
	 */
	uint64_t delay_ns;

	/* Triggers: a lock wait, a call that is no waiting for work (enum fr_call_class), of that length; 0: none. */
	uint64_t trigger_lock_ns, trigger_call_ns;
	struct fr_slow_rule slow[FR_CONTROL_MAX_SLOW];
	uint32_t reserved[8];
};
