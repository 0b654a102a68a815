/* SPDX-License-Identifier: MIT */
/* The life of the process as the tracer follows it: start, fork, exec, end. */
#pragma once

/* Has our constructor run? Before it liblttng-ust has no threads that a fork could lose. */
int process_is_ready(void);

/* The runtime folder of the recorder; "" when there is none. Context: any. */
const char *process_rundir(void);

/* In the child of a fork: a blackbox, slot and number of its own. On failure the child is untraced. */
void process_after_fork(void);

/* In a child that was made behind our back (raw clone, _Fork): never traced, its parent's files untouched. */
void process_is_raw_child(void);

/*
 * The process ends now: the blackbox says that it did so by itself, and how (enum fr_exit_kind, the status that its parent
 * sees). Nothing in a vfork child, or one that shares our memory. Context: any, also a signal handler.
 */
void process_end(int kind, int code);

/* Only how it will end: what it registered for that runs first. Context: any. */
void process_note_end(int kind, int code);

/* The image is about to be replaced; `is_traced`: by one that has us in its environment. Context: hook. */
void process_exec(int is_traced);

/* That failed. */
void process_exec_failed(void);
