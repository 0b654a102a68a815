/* SPDX-License-Identifier: MIT */
/*
 * Signals that end the program because it left them to their default: our handler writes a crash record (fr_crash) and
 * then lets the signal do what it would have done, so that the parent, the kernel's log and the core are the same. It
 * stands in nobody's way: a program that installs a handler, or ignores the signal, has its own, and is told SIG_DFL
 * before (disposition.h).
 */
#pragma once

#include <signal.h>

#include "tracer/disposition.h"

/* Installs the handlers where the program has none. Context: init. */
void fatal_start(void);

/* Child of a fork, also of a raw one. */
void fatal_after_fork(void);

/* Whose a signal is; NULL when it is none of these, or we never stood in for it. Context: any. */
struct disposition *fatal_disposition(int number);

/* The handler of them all (fatal_signal.c). */
void fatal_on_signal(int number, siginfo_t *info, void *context);

/* Child of a fork: nobody is crashing here. */
void fatal_signal_after_fork(void);
