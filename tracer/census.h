/* SPDX-License-Identifier: MIT */
/*
 * How many threads of the program there are. A process whose first thread has called pthread_exit() ends with
 * its last thread; liblttng-ust's threads and ours would keep it alive for ever, so the last of the program's calls
 * exit(0), as libc does.
 */
#pragma once

#include <stdint.h>

/* +1: a thread is about to be created, or was met that was not created through our hook; -1: that failed. */
void census_add(int step);

/* The calling thread is one of liblttng-ust's, or the tracer's: never traced, and not the program's. */
void census_add_own(void);

/* +1: a thread that will call census_add_own() is about to be created; -1: it has, or that failed. */
void census_own_starts(int step);

/* The calling thread is at its end. Does not return when it is the process's end, too. Context: its last act. */
void census_leave(uint32_t tid);

/* Child of a fork: one thread is left. */
void census_after_fork(void);

/* Is there no thread of the program's that began with our knowledge, but this one? Context: hook. */
int census_is_alone(void);

/* Has the program no thread but one, as far as is known? Context: any. */
int census_is_single(void);

/* tid of the i-th thread of this process that is liblttng-ust's or ours; 0: no such. i < CENSUS_MAX_OWN. */
#define CENSUS_MAX_OWN 16
uint32_t census_own(uint32_t i);
