/* SPDX-License-Identifier: MIT */
/*
 * The tracer's own thread in the program: it waits for orders of the recorder (fr_control.command_seq) and carries
 * them out. A pthread like any other to libc, which broadcasts changes of the user id to all of them, but none of the
 * program's: it blocks the program's signals, is not traced, not counted, and holds no lock that a fork could copy.
 */
#pragma once

/*
 * Starts it; what was ordered before is carried out first, by the caller. Where no thread can be had the blackbox says so
 * (cpu_refusal) and the program is traced all the same. Context: init, also in the child of a fork.
 */
void helper_start(void);

/* Something changed in the process that an order may depend on. Context: any. */
void helper_wake(void);
