/* SPDX-License-Identifier: MIT */
/* Shared by the sources of host_crash. */
#pragma once

#include "cases.h"

/* All that the tracer keeps a record of. */
#define N_FATAL 7
extern const int fatal_signals[N_FATAL];

/* Faults that the processor or the kernel raises, each in a function whose name is looked for in the record. */
int crash_segv(void);
void crash_bus(void);
void crash_fpe(void);
void crash_ill(void);
void crash_trap(void);
void crash_sys(void);
void crash_abort(void);
int crash_wild(void);

/* The one that raises `number`. */
void fault(int number);

/* Faults with something broken besides. */
void act_jump(void);
void act_deep(void);
void act_deep_thread(void);
void act_deep_on_stack(void);
void act_wild(void);
void act_data(void);
void act_lost(void);
void act_together(void);

/* Without stdio, for handlers. */
void say(const char *text);
void on_signal(int number);

/* Prints a child's status. */
void report(pid_t pid);
/* Does `act` in a child, and reports it. */
void in_child(const char *what, void (*act)(void));

int run_dispositions(void);
int run_children(void);
int run_vfork(void);
int run_ends(void);

/* Ends the program in the way of that name; returns when there is none. */
void end_by(const char *how);
