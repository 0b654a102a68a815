/* SPDX-License-Identifier: MIT */
/* The stacks of the threads that run, for those who ask for all threads: each is sent one signal, and answers it itself. */
#pragma once

#include <stdint.h>

/*
 * Asks every thread that runs for its stack: slot->dump_stack, then slot->dump_seq = seq. Threads that wait in a call that
 * is followed are not disturbed, their slots have state and stack; nor are those that sleep in another call which
 * would not be restarted, or block the signal. Returns when all have answered, at the latest after 100 ms.
 * Nobody is asked when SIGPROF is the program's. Context: helper thread.
 */
void dump_take(uint32_t seq);
