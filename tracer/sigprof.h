/* SPDX-License-Identifier: MIT */
/*
 * Whose SIGPROF is. Ours only while the program has no handler for it: then the program sees, by sigaction(), what it
 * would see without us, and a SIGPROF that is not ours does what it would do. As soon as the program wants the signal,
 * we are gone; when it gives it back, we may return.
 */
#pragma once

#include <signal.h>
#include <stdint.h>

#include "tracer/disposition.h"

/*
 * Installs our handler unless it is there or the program has one. Returns 0, and has stored `value` in *word (NULL:
 * nowhere) while it was ours; -EBUSY when it is the program's. Context: init | helper thread.
 */
int sigprof_take(uint32_t *word, uint32_t value);

/* The program has a use for SIGPROF that no handler shows (profil(), signalfd()): never ours from now on. */
void sigprof_give_up(void);

/* Whose it is; see disposition.h. */
extern struct disposition sigprof_disposition __attribute__((visibility("hidden")));

/* Takes our handler away, if it is there, for a program that does `what` it cannot see through. Context: any. */
void sigprof_yield(void);

/* SIGPROF is pending on the calling thread, which blocks it: is it one of others? Ours is dropped. Context: hook. */
int sigprof_is_pending(void);

/* A SIGPROF that is not ours came to our handler: as the program has it. Context: signal. */
void sigprof_foreign(int number);

/*
 * An image that is replaced inherits which signals are ignored, and what is pending. What is between the two calls
 * lives in the caller's frame. The thread has no timer and gets no request meanwhile, nor is one of our signals
 * pending on it. Context: hook, also in a vfork child.
 */
struct sigprof_exec {
	int is_held;	/* our signals are kept away from this thread */
	int was_hidden; /* the program ignores SIGPROF, and the kernel knows that again */
};
void sigprof_before_exec(struct sigprof_exec *exec);
void sigprof_exec_failed(const struct sigprof_exec *exec);

/*
 * Around posix_spawn() and the like, whose child inherits the same. Returns whether sigprof_after_spawn() is due:
 * only where the program ignores SIGPROF. Context: hook.
 */
int sigprof_before_spawn(void);
void sigprof_after_spawn(void);

/*
 * The tracer's own thread brackets each signal that it sends: 0, and then nothing must be sent, while a thread
 * replaces the image.
 */
int sigprof_send_begin(void);
void sigprof_send_end(void);

/* Child of a fork, also of a raw one: whatever another thread of the parent was doing here is over. */
void sigprof_after_fork(void);
