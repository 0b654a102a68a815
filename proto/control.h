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
 */
#pragma once

#include <stdint.h>

#define FR_ENV_DIR "FLIGHTREC_DIR"
#define FR_CONTROL_MAGIC 0x4c544352u /* "RCTL" */
#define FR_CONTROL_VERSION 1

struct fr_control {
	uint32_t magic;
	uint32_t version;
	uint32_t events;      /* FR_EVENTS_* wanted */
	uint32_t is_run;      /* a run or trace is on: record system calls below ring_syscall_ns too */
	uint64_t lock_ns;     /* --lock-threshold: shorter lock waits are counted, not recorded */
	uint64_t syscall_ns;  /* --syscall-threshold: applies always */
	uint64_t ring_syscall_ns; /* while only the ring records: max(syscall_ns, this) applies */
	uint64_t alloc_rate;  /* --alloc-rate: mean bytes between samples; 0 off, 1 every allocation */
	uint32_t stack_depth; /* frames kept per stack */
	uint32_t recorder_pid; /* its first child may say on stderr why it is not traced; others keep quiet */
	uint32_t reserved[14];
};
