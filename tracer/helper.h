/* SPDX-License-Identifier: MIT */
/*
 * The tracer's own thread in the program: it waits for orders of the recorder (fr_control.command_seq) and carries
 * them out. A pthread like any other to libc, which broadcasts changes of the user id to all of them, but none of the
 * program's: it blocks the program's signals, is not traced, not counted, and holds no lock that a fork could copy.
 */
#pragma once

#include <stdint.h>

/*
 * Starts it; what was ordered before is carried out first, by the caller. Where no thread can be had the blackbox says so
 * (cpu_refusal) and the program is traced all the same. Context: init, also in the child of a fork.
 */
void helper_start(void);

/*
 * Has every thread that runs write down where it is (fr_slot.dump_*, under FR_DUMP_CRASH), and waits for that, `wait_ns` at
 * most. The calling thread is not asked. Context: any, also the handler of a crash.
 */
void helper_dump(uint64_t wait_ns);

/* Something changed in the process that an order may depend on. Context: any. */
void helper_wake(void);
