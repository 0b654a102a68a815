/* SPDX-License-Identifier: MIT */
/*
 * How each traced process ended, as far as the recorder could learn it: kept in RUNDIR/ends, by number of the process, so
 * that every reader of the blackboxes finds it there, also after the recorder's own death.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_ENDS_NAME "ends"

enum process_end_how {
	PROCESS_END_NONE = 0,	 /* it lives, or nobody was told */
	PROCESS_END_UNKNOWN = 1, /* gone, and this kernel does not say how */
	PROCESS_END_EXIT = 2,
	PROCESS_END_SIGNAL = 3,
	PROCESS_END_EXEC = 4, /* the process goes on as another program */
};

/* All numbers of 32 or 64 bits: this is the record in the file. */
struct process_end {
	uint32_t how; /* enum process_end_how */
	int32_t code; /* of EXIT */
	uint32_t signal;
	uint32_t is_core;
	uint32_t is_oom;    /* the cgroup counted a kill for want of memory */
	uint32_t is_traced; /* of EXEC: the new program has the tracer, too */
	uint64_t end_ns;    /* CLOCK_MONOTONIC, when it was noticed: within 10 ms of it */
};

/* From a wait status. */
void process_end_of_status(int status, struct process_end *end_out);

/* Notes how process number `proc` ended. Returns 0 or -errno. One writer only. */
int process_end_write(const char *rundir, uint16_t proc, const struct process_end *end);

/* What is noted; false, and zeros: nothing. */
bool process_end_read(const char *rundir, uint16_t proc, struct process_end *end_out);

/* "SIGSEGV", "SIGRTMIN+3", "signal 99"; to g_free(). */
char *process_signal_name(int number);

/* What the signal means, for people: "segmentation fault"; NULL: the name says it all. Static. */
const char *process_signal_meaning(int number);

/* The number of "USR2", "SIGUSR2", "RTMIN+3" or "12"; 0: there is no such signal. */
int process_signal_number(const char *name);
