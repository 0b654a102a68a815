/* SPDX-License-Identifier: MIT */
/*
 * Handlers of ours that stand where the program has none: as long as it leaves a signal to its default (or ignores it, where we
 * take that on), the kernel has our handler and the program is told what it has set itself. As soon as the program
 * installs a handler of its own, ours is gone.
 *
 * One lock guards the change from one to the other, for all signals. Its holder has all signals blocked, so that no
 * handler of its own thread can want it.
 */
#pragma once

#include <signal.h>
#include <stdint.h>

struct disposition {
	/* What it is of; constant. */
	int signal;
	int flags; /* of our handler; SA_SIGINFO is added. All signals are blocked while it runs, but for … */
	int is_nestable;    /* … those of faults, where this is set */
	int is_for_ignored; /* ours stands also where the program ignores the signal */
	int is_sent_by_us;  /* signals of ours may be pending: none must reach the program */
	void (*handler)(int, siginfo_t *, void *);
	void (*on_leave)(void); /* ours is about to go, or was found gone; NULL: nobody cares */

	uint32_t is_wanted;    /* goes back by itself when the program gives the signal back */
	uint32_t is_installed; /* is there, as far as we know. Atomic; written under the lock */
	struct sigaction seen; /* what the program has set; valid while is_installed */
};

/* Takes the lock and blocks all signals; returns the mask for disposition_unlock(). Context: any but a handler of ours. */
uint64_t disposition_lock(void);
void disposition_unlock(uint64_t mask);

/*
 * Under the lock: installs our handler unless it is there or the program has one. Returns 0, or -EBUSY when it is the program's.
 * Context: init | helper thread | hook.
 */
int disposition_install(struct disposition *d);

/* Under the lock: the kernel gets the program's own disposition back, if ours is there. Context: as above. */
void disposition_uninstall(struct disposition *d);

/* sigaction() of the program for this signal: returns and sets errno as libc does. Context: any. */
int disposition_action(
	struct disposition *d, const struct sigaction *action, struct sigaction *old);

/*
 * signal(), sigset() and the like, called with `handler`: goes through `real` when the program's own disposition is in
 * force, or is to be; else they are sigaction() with `flags`, 0 for sigset(). Context: any.
 */
typedef void (*disposition_handler)(int);
disposition_handler disposition_signal(struct disposition *d,
	disposition_handler (*real)(int, disposition_handler), disposition_handler handler,
	int flags);

/*
 * Around what reads and writes the disposition inside libc: the program's own is in force, and its signal comes to it;
 * then ours comes back, if it does that by itself. Keep errno. Context: any but a vfork child.
 */
void disposition_yield(struct disposition *d);
void disposition_return(struct disposition *d);

/* Our handler again, or ignored, for the kernel alone: what a new image inherits. Without the lock. Context: hook. */
void disposition_show_ignored(struct disposition *d, int is_shown);

/* Child of a fork: the lock is free, and what another thread of the parent was about to take away is gone. */
void disposition_after_fork(struct disposition *d);

/* Is this frame, in the form of unwind_walk(), where handlers return to? Context: signal. */
int disposition_is_trampoline(uintptr_t frame);
